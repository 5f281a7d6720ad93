//! The character that makes a command of the next one.

use std::fmt;
use std::str::FromStr;

mod recogniser;

pub(crate) use recogniser::Command;
pub(crate) use recogniser::Recogniser;
pub(crate) use recogniser::Typed;

/// The character that, at the start of a line, makes a command of the next one; or none.
///
/// As text it is written as `ssh` has it: a character of ASCII, `^` and a letter for a control character, or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscapeChar(Option<u8>);

impl EscapeChar {
    /// No escapes: every byte is the far end's.
    pub const NONE: Self = Self(None);

    /// The byte, if there is one.
    #[must_use]
    pub fn byte(self) -> Option<u8> {
        self.0
    }
}

/// `~`
impl Default for EscapeChar {
    fn default() -> Self {
        Self(Some(b'~'))
    }
}

impl FromStr for EscapeChar {
    type Err = InvalidEscapeChar;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            b"none" => Ok(Self::NONE),
            // A line ends before the next can be escaped.
            [byte @ b'!'..=b'~'] => Ok(Self(Some(*byte))),
            [b'^', letter @ (b'@'..=b'_' | b'a'..=b'z')] => match letter & 0x1f {
                b'\r' | b'\n' => Err(InvalidEscapeChar),
                control => Ok(Self(Some(control))),
            },
            _ => Err(InvalidEscapeChar),
        }
    }
}

impl fmt::Display for EscapeChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(control @ ..b' ') => write!(f, "^{}", char::from(control | 0x40)),
            Some(byte) => write!(f, "{}", char::from(byte)),
        }
    }
}

/// Not an escape character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an escape character is one visible ASCII character, ^ and a letter other than J and M, or `none`"
)]
pub struct InvalidEscapeChar;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_character_is_written_as_ssh_has_it() {
        for (text, byte) in [
            ("~", Some(b'~')),
            ("^", Some(b'^')),
            ("^B", Some(2)),
            ("^]", Some(0x1d)),
            ("none", None),
        ] {
            let escape: EscapeChar = text.parse().unwrap();
            assert_eq!(escape.byte(), byte);
            assert_eq!(escape.to_string(), text);
        }
        assert_eq!("^b".parse(), "^B".parse::<EscapeChar>());
    }

    #[test]
    fn what_would_never_begin_a_line_is_refused() {
        for text in ["", " ", "ab", "^1", "^M", "^j", "é", "None", "\r"] {
            let parsed = text.parse::<EscapeChar>();
            assert_eq!(parsed, Err(InvalidEscapeChar), "{text:?}");
        }
    }
}
