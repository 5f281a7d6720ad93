//! Operations that are refused on purpose.

use std::num::NonZeroU32;
use std::str::FromStr;

use crate::operation::Operation;
use crate::operation::UnknownOperation;

/// An operation that answers with an error, whatever is asked.
///
/// Written `OPERATION=CODE[:MESSAGE][*TIMES]`, such as `StartSession=AccessDeniedException`,
/// `ResumeSession=ThrottlingException*3` or `GenerateDataKey=DisabledException:The key is gone.`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The operation.
    pub operation: Operation,
    /// AWS's error code. Its HTTP status follows from it.
    pub code: String,
    /// The sentence for people; without one, what AWS says with that code.
    pub message: Option<String>,
    /// How many calls are refused before the operation works again; without a number, all.
    pub times: Option<NonZeroU32>,
}

impl Refusal {
    /// Refuses every call.
    pub fn new(operation: Operation, code: impl Into<String>) -> Self {
        Self {
            operation,
            code: code.into(),
            message: None,
            times: None,
        }
    }
}

impl FromStr for Refusal {
    type Err = InvalidRefusal;

    fn from_str(text: &str) -> Result<Self, InvalidRefusal> {
        let (operation, error) = text.split_once('=').ok_or(InvalidRefusal::Form)?;
        let operation = operation.parse()?;
        let (error, times) = split_times(error)?;
        let (code, message) = match error.split_once(':') {
            Some((code, message)) => (code, Some(message.to_owned())),
            None => (error, None),
        };
        if code.is_empty() || !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidRefusal::Code(code.to_owned()));
        }
        Ok(Self {
            operation,
            code: code.to_owned(),
            message,
            times,
        })
    }
}

/// Splits off the number of times, which a message may only seem to have: `2*x` at its end is text.
fn split_times(error: &str) -> Result<(&str, Option<NonZeroU32>), InvalidRefusal> {
    let Some((rest, times)) = error.rsplit_once('*') else {
        return Ok((error, None));
    };
    match times.parse() {
        Ok(times) => Ok((rest, Some(times))),
        Err(_) if rest.contains(':') && !times.bytes().all(|b| b.is_ascii_digit()) => {
            Ok((error, None))
        }
        Err(_) => Err(InvalidRefusal::Times(times.to_owned())),
    }
}

/// Why a text is no refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRefusal {
    /// There is no `=`.
    #[error("write OPERATION=CODE[:MESSAGE][*TIMES], such as StartSession=AccessDeniedException")]
    Form,
    /// No operation has that name.
    #[error(transparent)]
    Operation(#[from] UnknownOperation),
    /// An error code is letters and digits.
    #[error("`{0}` is no error code: write one such as ThrottlingException")]
    Code(String),
    /// How often is a number from 1 to 4294967295.
    #[error("`{0}` is no number of times: write 1 or more behind the `*`, such as *3")]
    Times(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_read() {
        for (text, code, message, times) in [
            ("AccessDeniedException", "AccessDeniedException", None, None),
            (
                "ThrottlingException*3",
                "ThrottlingException",
                None,
                Some(3),
            ),
            ("X:no: never", "X", Some("no: never"), None),
            ("X:no*2", "X", Some("no"), Some(2)),
            ("X:2 * x", "X", Some("2 * x"), None),
            ("X:", "X", Some(""), None),
        ] {
            let refusal: Refusal = format!("StartSession={text}").parse().unwrap();
            assert_eq!(
                refusal,
                Refusal {
                    operation: Operation::StartSession,
                    code: code.to_owned(),
                    message: message.map(str::to_owned),
                    times: times.and_then(NonZeroU32::new),
                }
            );
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "write OPERATION=CODE"),
            ("StartSession", "write OPERATION=CODE"),
            ("Start=X", "no operation `Start`"),
            ("StartSession=", "`` is no error code"),
            (
                "StartSession=Access Denied",
                "`Access Denied` is no error code",
            ),
            ("StartSession=X*0", "`0` is no number of times"),
            ("StartSession=X*", "`` is no number of times"),
            ("StartSession=X*often", "`often` is no number of times"),
            ("StartSession=X:no*0", "`0` is no number of times"),
        ] {
            let error = text.parse::<Refusal>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
