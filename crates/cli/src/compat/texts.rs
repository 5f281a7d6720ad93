//! The texts during a session; those of forwards are in `docs/PROTOCOL.md` 7.5 to 7.7.

use ssm_session_proto::LocalEnd;
use ssm_session_proto::PortForm;
use ssm_session_terminal::LocalListener;
use ssm_session_terminal::News;
use ssm_session_terminal::Texts;
use ssm_session_terminal::sanitised;

use super::cannot_start;
use crate::report;

/// The words of AWS's plugin. Where it has none, there are none, for callers read standard output; only a user at a
/// terminal is told when the far end cannot be reached.
#[derive(Debug)]
pub(crate) struct PluginTexts {
    /// As it is shown to the user.
    pub shown_id: String,
    /// Whether a user, and no program, sits at the other end of standard input and output.
    pub at_terminal: bool,
}

impl Texts for PluginTexts {
    fn text(&self, news: &News<'_>) -> Option<String> {
        let id = &self.shown_id;
        Some(match news {
            News::Opened {
                form: PortForm::Basic,
                at,
            } => format!("{} opened for sessionId {id}.\n", end(at)),
            News::Opened { at, .. } => format!(
                "{} opened for sessionId {id}.\nWaiting for connections...\n",
                end(at)
            ),
            // Once in either form: in the basic one AWS's plugin says it before it forwards the first connection, and
            // takes the next ones without a word.
            News::Accepted {
                form: PortForm::Basic,
            } => format!("Connection accepted for session {id}.\n"),
            News::Accepted { .. } => format!("\nConnection accepted for session [{id}]\n"),
            News::Refused => REFUSED.to_owned(),
            News::Ending => "Terminate signal received, exiting.\n".to_owned(),
            News::CannotListen(_) => cannot_start(&news.to_string()),
            News::Disconnected { .. }
            | News::Reconnected { .. }
            | News::Unresponsive { .. }
            | News::Responsive { .. }
                if self.at_terminal =>
            {
                report::line(&news.to_string())
            }
            _ => return None,
        })
    }
}

fn end(at: &LocalListener) -> String {
    match (at.end(), at.port()) {
        (LocalEnd::UnixSocket(path), _) => format!("Unix socket {}", sanitised(path)),
        (LocalEnd::Port(port), bound) => format!("Port {}", bound.unwrap_or(*port)),
    }
}

const REFUSED: &str = "\nConnection to destination port failed, check SSM Agent logs.\n";

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    use ssm_session_terminal::CannotListen;
    use ssm_session_terminal::EscapeChar;
    use ssm_session_terminal::WayOut;

    use super::*;

    fn text(news: &News<'_>) -> Option<String> {
        texts(false).text(news)
    }

    fn texts(at_terminal: bool) -> PluginTexts {
        PluginTexts {
            shown_id: "s-1".to_owned(),
            at_terminal,
        }
    }

    #[tokio::test]
    async fn an_open_port_is_told_as_each_form_has_it() {
        let at = &LocalListener::open(LocalEnd::Port(0)).unwrap();
        let port = at.port().unwrap();
        let form = PortForm::Multiplexed;
        assert_eq!(
            text(&News::Opened { form, at }).unwrap(),
            format!("Port {port} opened for sessionId s-1.\nWaiting for connections...\n")
        );
        let form = PortForm::Basic;
        assert_eq!(
            text(&News::Opened { form, at }).unwrap(),
            format!("Port {port} opened for sessionId s-1.\n")
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_open_socket_is_told_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket").display().to_string();
        let at = &LocalListener::open(LocalEnd::UnixSocket(path.clone())).unwrap();
        let form = PortForm::Multiplexed;
        assert_eq!(
            text(&News::Opened { form, at }).unwrap(),
            format!("Unix socket {path} opened for sessionId s-1.\nWaiting for connections...\n")
        );
    }

    #[test]
    fn what_the_plugin_has_no_words_for_is_told_at_a_terminal_alone() {
        let after = Duration::from_secs(5);
        let way_out = WayOut {
            interrupt: true,
            escape: EscapeChar::NONE,
        };
        for (news, words) in [
            (
                News::Disconnected {
                    at: UNIX_EPOCH,
                    reason: "it broke",
                    way_out,
                },
                "the connection is lost since 00:00:00 UTC; press Ctrl-C",
            ),
            (News::Reconnected { after }, "reconnected after 5 s"),
            (
                News::Unresponsive {
                    at: UNIX_EPOCH,
                    way_out,
                },
                "the node has taken nothing since 00:00:00 UTC",
            ),
            (
                News::Responsive { after },
                "the node answers again after 5 s",
            ),
        ] {
            assert_eq!(text(&news), None);
            let told = texts(true).text(&news).unwrap();
            let expected = format!("session-manager-plugin: {words}");
            assert!(
                told.starts_with(&expected) && told.ends_with('\n'),
                "{told}"
            );
        }
    }

    #[test]
    fn the_other_texts_are_the_plugins_to_the_letter() {
        let accepted = |form| text(&News::Accepted { form }).unwrap();
        assert_eq!(
            accepted(PortForm::Multiplexed),
            "\nConnection accepted for session [s-1]\n"
        );
        assert_eq!(
            accepted(PortForm::Basic),
            "Connection accepted for session s-1.\n"
        );
        assert_eq!(text(&News::Refused).unwrap(), REFUSED);
        assert_eq!(text(&News::Overrun), None);
        let error = CannotListen::NoUnixSockets("/x".to_owned());
        let told = text(&News::CannotListen(&error)).unwrap();
        assert!(
            told.starts_with(
                "Cannot perform start session: the local end is to be the Unix socket /x"
            ),
            "{told}"
        );
    }
}
