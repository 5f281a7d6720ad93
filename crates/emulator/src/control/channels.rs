//! The emulator's own operation on data channels: none of AWS's.

use serde::Deserialize;
use serde::Serialize;

use crate::error::ServiceError;
use crate::gateway::ChannelClose;
use crate::service::Service;
use crate::sessions::Existence;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CloseChannel {
    session_id: Option<String>,
    #[serde(default)]
    how: ChannelClose,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClosedChannels {
    closed: usize,
}

impl Service {
    /// Closes the data channel of a session, or of all.
    pub(super) async fn close_channel(
        &self,
        request: CloseChannel,
    ) -> Result<ClosedChannels, ServiceError> {
        let session_id = request.session_id.as_deref();
        if let Some(id) = session_id
            && self.sessions.existence(id) == Existence::Unknown
        {
            return Err(ServiceError::unknown_session(id));
        }
        let closed = self.close_channels(request.how, session_id).await;
        Ok(ClosedChannels { closed })
    }
}
