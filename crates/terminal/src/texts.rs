//! What a user reads of a session besides its output, in the words of the program.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use ssm_session_proto::MAX_UNREAD;
use ssm_session_proto::PortForm;

use crate::escape::EscapeChar;
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
    /// The connection was lost, and is being replaced by another; told once that has taken 2 s.
    Disconnected {
        /// When.
        at: SystemTime,
        /// What happened to it.
        reason: &'a str,
        /// How the user can end it all.
        way_out: WayOut,
    },
    /// The session goes on over another connection, after a loss that was told.
    Reconnected {
        /// How long there was none.
        after: Duration,
    },
    /// The service answers, and the agent acknowledges nothing.
    Unresponsive {
        /// When that was noticed.
        at: SystemTime,
        /// How the user can end it all.
        way_out: WayOut,
    },
    /// The agent acknowledges again.
    Responsive {
        /// How long after it was noticed that it does not.
        after: Duration,
    },
    /// What is typed in a shell is kept no more, until the far end takes some of what is kept.
    InputRefused {
        /// How the user can end it all.
        way_out: WayOut,
    },
}

/// How a user at a terminal ends a session while the far end cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// By Ctrl-C, which is not passed on then.
    pub interrupt: bool,
    /// By this character and a full stop, at the start of a line.
    pub escape: EscapeChar,
}

/// As the end of a sentence, with what joins it to the rest; nothing where there is no way out.
impl fmt::Display for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.interrupt, self.escape) {
            (true, EscapeChar::NONE) => f.write_str("; press Ctrl-C to give up"),
            (true, escape) => write!(f, "; press Ctrl-C to give up, or Enter {escape}."),
            (false, EscapeChar::NONE) => Ok(()),
            (false, escape) => write!(f, "; press Enter {escape}. to give up"),
        }
    }
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
            Self::Disconnected {
                at,
                reason,
                way_out,
            } => write!(
                f,
                "the connection is lost since {} UTC{way_out}; the session is being resumed ({})",
                time_of_day(*at),
                one_line(reason)
            ),
            Self::Reconnected { after } => {
                write!(f, "reconnected after {} s", after.as_secs().max(1))
            }
            Self::Unresponsive { at, way_out } => write!(
                f,
                "the node has taken nothing since {} UTC{way_out}; nothing is lost",
                time_of_day(*at)
            ),
            Self::Responsive { after } => {
                write!(f, "the node answers again after {} s", after.as_secs().max(1))
            }
            Self::InputRefused { way_out } => write!(
                f,
                "what you type is refused, no more is kept{way_out}"
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
/// | session | news | how it is told |
/// |---|---|---|
/// | forward | [`Opened`](News::Opened), [`Accepted`](News::Accepted), [`Refused`](News::Refused), [`Overrun`](News::Overrun), [`Ending`](News::Ending), [`CannotListen`](News::CannotListen), [`Disconnected`](News::Disconnected), [`Reconnected`](News::Reconnected), [`Unresponsive`](News::Unresponsive), [`Responsive`](News::Responsive) | [`text`](Self::text), in the order it happens |
/// | shell | [`Disconnected`](News::Disconnected), [`Unresponsive`](News::Unresponsive), [`InputRefused`](News::InputRefused) | [`row`](Self::row), for as long as it is so, if standard input and output are terminals |
/// | command | [`Disconnected`](News::Disconnected), [`Unresponsive`](News::Unresponsive) | the same |
/// | one connection over standard input and output | none | |
///
/// Texts go to standard output if the session's [`Streams`](crate::Streams) are merged, else to standard error.
pub trait Texts: fmt::Debug + Send {
    /// The text to be printed exactly as it is, line ends included; `None` if there is nothing to say.
    fn text(&self, news: &News<'_>) -> Option<String> {
        Some(format!("{news}\n"))
    }

    /// The words for the row that is shown on the terminal while the far end cannot be reached, and goes away by
    /// itself; `None` if nothing is to be shown. What does not fit into the window's width is cut off, so there is no
    /// room for a name. Line ends and control characters are replaced.
    fn row(&self, news: &News<'_>) -> Option<String> {
        Some(news.to_string())
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
        let news = News::Disconnected {
            at,
            reason: "it \x1b[2J broke",
            way_out: WayOut {
                interrupt: true,
                escape: EscapeChar::NONE,
            },
        };
        assert_eq!(
            news.to_string(),
            "the connection is lost since 22:13:20 UTC; press Ctrl-C to give up; the session is being resumed (it \u{fffd}[2J broke)"
        );
        let after = Duration::from_millis(2500);
        let told = News::Reconnected { after }.to_string();
        assert_eq!(told, "reconnected after 2 s");
    }

    /// What is cut off in the narrowest window that is common is the reason.
    #[test]
    fn the_way_out_fits_into_eighty_columns() {
        let at = UNIX_EPOCH;
        let escape = EscapeChar::default();
        let both = WayOut {
            interrupt: true,
            escape,
        };
        let one = WayOut {
            interrupt: false,
            escape,
        };
        let news = [
            News::Disconnected {
                at,
                reason: "it broke",
                way_out: both,
            },
            News::Unresponsive { at, way_out: one },
            News::InputRefused { way_out: both },
        ];
        for news in news {
            let text = news.to_string();
            let end = text.find(" ~.").unwrap() + 3;
            assert!(end <= 80, "{text}");
        }
    }

    #[test]
    fn a_local_end_that_cannot_be_had_is_told_without_control_characters() {
        let error = CannotListen::NoUnixSockets("/tmp/\x1b[2J\nx".to_owned());
        let told = News::CannotListen(&error).to_string();
        assert!(!told.contains(['\x1b', '\n']), "{told}");
    }
}
