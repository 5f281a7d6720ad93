//! Steps of connecting that fail on demand, as far as they come after the data channel's opening.

use ssm_session_proto::Frame;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;

use super::Gateway;
use super::close::ChannelClose;
use super::decode;
use crate::plan::ConnectStep;
use crate::plan::Failure;

/// The step a client has come to that is sent `frame`, if it shows one.
pub(super) fn step_of(frame: &Frame) -> Option<ConnectStep> {
    let message = decode(frame)?;
    match (message.message_type, message.payload_type) {
        (
            MessageType::OUTPUT_STREAM_DATA,
            PayloadType::HANDSHAKE_REQUEST | PayloadType::ENCRYPTION_CHALLENGE_REQUEST,
        ) => Some(ConnectStep::Handshake),
        (MessageType::OUTPUT_STREAM_DATA, _) => Some(ConnectStep::Established),
        _ => None,
    }
}

impl Gateway {
    /// The client has been sent what shows it that it has come to `step`.
    pub(super) fn client_passed(&mut self, step: ConnectStep) {
        let faults = &self.service.connect_faults;
        let failure = if step == ConnectStep::Handshake {
            // A handshake stalls at its beginning.
            let cut = faults.strikes(Failure::Cut, step);
            cut.then_some(Failure::Cut)
        } else {
            self.established = true;
            faults.strike(step)
        };
        let how = match failure {
            Some(Failure::Stall) => ChannelClose::Silence,
            Some(Failure::Cut) => ChannelClose::Cut,
            None => return,
        };
        self.close_channel(how);
    }
}
