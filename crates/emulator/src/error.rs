//! Refusals of the emulated service, in AWS's terms.

use crate::documents::InvalidParameter;
use crate::kms::KmsError;

/// A refusal: the error code an SDK matches on, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    code: &'static str,
    message: String,
}

impl ServiceError {
    /// AWS's error code, such as `TargetNotConnected`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What was wrong, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
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

/// Our errors are lower case without a full stop; the service's messages are sentences.
fn sentence(error: &InvalidParameter) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => text,
    }
}
