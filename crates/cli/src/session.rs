//! A session to run, whoever asked for it.

use ssm_session::SessionStart;
use ssm_session_terminal::one_line;
use uuid::Uuid;

use crate::api::ApiSettings;
use crate::port::PortRequest;
use crate::settings::Behaviour;

/// A session that has been started, and all that is needed to connect to it.
#[derive(Debug)]
pub(crate) struct SessionSettings {
    pub start: SessionStart,
    /// As it was named to StartSession, for the encryption context.
    pub target: Option<String>,
    pub client_id: Option<Uuid>,
    pub api: ApiSettings,
    pub behaviour: Behaviour,
    pub port: PortRequest,
}

impl SessionSettings {
    /// The session's id, fit for a terminal.
    pub(crate) fn shown_id(&self) -> String {
        shown_id(&self.start)
    }

    /// The node, or whatever else the session is with.
    pub(crate) fn shown_target(&self) -> String {
        self.target
            .as_deref()
            .map_or_else(|| "the node".to_owned(), one_line)
    }
}

/// A session's id, fit for a terminal.
pub(crate) fn shown_id(start: &SessionStart) -> String {
    let mut shown = one_line(start.id());
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_ID) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// Characters; real ones have about a hundred at most.
const SHOWN_ID: usize = 256;

#[cfg(test)]
mod tests {
    use ssm_session::StreamPolicy;
    use ssm_session::StreamUrl;
    use ssm_session_proto::Secret;

    use super::*;

    fn settings(session_id: &str) -> SessionSettings {
        let url = "wss://ssmmessages.eu-west-1.amazonaws.com/x";
        SessionSettings {
            start: SessionStart {
                session_id: session_id.to_owned(),
                stream_url: StreamUrl::parse(url, &StreamPolicy::default()).unwrap(),
                token: Secret::new("the-token"),
            },
            target: None,
            client_id: None,
            api: ApiSettings::default(),
            behaviour: Behaviour::default(),
            port: PortRequest::default(),
        }
    }

    #[test]
    fn an_ordinary_id_is_shown_as_it_is() {
        assert_eq!(
            settings("user-0123456789abcdef0").shown_id(),
            "user-0123456789abcdef0"
        );
    }

    #[test]
    fn a_token_in_place_of_an_id_is_not_shown() {
        assert!(!settings("the-token").shown_id().contains("the-token"));
    }

    #[test]
    fn nonsense_is_made_fit_for_a_terminal() {
        assert_eq!(settings("a\x1b[2J\nb").shown_id(), "a\u{fffd}[2J b");
        assert_eq!(
            settings(&"x".repeat(1000)).shown_id().chars().count(),
            SHOWN_ID + 1
        );
    }
}
