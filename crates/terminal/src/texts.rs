//! What a user reads of a session besides its output, in the words of the program.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use ssm_session_proto::MAX_UNREAD;
use ssm_session_proto::PortForm;

use crate::local_end::CannotListen;
use crate::local_end::LocalListener;
use crate::text::one_line;

/// Something that happens to a session and that its user should know; most of it to a forward.
///
/// Its [`Display`](fmt::Display) is one plain sentence without a full stop, fit for a terminal.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum News<'a> {
    /// The local end takes connections.
    Opened {
        /// Multiplexed or basic.
        form: PortForm,
        /// The local end.
        at: &'a LocalListener,
    },
    /// The first connection has come.
    Accepted {
        /// Multiplexed or basic.
        form: PortForm,
    },
    /// The far end could not reach the destination for one connection.
    Refused,
    /// One connection was ended because its program took no data, so that the others go on.
    Overrun,
    /// A signal is about to end the session.
    Ending,
    /// There is no local end, so the session is about to end.
    CannotListen(&'a CannotListen),
    /// The connection was lost, and is being replaced by another.
    Disconnected {
        /// When.
        at: SystemTime,
        /// What happened to it.
        reason: &'a str,
    },
    /// The session goes on over another connection.
    Reconnected {
        /// How long there was none.
        after: Duration,
    },
    /// The service is there, and the agent has acknowledged nothing for this long, though it has something to.
    Unresponsive {
        /// How long.
        since: Duration,
    },
    /// The agent acknowledges again.
    Responsive {
        /// How long it did not.
        after: Duration,
    },
    /// What is typed is kept no more until the far end takes some of it.
    InputRefused,
}

impl fmt::Display for News<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { form, at } => {
                write!(f, "{at} is open, waiting for connections")?;
                match form {
                    PortForm::Basic => f.write_str("; the node's agent is old and takes one at a time"),
                    PortForm::Multiplexed | PortForm::Stdio => Ok(()),
                }
            }
            Self::Accepted { .. } => f.write_str("the first connection has come"),
            Self::Refused => f.write_str(
                "a connection was ended because the node could not reach the destination; see the SSM Agent's log there",
            ),
            Self::Overrun => write!(
                f,
                "one connection was ended because its program did not read for {} MiB",
                MAX_UNREAD >> 20
            ),
            Self::Ending => f.write_str("ending the session"),
            Self::CannotListen(error) => {
                let mut text = error.to_string();
                let mut cause = error.source();
                while let Some(error) = cause {
                    text.push_str(&format!(": {error}"));
                    cause = error.source();
                }
                f.write_str(&one_line(&text))
            }
            Self::Disconnected { at, reason } => write!(
                f,
                "the connection is lost since {} UTC ({}); the session is being resumed, press Ctrl-C to give up",
                time_of_day(*at),
                one_line(reason)
            ),
            Self::Reconnected { after } => {
                write!(f, "reconnected after {} s", after.as_secs().max(1))
            }
            Self::Unresponsive { since } => write!(
                f,
                "the service is there, but the node has not taken anything for {} s; what you type is kept",
                since.as_secs().max(1)
            ),
            Self::Responsive { after } => {
                write!(f, "the node answers again after {} s", after.as_secs().max(1))
            }
            Self::InputRefused => f.write_str(
                "what you type is thrown away from here on: the node takes nothing, and no more can be kept",
            ),
        }
    }
}

fn time_of_day(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % (24 * 60 * 60);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// The words of a program for what happens to a session.
///
/// They go to standard output if the session's [`Streams`](crate::Streams) are merged, else to standard error. In a
/// shell or command nothing is said unless standard input is a terminal, and in a session that is one connection over
/// standard input and output nothing at all.
pub trait Texts: fmt::Debug + Send {
    /// The text to be printed exactly as it is, line ends included; `None` if there is nothing to say.
    fn text(&self, news: &News<'_>) -> Option<String> {
        Some(format!("{news}\n"))
    }
}

/// The plain sentences, one a line.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainTexts;

impl Texts for PlainTexts {}

#[cfg(test)]
mod tests {
    use ssm_session_proto::LocalEnd;

    use super::*;

    #[tokio::test]
    async fn what_happens_is_told_in_one_line_each() {
        let at = LocalListener::open(LocalEnd::Port(0)).unwrap();
        let port = at.port().unwrap();
        let opened = News::Opened {
            form: PortForm::Multiplexed,
            at: &at,
        };
        assert_eq!(
            PlainTexts.text(&opened).unwrap(),
            format!("port {port} is open, waiting for connections\n")
        );
        assert_eq!(
            News::Overrun.to_string(),
            "one connection was ended because its program did not read for 4 MiB"
        );
    }

    #[test]
    fn a_lost_connection_is_told_with_its_time() {
        let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let reason = "it \x1b[2J broke";
        assert_eq!(
            News::Disconnected { at, reason }.to_string(),
            "the connection is lost since 22:13:20 UTC (it \u{fffd}[2J broke); the session is being resumed, press Ctrl-C to give up"
        );
        let after = Duration::from_millis(2500);
        let told = News::Reconnected { after }.to_string();
        assert_eq!(told, "reconnected after 2 s");
    }

    #[test]
    fn a_local_end_that_cannot_be_had_is_told_without_control_characters() {
        let error = CannotListen::NoUnixSockets("/tmp/\x1b[2J\nx".to_owned());
        let told = News::CannotListen(&error).to_string();
        assert!(!told.contains(['\x1b', '\n']), "{told}");
    }
}
