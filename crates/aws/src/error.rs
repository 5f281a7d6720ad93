//! Why KMS gave no data key, in sentences that say what to do.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::ConnectorError;
use aws_sdk_kms::error::ProvideErrorMetadata as _;
use aws_sdk_kms::error::SdkError;
use aws_sdk_kms::operation::generate_data_key::GenerateDataKeyError;
use ssm_session::ConnectError;

/// Why there is no data key. Each reads as one sentence, with KMS's own words where it had any.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// Neither the caller nor the configuration names a region.
    #[error(
        "no AWS region is known for the session's KMS key; set AWS_REGION, or region in the profile"
    )]
    NoRegion,
    /// Nobody has credentials.
    #[error("no AWS credentials{} were found for the session's KMS key; {advice}{}", of(profile.as_deref()), in_brackets(words))]
    NoCredentials {
        /// The profile they were looked for in, if one was named.
        profile: Option<String>,
        /// How to get some.
        advice: String,
        /// What the SDK found wrong.
        words: String,
    },
    /// There is no sign-in in the cache, or it is over.
    #[error("the AWS sign-in{} is missing or has expired; run `{command}` and start the session again", of(profile.as_deref()))]
    SignInExpired {
        /// The profile that signs in, if one was named.
        profile: Option<String>,
        /// The command that signs in again.
        command: String,
    },
    /// AWS does not take the credentials.
    #[error("AWS does not accept the credentials{}: {words}; renew them and start the session again", of(profile.as_deref()))]
    CredentialsRejected {
        /// The profile they are from, if one was named.
        profile: Option<String>,
        /// The service's words.
        words: String,
    },
    /// The caller may not use the key.
    #[error(
        "access to the session's KMS key {key_id} is denied: {words}; ask for kms:GenerateDataKey on that key"
    )]
    AccessDenied {
        /// The key.
        key_id: String,
        /// KMS's words.
        words: String,
    },
    /// The key is in another region than was asked.
    #[error(
        "the session's KMS key {key_id} is in {key_region}, but was looked for in {region}: {words}; \
         start the session in the key's region, or name a key of {region} in the session preferences"
    )]
    WrongRegion {
        /// The key.
        key_id: String,
        /// Its region.
        key_region: String,
        /// Ours.
        region: String,
        /// KMS's words.
        words: String,
    },
    /// There is no such key.
    #[error(
        "the session's KMS key {key_id} does not exist in {region}: {words}; \
         check the key in the session preferences, and the account and region of this session"
    )]
    NotFound {
        /// The key.
        key_id: String,
        /// Where it was looked for.
        region: String,
        /// KMS's words.
        words: String,
    },
    /// The key exists and cannot be used.
    #[error(
        "the session's KMS key {key_id} cannot be used: {words}; enable the key, or name another one in the session preferences"
    )]
    Unusable {
        /// The key.
        key_id: String,
        /// KMS's words.
        words: String,
    },
    /// Nobody answers at the endpoint.
    #[error(
        "KMS could not be reached for the session's key: {words}; check the network, the region and AWS_ENDPOINT_URL_KMS"
    )]
    Unreachable {
        /// What happened.
        words: String,
    },
    /// Another refusal.
    #[error("KMS gave no data key for {key_id}: {words}")]
    Refused {
        /// The key.
        key_id: String,
        /// KMS's words, or the SDK's.
        words: String,
    },
    /// The answer lacks the key or its ciphertext.
    #[error("KMS answered without a data key; check AWS_ENDPOINT_URL_KMS")]
    Incomplete,
}

/// A profile as part of a sentence; nothing if none was named.
fn of(profile: Option<&str>) -> String {
    profile.map_or_else(String::new, |profile| format!(" of profile {profile}"))
}

/// Details at the end of a sentence; nothing if there are none.
fn in_brackets(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(" ({words})")
    }
}

/// What was asked for, and how.
pub(crate) struct Subject<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) region: Option<&'a str>,
    pub(crate) profile: Option<&'a str>,
}

impl Subject<'_> {
    fn profile(&self) -> Option<String> {
        self.profile.map(str::to_owned)
    }

    /// `command` for the profile that was named.
    fn command(&self, command: &str) -> String {
        match self.profile {
            Some(profile) => format!("{command} --profile {profile}"),
            None => command.to_owned(),
        }
    }

    /// The region in the key's ARN, if the key is given by one.
    fn key_region(&self) -> Option<&str> {
        let mut parts = self.key_id.split(':');
        let is_arn = parts.next() == Some("arn");
        let (_partition, service, region) = (parts.next()?, parts.next()?, parts.next()?);
        (is_arn && service == "kms").then_some(region)
    }
}

impl KmsError {
    pub(crate) fn from_sdk(
        error: &SdkError<GenerateDataKeyError, HttpResponse>,
        subject: &Subject<'_>,
    ) -> Self {
        match error {
            SdkError::ServiceError(refusal) => Self::from_refusal(refusal.err(), subject),
            SdkError::TimeoutError(_) => Self::Unreachable {
                words: words(error),
            },
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                Self::Unreachable {
                    words: words(error),
                }
            }
            _ => Self::from_chain(error, subject),
        }
    }

    fn from_refusal(refusal: &GenerateDataKeyError, subject: &Subject<'_>) -> Self {
        let code = refusal.code().unwrap_or_default();
        let words = match refusal.message() {
            Some(message) => message.trim_end_matches('.').to_owned(),
            None if code.is_empty() => "it did not say why".to_owned(),
            None => code.to_owned(),
        };
        let key_id = subject.key_id.to_owned();
        let region = subject.region.unwrap_or("the default region").to_owned();
        match code {
            "AccessDeniedException" | "AccessDenied" => Self::AccessDenied { key_id, words },
            "NotFoundException" | "InvalidArnException" => match subject.key_region() {
                Some(key_region) if key_region != region => {
                    let key_region = key_region.to_owned();
                    Self::WrongRegion {
                        key_id,
                        key_region,
                        region,
                        words,
                    }
                }
                _ => Self::NotFound {
                    key_id,
                    region,
                    words,
                },
            },
            "DisabledException"
            | "KMSInvalidStateException"
            | "InvalidKeyUsageException"
            | "KeyUnavailableException" => Self::Unusable { key_id, words },
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException" => Self::CredentialsRejected {
                profile: subject.profile(),
                words,
            },
            _ => Self::Refused { key_id, words },
        }
    }

    /// The request never left: mostly for want of credentials.
    fn from_chain(error: &(dyn Error + 'static), subject: &Subject<'_>) -> Self {
        let profile = subject.profile();
        let words = words(error);
        let chain = words.to_lowercase();
        let says = |text: &str| chain.contains(text);
        if says("sso token") || says("unauthorizedexception") {
            return Self::SignInExpired {
                profile,
                command: subject.command("aws sso login"),
            };
        }
        if says("login token") {
            return Self::SignInExpired {
                profile,
                command: subject.command("aws login"),
            };
        }
        let of_credentials = causes(error).any(|cause| cause.is::<CredentialsError>());
        if of_credentials || says("credential") {
            let advice = match subject.profile {
                Some(profile) => format!("check profile {profile} in ~/.aws/config, or sign in"),
                None => "run `aws configure` or `aws sso login`, or name a profile".to_owned(),
            };
            tracing::debug!(words, "no credentials");
            // That every source there is had nothing needs no list of them.
            let words = match subject.profile {
                None if says("no credentials found in chain") => String::new(),
                _ => words,
            };
            return Self::NoCredentials {
                profile,
                advice,
                words,
            };
        }
        if causes(error).any(|cause| cause.is::<ConnectError>()) {
            return Self::Unreachable { words };
        }
        Self::Refused {
            key_id: subject.key_id.to_owned(),
            words,
        }
    }
}

/// The error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The messages behind an error of the SDK on one line, without those that say nothing new.
fn words(error: &(dyn Error + 'static)) -> String {
    let mut words = String::new();
    for cause in causes(error)
        .skip(1)
        .filter(|cause| !cause.is::<ConnectorError>())
    {
        let text = cause.to_string();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.trim_end_matches('.');
        // One of them would print the whole request.
        let says_nothing = text.is_empty() || text == NOT_ENABLED || text.contains("Request {");
        if says_nothing || words.contains(text) {
            continue;
        }
        if !words.is_empty() {
            words.push_str(": ");
        }
        words.push_str(text);
    }
    words
}

/// What the SDK calls a source of credentials that is not set up.
const NOT_ENABLED: &str = "the credential provider was not enabled";
