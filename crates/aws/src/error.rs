//! What went wrong at AWS, in sentences that say what to do.

use ssm_session::ApiError;
use ssm_session::ApiErrorKind;

mod credentials;
mod kms;
mod sdk;
mod session;

pub use credentials::CredentialsError;
pub(crate) use credentials::Origin;
pub use kms::KmsError;
pub(crate) use sdk::Failure;
use sdk::action;
use sdk::resource;
pub(crate) use sdk::words;
pub(crate) use session::Asked;
pub use session::SessionError;

/// Why an operation failed. Each reads as one sentence, with AWS's own words where it had any.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AwsError {
    /// There is nobody to sign as.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A session could not be started, resumed or ended.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// KMS made no data key.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// Neither the caller nor the configuration names a region.
    #[error(
        "no AWS region is known; name one, set AWS_REGION, or set region in profile {profile} of {file}"
    )]
    NoRegion {
        /// The profile that was looked at.
        profile: String,
        /// The file it would be in.
        file: String,
    },
    /// A region that no endpoint can have.
    #[error(
        "{region:?} is no AWS region; name one such as eu-west-1, or correct AWS_REGION or the profile"
    )]
    InvalidRegion {
        /// What was given as one.
        region: String,
    },
    /// The caller may not do this.
    #[error("access is denied: {words}; ask for {action} on {resource}")]
    AccessDenied {
        /// The IAM action.
        action: String,
        /// What it is wanted on, as AWS or else as the caller named it.
        resource: String,
        /// AWS's words.
        words: String,
    },
    /// Too many calls.
    #[error("{service} is asked too often: {words}; wait a little and try again")]
    Throttled {
        /// The service.
        service: &'static str,
        /// Its words.
        words: String,
    },
    /// The service is in trouble.
    #[error("{service} failed: {words}; try again")]
    Failed {
        /// The service.
        service: &'static str,
        /// Its words.
        words: String,
    },
    /// Nobody answers at the endpoint.
    #[error(
        "{service} could not be reached: {words}; check the network, the proxy, region {region} and {variable}"
    )]
    Unreachable {
        /// The service.
        service: &'static str,
        /// The region whose endpoint it was, unless another was named.
        region: String,
        /// The variable that names another endpoint.
        variable: &'static str,
        /// What happened.
        words: String,
    },
    /// A request that cannot be made, or an answer that cannot be understood.
    #[error("{operation} of {service} failed: {words}; check {variable}")]
    Malformed {
        /// The service.
        service: &'static str,
        /// What was asked.
        operation: &'static str,
        /// What the SDK found wrong.
        words: String,
        /// The variable that names another endpoint.
        variable: &'static str,
    },
    /// Another refusal.
    #[error("{service} refused {operation}: {words}")]
    Refused {
        /// The service.
        service: &'static str,
        /// What was asked.
        operation: &'static str,
        /// The service's words.
        words: String,
    },
    /// An answer that lacks what it is for.
    #[error("{service} answered {operation} without {missing}; check {variable}")]
    Incomplete {
        /// The service.
        service: &'static str,
        /// What was asked.
        operation: &'static str,
        /// What is not there.
        missing: &'static str,
        /// The variable that names another endpoint.
        variable: &'static str,
    },
}

/// Which call it was, and whose.
pub(crate) struct Call<'a> {
    pub(crate) service: Service,
    pub(crate) operation: &'static str,
    /// What the caller named: a target, a session, a key.
    pub(crate) resource: &'a str,
    pub(crate) region: &'a str,
    pub(crate) profile: Option<&'a str>,
}

/// A service as a user knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Ssm,
    Kms,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Ssm => "Systems Manager",
            Self::Kms => "KMS",
        }
    }

    /// In IAM.
    fn prefix(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::Kms => "kms",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Ssm => "AWS_ENDPOINT_URL_SSM",
            Self::Kms => "AWS_ENDPOINT_URL_KMS",
        }
    }
}

impl AwsError {
    /// What every service may answer. What a service alone says has been looked for before.
    pub(crate) fn common(failure: Failure, call: &Call<'_>) -> Self {
        let service = call.service.name();
        let (code, status, words) = match failure {
            Failure::Unreachable(words) => {
                return Self::Unreachable {
                    service,
                    region: call.region.to_owned(),
                    variable: call.service.variable(),
                    words,
                };
            }
            Failure::Other(words) => {
                return Self::Malformed {
                    service,
                    operation: call.operation,
                    words,
                    variable: call.service.variable(),
                };
            }
            Failure::Refused {
                code,
                status,
                words,
            } => (code, status, words),
        };
        match code.as_str() {
            "AccessDeniedException" | "AccessDenied" => Self::AccessDenied {
                action: action(&words).map_or_else(
                    || format!("{}:{}", call.service.prefix(), call.operation),
                    str::to_owned,
                ),
                resource: resource(&words).unwrap_or(call.resource).to_owned(),
                words,
            },
            "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => {
                CredentialsError::Expired {
                    profile: call.profile.map(str::to_owned),
                    words,
                }
                .into()
            }
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationTokenException" => CredentialsError::Rejected {
                profile: call.profile.map(str::to_owned),
                words,
            }
            .into(),
            _ if status == 429 || code.contains("Throttl") || code == "TooManyUpdates" => {
                Self::Throttled { service, words }
            }
            _ if status >= 500 || code == "InternalServerError" => Self::Failed { service, words },
            _ => Self::refused(call, words),
        }
    }

    fn refused(call: &Call<'_>, words: String) -> Self {
        Self::Refused {
            service: call.service.name(),
            operation: call.operation,
            words,
        }
    }

    pub(crate) fn incomplete(call: &Call<'_>, missing: &'static str) -> Self {
        Self::Incomplete {
            service: call.service.name(),
            operation: call.operation,
            missing,
            variable: call.service.variable(),
        }
    }

    /// Whether other credentials may help, such as those of a sign-in that has been renewed
    /// meanwhile.
    pub(crate) fn is_of_credentials(&self) -> bool {
        matches!(self, Self::Credentials(_))
    }

    fn kind(&self) -> ApiErrorKind {
        match self {
            Self::Credentials(error) => error.kind(),
            Self::Session(SessionError::Gone { .. }) => ApiErrorKind::Gone,
            // A node that starts anew is not connected for a while.
            Self::Session(SessionError::TargetNotConnected { .. })
            | Self::Throttled { .. }
            | Self::Failed { .. }
            | Self::Unreachable { .. } => ApiErrorKind::Transient,
            _ => ApiErrorKind::Refused,
        }
    }
}

impl From<AwsError> for ApiError {
    fn from(error: AwsError) -> Self {
        Self::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests;
