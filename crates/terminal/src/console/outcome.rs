//! How a session on the console ended, and what that is to user and caller.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ssm_session::Close;
use ssm_session_proto::SessionType;

use crate::signals::Signal;
use crate::text::sanitised;

/// How a session on the console ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It ended by itself, or by the network.
    Closed(Close),
    /// A signal told this process to end it.
    Signalled(Signal),
    /// The user ended it by an escape.
    Left,
    /// Whoever read standard output reads no more.
    OutputClosed,
    /// Standard output could not be written to.
    OutputFailed(Arc<io::Error>),
    /// Standard input could not be read from.
    InputFailed(io::Error),
    /// Standard input ended, and the far end had no more to say.
    InputEnded,
    /// The agent did not answer for this long, though its kind of session begins with a word of the agent.
    Unanswered(Duration),
    /// There was no local end to take connections at; the user was told why at once.
    NoLocalEnd,
    /// The local end could take no more connections.
    ListenFailed(io::Error),
    /// The far end runs a kind of session that this program does not know.
    Unsupported(SessionType),
}

impl Outcome {
    /// What there is to tell the user besides the session's output, fit for a terminal. The
    /// service's words may have several lines.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Closed(close) if close.incomplete => {
                let words = format!("{}\n{MISSING}", close.message);
                Some(sanitised(words.trim()))
            }
            // No words are the service's way to say that all went well.
            Self::Closed(close) => {
                Some(sanitised(close.message.trim())).filter(|words| !words.is_empty())
            }
            Self::Signalled(_)
            | Self::Left
            | Self::OutputClosed
            | Self::InputEnded
            | Self::NoLocalEnd => None,
            Self::OutputFailed(error) => {
                Some(format!("standard output could not be written: {error}"))
            }
            Self::InputFailed(error) => Some(format!("standard input could not be read: {error}")),
            Self::Unanswered(limit) => Some(format!(
                "the agent did not answer within {} s; see whether it is running on the node",
                limit.as_secs()
            )),
            Self::ListenFailed(error) => {
                Some(format!("no more connections could be accepted: {error}"))
            }
            Self::Unsupported(session_type) => {
                let name = sanitised(session_type.as_str());
                Some(format!("sessions of type {name} are not supported"))
            }
        }
    }

    /// The exit status of a program that passes the remote command's on: that one where there is
    /// one, 128 and its number after a signal, 130 as after SIGINT when the user left by an escape,
    /// 1 after anything that has a [`message`](Self::message) and without a local end, else 0.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Closed(Close {
                exit_code: Some(code),
                ..
            }) => status_of(*code),
            Self::Signalled(signal) => signal.status(),
            Self::Left => Signal::Interrupt.status(),
            Self::NoLocalEnd => 1,
            _ => u8::from(self.message().is_some()),
        }
    }
}

const MISSING: &str =
    "The end of the output is missing: it was lost on the way and the session is over.";

/// Windows nodes have wider codes; of those the low byte is kept unless it would read as success.
fn status_of(code: i32) -> u8 {
    match code {
        0 => 0,
        code => code.to_le_bytes()[0].max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_status_is_passed_through_and_a_failure_never_becomes_success() {
        for (code, status) in [(0, 0), (1, 1), (42, 42), (127, 127), (255, 255)] {
            assert_eq!(status_of(code), status);
        }
        for (code, status) in [(256, 1), (-1, 255), (0x0000_0103, 3)] {
            assert_eq!(status_of(code), status);
        }
    }

    #[test]
    fn what_could_not_be_written_or_run_is_told_and_is_a_failure() {
        let outcome = Outcome::OutputFailed(Arc::new(io::ErrorKind::StorageFull.into()));
        assert!(
            outcome
                .message()
                .is_some_and(|text| text.contains("standard output"))
        );
        assert_eq!(outcome.status(), 1);
        let outcome = Outcome::Unsupported(SessionType::new("Po\x1brt"));
        assert!(outcome.message().is_some_and(|text| !text.contains('\x1b')));
    }

    #[test]
    fn signals_and_readers_that_left_need_no_words() {
        assert_eq!(Outcome::Signalled(Signal::Terminate).message(), None);
        assert_eq!(Outcome::Signalled(Signal::Terminate).status(), 143);
        assert_eq!(Outcome::OutputClosed.status(), 0);
        assert_eq!(Outcome::Left.message(), None);
        assert_eq!(Outcome::Left.status(), 130);
    }
}
