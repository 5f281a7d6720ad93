//! A session to run, whoever asked for it.

use ssm_session::SessionStart;
use ssm_session_terminal::one_line;
use uuid::Uuid;

use crate::port::PortRequest;

/// A session that has been started, and all that is needed to connect to it.
#[derive(Debug)]
pub(crate) struct SessionSettings {
    pub start: SessionStart,
    /// As it was named to StartSession, for the encryption context.
    pub target: Option<String>,
    pub client_id: Option<Uuid>,
    pub region: Option<String>,
    pub profile: Option<String>,
    pub port: PortRequest,
}

impl SessionSettings {
    /// The session's id, fit for a terminal.
    pub(crate) fn shown_id(&self) -> String {
        let mut shown = one_line(self.start.id());
        if let Some((end, _)) = shown.char_indices().nth(SHOWN_ID) {
            shown.truncate(end);
            shown.push('…');
        }
        shown
    }

    /// The region to ask KMS in: the caller's, unless it named none or the pseudo region that some SDKs have; then the
    /// one that stands in the stream's host name.
    pub(crate) fn kms_region(&self) -> Option<&str> {
        let of_host = || {
            self.start
                .stream_url
                .host()
                .strip_prefix("ssmmessages.")?
                .split('.')
                .next()
        };
        match self.region.as_deref() {
            None | Some("" | "aws-global") => of_host(),
            region => region,
        }
    }

    /// The node, or whatever else the session is with.
    pub(crate) fn shown_target(&self) -> String {
        self.target
            .as_deref()
            .map_or_else(|| "the node".to_owned(), one_line)
    }
}

/// Characters; real ones have about a hundred at most.
const SHOWN_ID: usize = 256;

#[cfg(test)]
mod tests {
    use ssm_session::StreamPolicy;
    use ssm_session::StreamUrl;
    use ssm_session_proto::Secret;

    use super::*;

    fn start(session_id: &str, host: &str) -> SessionStart {
        let url = format!("wss://{host}/x");
        SessionStart {
            session_id: session_id.to_owned(),
            stream_url: StreamUrl::parse(&url, &StreamPolicy::default()).unwrap(),
            token: Secret::new("the-token"),
        }
    }

    fn settings(session_id: &str) -> SessionSettings {
        SessionSettings {
            start: start(session_id, "example.com"),
            target: None,
            client_id: None,
            region: None,
            profile: None,
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
    fn the_region_is_the_callers_or_else_the_streams() {
        let region_for = |region: Option<&str>, host: &str| {
            let region = region.map(str::to_owned);
            let settings = SessionSettings {
                start: start("s", host),
                region,
                ..settings("s")
            };
            settings.kms_region().map(str::to_owned)
        };
        let host = "ssmmessages.eu-west-1.amazonaws.com";
        assert_eq!(region_for(Some("us-east-1"), host).unwrap(), "us-east-1");
        assert_eq!(region_for(Some("aws-global"), host).unwrap(), "eu-west-1");
        assert_eq!(region_for(None, host).unwrap(), "eu-west-1");
        assert_eq!(region_for(None, "127.0.0.1:80"), None);
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
