//! What the SDK's providers report, sorted.

use std::error::Error;

use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use ssm_session::ConnectError;

use crate::error::CredentialsError;
use crate::error::Failure;
use crate::error::Origin;
use crate::error::sdk::causes;
use crate::error::sdk::one_line;
use crate::error::sdk::resource;
use crate::error::sdk::words;
use crate::http::NoAnswer;

impl CredentialsError {
    /// A provider of the SDK failed.
    pub(crate) fn of(error: &(dyn Error + 'static), origin: &Origin) -> Self {
        let words = words(error);
        tracing::debug!(%origin, words, "no credentials");
        if let Some(refusal) = find::<AssumeRoleError>(error) {
            return Self::of_assume_role(refusal, "of this profile", None);
        }
        if let Some(refusal) = find::<AssumeRoleWithWebIdentityError>(error) {
            return Self::WebIdentityRefused {
                origin: origin.to_string(),
                words: message(refusal),
            };
        }
        let chain = words.to_lowercase();
        if causes(error).any(|cause| cause.is::<ConnectError>() || cause.is::<NoAnswer>()) {
            return Self::Unreachable {
                origin: origin.to_string(),
                words,
            };
        }
        if let Origin::Profile { name, sign_in } = origin {
            let says = |text: &str| chain.contains(text);
            if SIGN_IN.iter().any(|text| says(text)) {
                return Self::SignInExpired {
                    profile: name.clone(),
                    command: sign_in.clone(),
                };
            }
            if says("external process") {
                return Self::ProcessFailed {
                    profile: name.clone(),
                    words: shortened(&words),
                };
            }
        }
        Self::Unusable {
            origin: origin.to_string(),
            words: if words.is_empty() {
                "it has none".to_owned()
            } else {
                shortened(&words)
            },
            advice: origin.advice(),
        }
    }

    /// AssumeRole itself failed, with a code of the device if there is one.
    pub(crate) fn of_assume_role_call(
        error: &SdkError<AssumeRoleError, HttpResponse>,
        role: &str,
        serial: Option<&str>,
    ) -> Self {
        match Failure::of(error) {
            Failure::Unreachable(words) => Self::Unreachable {
                origin: format!("role {role}"),
                words,
            },
            Failure::Other(words) => Self::RoleRefused {
                role: role.to_owned(),
                words,
            },
            Failure::Refused { .. } => match find::<AssumeRoleError>(error) {
                Some(refusal) => Self::of_assume_role(refusal, role, serial),
                None => Self::RoleRefused {
                    role: role.to_owned(),
                    words: words(error),
                },
            },
        }
    }

    fn of_assume_role(refusal: &AssumeRoleError, role: &str, serial: Option<&str>) -> Self {
        let words = message(refusal);
        let role = resource(&words).unwrap_or(role).to_owned();
        match (refusal.code(), serial) {
            (_, Some(serial)) if words.contains("MultiFactorAuthentication") => {
                Self::SecondFactorRefused {
                    serial: serial.to_owned(),
                    words,
                }
            }
            (Some("ExpiredToken" | "ExpiredTokenException"), _) => Self::Expired {
                profile: None,
                words,
            },
            (Some("InvalidClientTokenId" | "SignatureDoesNotMatch"), _) => Self::Rejected {
                profile: None,
                words,
            },
            _ => Self::RoleRefused { role, words },
        }
    }

    pub(crate) fn unreadable_configuration(error: &(dyn Error + 'static)) -> Self {
        Self::UnreadableConfiguration {
            words: words(error),
        }
    }
}

/// The first cause of a type.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref::<E>())
}

fn message(refusal: &(impl ProvideErrorMetadata + Error)) -> String {
    match refusal.message() {
        Some(message) => one_line(message),
        None => refusal.code().unwrap_or("it did not say why").to_owned(),
    }
}

/// As much as a sentence can take.
fn shortened(words: &str) -> String {
    match words.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

/// Characters of somebody else's words in a sentence.
const MAX_WORDS: usize = 400;

/// What the SDK says when a sign-in is missing or over, in lower case.
const SIGN_IN: [&str; 5] = [
    "sso token",
    "sso/cache",
    "login/cache",
    "unauthorizedexception",
    "login token",
];
