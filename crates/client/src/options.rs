//! What a session is made from.

use std::fmt;
use std::sync::Arc;

use ssm_session_proto::Secret;
use uuid::Uuid;

use crate::connector::Connector;
use crate::control_plane::ControlPlane;
use crate::control_plane::SessionAccess;
use crate::stream_policy::StreamPolicy;
use crate::timeouts::Timeouts;
use crate::timeouts::TimeoutsError;
use crate::url::StreamUrl;
use crate::url::StreamUrlError;
use crate::url::check_token;

/// What StartSession answered (docs/PROTOCOL.md, 1.1).
#[derive(Clone)]
pub struct SessionStart {
    /// Names the session in the encryption context and in logs.
    pub session_id: String,
    /// Where its WebSocket is.
    pub stream_url: StreamUrl,
    /// What admits us there.
    pub token: Secret,
}

impl SessionStart {
    /// From what StartSession answered, if its address is one that `policy` allows.
    ///
    /// # Errors
    ///
    /// [`StreamUrlError`] says what is wrong with the address, or with the length of the token.
    pub fn new(access: SessionAccess, policy: &StreamPolicy) -> Result<Self, StreamUrlError> {
        check_token(&access.token)?;
        Ok(Self {
            session_id: access.session_id,
            stream_url: StreamUrl::parse(access.stream_url.expose(), policy)?,
            token: access.token,
        })
    }

    /// The id, which some callers fill with the token: then a stand-in, for ids are shown and
    /// leave this process.
    pub fn id(&self) -> &str {
        if self.session_id == self.token.expose() {
            return "(not shown: it is the token)";
        }
        &self.session_id
    }
}

impl fmt::Debug for SessionStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStart")
            .field("session_id", &self.id())
            .field("stream_url", &self.stream_url)
            .finish_non_exhaustive()
    }
}

/// Everything about a session that is ours to choose.
#[derive(Clone, Default)]
pub struct Options {
    /// The target, exactly as it was given to StartSession. Encrypted sessions cannot do without:
    /// where it is not given, DescribeSessions is asked for it.
    pub target: Option<String>,
    /// Names this client to the service; a random one unless given.
    pub client_id: Option<Uuid>,
    /// AWS's API. Without it the session's connection is not signed and not resumed, sessions
    /// whose document names a KMS key fail, and some can only be left and not ended.
    pub control_plane: Option<Arc<dyn ControlPlane>>,
    /// Whether the connection is left unsigned even where there are credentials.
    pub unsigned: bool,
    /// Makes the session's connections.
    pub connector: Connector,
    /// Where a resumed session may lead.
    pub stream_policy: StreamPolicy,
    /// Time limits, except for those of the connector.
    pub timeouts: Timeouts,
}

impl Options {
    /// The same options with limits that clocks can count, unless they make no sense.
    pub(crate) fn checked(self) -> Result<Self, TimeoutsError> {
        self.timeouts.check()?;
        let timeouts = self.timeouts.bounded();
        Ok(Self { timeouts, ..self })
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("target", &self.target)
            .field("client_id", &self.client_id)
            .field("control_plane", &self.control_plane.is_some())
            .field("unsigned", &self.unsigned)
            .field("connector", &self.connector)
            .field("stream_policy", &self.stream_policy)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(session_id: &str) -> SessionStart {
        SessionStart {
            session_id: session_id.to_owned(),
            stream_url: StreamUrl::parse("wss://localhost", &StreamPolicy::default()).unwrap(),
            token: Secret::new("the-token"),
        }
    }

    #[test]
    fn a_token_in_place_of_the_id_is_not_shown() {
        assert_eq!(start("s-1").id(), "s-1");
        let shown = format!("{:?} {}", start("the-token"), start("the-token").id());
        assert!(!shown.contains("the-token"), "{shown}");
    }
}
