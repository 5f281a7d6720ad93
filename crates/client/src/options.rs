//! What a session is made from.

use std::fmt;
use std::sync::Arc;

use ssm_session_proto::Secret;
use uuid::Uuid;

use crate::data_keys::DataKeys;
use crate::timeouts::Timeouts;
use crate::trust::Trust;
use crate::url::StreamUrl;

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
    /// The target, exactly as it was given to StartSession. Encrypted sessions cannot do without.
    pub target: Option<String>,
    /// Names this client to the service; a random one unless given.
    pub client_id: Option<Uuid>,
    /// Where data keys come from. Without it, sessions whose document names a KMS key fail.
    pub data_keys: Option<Arc<dyn DataKeys>>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Certificate authorities.
    pub trust: Trust,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("target", &self.target)
            .field("client_id", &self.client_id)
            .field("data_keys", &self.data_keys.is_some())
            .field("timeouts", &self.timeouts)
            .field("trust", &self.trust)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::PlainPolicy;

    fn start(session_id: &str) -> SessionStart {
        SessionStart {
            session_id: session_id.to_owned(),
            stream_url: StreamUrl::parse("wss://example.com", PlainPolicy::Loopback).unwrap(),
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
