//! What the SDK reports, sorted.

use std::error::Error;

use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::error::ConnectorError;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::error::SdkError;
use aws_smithy_types::error::ErrorMetadata;
use ssm_session::ConnectError;

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The service said no.
    Refused {
        code: String,
        status: u16,
        words: String,
    },
    /// There was no answer.
    Unreachable(String),
    /// Neither.
    Other(String),
}

impl Failure {
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(refusal) => {
                let code = refusal.err().code().unwrap_or_default().to_owned();
                let words = match refusal.err().message() {
                    Some(message) if !message.trim().is_empty() => one_line(message),
                    _ if code.is_empty() => "it did not say why".to_owned(),
                    _ => code.clone(),
                };
                Self::Refused {
                    code,
                    status: refusal.raw().status().as_u16(),
                    words,
                }
            }
            SdkError::TimeoutError(_) => Self::Unreachable("it did not answer in time".to_owned()),
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                Self::Unreachable(words(error))
            }
            _ if causes(error).any(|cause| cause.is::<ConnectError>()) => {
                Self::Unreachable(words(error))
            }
            _ => Self::Other(words(error)),
        }
    }
}

/// The error and its causes, outermost first.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The messages behind an error of the SDK on one line, without those that say nothing new.
pub(crate) fn words(error: &(dyn Error + 'static)) -> String {
    let mut words = String::new();
    for cause in causes(error)
        .skip(1)
        .filter(|cause| !cause.is::<ConnectorError>())
    {
        let text = match cause.downcast_ref::<ErrorMetadata>() {
            Some(refusal) => said(refusal),
            None => one_line(&cause.to_string()),
        };
        // Some print the whole request or answer.
        let text = text.split(". Response {").next().unwrap_or_default();
        let untyped = text.contains("interceptor encountered an error")
            || text.starts_with("unhandled error (");
        let dump = text.contains("Request {") || text.contains("Response {");
        if text.is_empty()
            || dump
            || untyped
            || SAYS_NOTHING.contains(&text)
            || words.contains(text)
        {
            continue;
        }
        if !words.is_empty() {
            words.push_str(": ");
        }
        words.push_str(text);
    }
    if let Some(advice) = certificate_advice(error) {
        words.push_str(&format!(" ({advice})"));
    }
    words
}

/// What to do about a certificate that is the cause. Advice on the network would lead astray.
fn certificate_advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let failure = causes(error).find_map(|cause| cause.downcast_ref::<ConnectError>())?;
    failure
        .advice()
        .filter(|_| failure.is_untrusted_certificate())
}

/// A refusal that the SDK has no type for.
fn said(refusal: &ErrorMetadata) -> String {
    let code = refusal.code().unwrap_or_default();
    match refusal.message() {
        Some(message) if code.is_empty() => one_line(message),
        Some(message) => format!("{code}: {}", one_line(message)),
        None => code.to_owned(),
    }
}

pub(crate) fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim_end_matches('.').to_owned()
}

/// The action in "… is not authorized to perform: ssm:StartSession on resource: …".
pub(crate) fn action(words: &str) -> Option<&str> {
    let action = after(words, "not authorized to perform: ")?;
    action.contains(':').then_some(action)
}

/// The resource there, an ARN.
pub(crate) fn resource(words: &str) -> Option<&str> {
    after(words, "on resource: ").filter(|resource| resource.starts_with("arn:"))
}

/// The word after a phrase.
fn after<'a>(words: &'a str, phrase: &str) -> Option<&'a str> {
    let (_, rest) = words.split_once(phrase)?;
    let word = rest.split_whitespace().next()?;
    Some(word.trim_end_matches([',', ';', '.']))
}

/// What the SDK says of an error whose cause says it all.
const SAYS_NOTHING: [&str; 6] = [
    "the credential provider was not enabled",
    "an error occurred while loading credentials",
    "unexpected credentials error",
    "service error",
    "dispatch failure",
    "unhandled error",
];
