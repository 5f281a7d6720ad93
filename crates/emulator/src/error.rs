//! Refusals of the emulated service, in AWS's terms.

use std::borrow::Cow;

use crate::documents::InvalidParameter;
use crate::kms::KmsError;
use crate::signature::SignatureError;

/// A refusal: the error code an SDK matches on, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    code: Cow<'static, str>,
    message: String,
}

impl ServiceError {
    /// AWS's error code, such as `TargetNotConnected`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What was wrong, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What SDKs ask again for by themselves: too many calls, or the service's own trouble.
    pub(crate) fn is_transient(&self) -> bool {
        self.is_throttling() || self.is_internal()
    }

    /// Too many calls at once.
    pub(crate) fn is_throttling(&self) -> bool {
        matches!(
            self.code(),
            "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "RequestThrottledException"
                | "RequestThrottled"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "LimitExceededException"
                | "BandwidthLimitExceeded"
                | "SlowDown"
        )
    }

    /// The service's fault rather than the caller's.
    pub(crate) fn is_internal(&self) -> bool {
        self.is_unavailable()
            || self.code.starts_with("Internal")
            || matches!(
                self.code(),
                "ServerException" | "KMSInternalException" | "DependencyTimeoutException"
            )
    }

    /// The service is there and does nothing.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.code.starts_with("ServiceUnavailable")
    }

    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    pub(crate) fn target_not_connected(target: &str) -> Self {
        Self::new("TargetNotConnected", format!("{target} is not connected."))
    }

    pub(crate) fn unknown_session(session_id: &str) -> Self {
        Self::new(
            "DoesNotExistException",
            format!("Session {session_id} does not exist in this emulator."),
        )
    }
}

impl From<InvalidParameter> for ServiceError {
    fn from(error: InvalidParameter) -> Self {
        Self::new("InvalidParameters", sentence(&error))
    }
}

impl From<KmsError> for ServiceError {
    fn from(error: KmsError) -> Self {
        let code = match error {
            KmsError::NotFound(_) => "NotFoundException",
            KmsError::Disabled { .. } => "DisabledException",
            KmsError::InvalidCiphertext => "InvalidCiphertextException",
            KmsError::IncorrectKey => "IncorrectKeyException",
        };
        Self::new(code, error.to_string())
    }
}

impl From<SignatureError> for ServiceError {
    fn from(error: SignatureError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Our errors are lower case without a full stop; the service's messages are sentences.
fn sentence(error: &InvalidParameter) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => text,
    }
}
