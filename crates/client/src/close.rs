//! How a session ended.

use std::time::Duration;

use ssm_session_proto::CloseReason;

use crate::text::printable;

/// Longest text of a WebSocket close frame shown, in characters. The frame has room for 123 bytes.
const MAX_CLOSE_TEXT: usize = 123;

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy {
    /// The service: the far end finished or failed, someone terminated the session, or a time
    /// limit of the account was reached.
    Service,
    /// This program: it asked for termination, dropped the session, or could not go on.
    Us,
    /// The connection broke. The session itself may live on at the service.
    Network,
}

/// How and why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Close {
    /// Who ended it.
    pub by: EndedBy,
    /// The exit code of the remote command, where the agent sends one (docs/PROTOCOL.md, 7.3).
    pub exit_code: Option<i32>,
    /// The words of the service (docs/PROTOCOL.md, 7.7), raw and often empty, if it closed the
    /// channel; else a sentence on what happened.
    pub message: String,
    /// Whether the service closed the channel, so that nothing of the session is left.
    pub channel_closed: bool,
    /// Whether the end of the output is missing: messages were lost on the way, and the service
    /// closed the channel before they were sent again.
    pub incomplete: bool,
    /// Whether the session was found to be over when its lost connection was to be resumed: how it
    /// ended is not known, nor whether all its output has come.
    pub ended_unseen: bool,
    /// Whether TerminateSession has ended the session at the service.
    pub terminated: bool,
    /// The code of the WebSocket close frame, if that ended the session.
    pub close_code: Option<u16>,
    failure: bool,
}

impl Close {
    fn new(by: EndedBy, message: impl Into<String>) -> Self {
        Self {
            by,
            exit_code: None,
            message: message.into(),
            channel_closed: false,
            incomplete: false,
            ended_unseen: false,
            terminated: false,
            close_code: None,
            failure: true,
        }
    }

    /// Whether something went wrong between us and the service. A session that the service
    /// closed in good order and with all its output is no failure, whatever became of the remote
    /// command.
    pub fn is_failure(&self) -> bool {
        self.failure
    }

    /// Whether the session may still live at the service, until somebody terminates it there or
    /// its time runs out.
    pub fn may_live_on(&self) -> bool {
        !(self.channel_closed || self.ended_unseen || self.terminated)
    }

    /// What the machine found; `asked` if we had asked for the end.
    pub(crate) fn from_reason(reason: CloseReason, asked: bool) -> Self {
        let by = if asked { EndedBy::Us } else { EndedBy::Service };
        match reason {
            CloseReason::ChannelClosed { output, incomplete } => Self {
                channel_closed: true,
                incomplete,
                failure: incomplete,
                ..Self::new(by, output)
            },
            CloseReason::Terminated => Self::asked("the session was left as asked"),
            CloseReason::HandshakeFailed(problem) => Self::new(
                EndedBy::Us,
                format!("the session could not be set up: {problem}"),
            ),
            CloseReason::ProtocolViolation(problem) => Self::new(
                EndedBy::Us,
                format!("the other end broke the protocol: {problem}"),
            ),
            other => Self::new(EndedBy::Us, format!("the session ended: {other:?}")),
        }
    }

    /// We asked, and that is all there is to say.
    pub(crate) fn asked(message: impl Into<String>) -> Self {
        Self {
            failure: false,
            ..Self::new(EndedBy::Us, message)
        }
    }

    /// The WebSocket was closed before the channel was.
    pub(crate) fn from_close_frame(code: u16, text: &str) -> Self {
        let text = printable(text, MAX_CLOSE_TEXT);
        let said = if text.is_empty() {
            String::new()
        } else {
            format!(": {text}")
        };
        let message = format!("the service closed the connection with code {code}{said}");
        Self {
            close_code: Some(code),
            ..Self::new(EndedBy::Service, message)
        }
    }

    pub(crate) fn network(message: impl Into<String>) -> Self {
        Self::new(EndedBy::Network, message)
    }

    /// The session had ended when its connection, lost like `loss`, was to be resumed.
    pub(crate) fn ended_unseen(loss: &Self) -> Self {
        Self {
            ended_unseen: true,
            ..Self::new(
                EndedBy::Service,
                format!("{}; meanwhile the session has ended", loss.message),
            )
        }
    }

    /// The connection was lost like this, and there was no other to be had, `within` the time
    /// where that was the reason to stop.
    pub(crate) fn not_resumed(self, within: Option<Duration>, reason: &str) -> Self {
        let limit = within.map_or_else(String::new, |limit| {
            format!(" within {} s", limit.as_secs_f64())
        });
        Self {
            message: format!("{}; it could not be resumed{limit}: {reason}", self.message),
            ..self
        }
    }

    /// We asked for the end while the connection was lost like this.
    pub(crate) fn left(self) -> Self {
        Self::asked(format!(
            "{}; the session was left before it could be resumed",
            self.message
        ))
    }

    /// The driver is gone without a word: its runtime was shut down.
    pub(crate) fn abandoned() -> Self {
        Self::new(EndedBy::Us, "the task that drives the session was stopped")
    }

    /// The same end after we had asked for one: it is ours, and no failure.
    pub(crate) fn into_asked(self) -> Self {
        Self {
            by: EndedBy::Us,
            failure: false,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_channel_is_no_failure_and_keeps_its_words_raw() {
        let reason = || CloseReason::ChannelClosed {
            output: "\nbye\n".to_owned(),
            incomplete: false,
        };
        let close = Close::from_reason(reason(), false);
        assert_eq!(
            (close.by, close.message.as_str()),
            (EndedBy::Service, "\nbye\n")
        );
        assert!(close.channel_closed && !close.is_failure() && !close.may_live_on());
        assert_eq!(Close::from_reason(reason(), true).by, EndedBy::Us);
    }

    #[test]
    fn missing_output_is_a_failure_even_in_a_closed_channel() {
        let reason = CloseReason::ChannelClosed {
            output: String::new(),
            incomplete: true,
        };
        let close = Close::from_reason(reason, false);
        assert!(close.channel_closed && close.incomplete && close.is_failure());
    }

    #[test]
    fn a_close_frame_is_told_with_code_and_clean_text() {
        let close = Close::from_close_frame(1003, "Channel x:\r\nno \x1b[2Jtoken.");
        assert_eq!(
            close.message,
            "the service closed the connection with code 1003: Channel x: no [2Jtoken."
        );
        assert_eq!((close.by, close.close_code), (EndedBy::Service, Some(1003)));
        assert!(close.is_failure() && close.may_live_on());
        assert_eq!(
            Close::from_close_frame(1000, "").message,
            "the service closed the connection with code 1000"
        );
    }
}
