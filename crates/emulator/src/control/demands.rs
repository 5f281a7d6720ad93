//! The emulator's own operations, none of AWS's: what goes wrong on demand.

use serde::Deserialize;
use serde::Serialize;

use crate::error::ServiceError;
use crate::gateway::ChannelClose;
use crate::plan::ConnectFault;
use crate::plan::Failure;
use crate::plan::InvalidConnectFault;
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct FreezeAgent {
    session_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Agents {
    agents: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SetFaults {
    #[serde(default)]
    stall: Vec<String>,
    #[serde(default)]
    cut: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Set {}

impl Service {
    /// Closes the data channel of a session, or of all.
    pub(super) async fn close_channel(
        &self,
        request: CloseChannel,
    ) -> Result<ClosedChannels, ServiceError> {
        let session_id = self.known(request.session_id.as_deref())?;
        let closed = self.close_channels(request.how, session_id).await;
        Ok(ClosedChannels { closed })
    }

    /// Freezes or thaws the agent of a session, or of all.
    pub(super) async fn freeze_agent(
        &self,
        frozen: bool,
        request: FreezeAgent,
    ) -> Result<Agents, ServiceError> {
        let session_id = self.known(request.session_id.as_deref())?;
        let agents = self.freeze_agents(frozen, session_id).await;
        Ok(Agents { agents })
    }

    /// Replaces the faults of connecting.
    pub(super) fn set_faults(&self, request: SetFaults) -> Result<Set, ServiceError> {
        let read = |failure, texts: Vec<String>| {
            let faults = texts.into_iter();
            faults.map(move |text| ConnectFault::parse(failure, &text))
        };
        let faults = read(Failure::Stall, request.stall)
            .chain(read(Failure::Cut, request.cut))
            .collect::<Result<_, InvalidConnectFault>>()
            .map_err(|error| ServiceError::validation(error.to_string()))?;
        self.connect_faults.set(faults);
        Ok(Set {})
    }

    fn known<'a>(&self, session_id: Option<&'a str>) -> Result<Option<&'a str>, ServiceError> {
        match session_id {
            Some(id) if self.sessions.existence(id) == Existence::Unknown => {
                Err(ServiceError::unknown_session(id))
            }
            known => Ok(known),
        }
    }
}
