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
#[derive(Clone, Debug)]
pub struct SessionStart {
    /// Names the session, to the service and in the encryption context.
    pub session_id: String,
    /// Where its WebSocket is.
    pub stream_url: StreamUrl,
    /// What admits us there.
    pub token: Secret,
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
