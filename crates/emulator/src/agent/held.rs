//! Input that has to wait for the command.

use std::collections::VecDeque;

use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;

/// Input frames the machine has not been shown, because the command has not taken what came before.
///
/// The real agent stops reading its socket there, acknowledgements included, which is harmless only because it
/// keeps 100,000 messages of output. With any window that fits in memory, a command that copies its input to its
/// output would stand still: its output waits for acknowledgements, those for the input in front of them, and
/// the input for the command. So only input waits here, and not without end: what is forgotten was never
/// acknowledged, and the client sends it again.
#[derive(Debug, Default)]
pub(super) struct HeldInput {
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl HeldInput {
    /// Keeps `frame` if it is input; gives it back if it is not.
    pub(super) fn hold(&mut self, frame: Frame) -> Option<Frame> {
        let message = Message::decode_undigested(frame.as_bytes());
        if !message.is_ok_and(|message| message.message_type == MessageType::INPUT_STREAM_DATA) {
            return Some(frame);
        }
        let length = frame.as_bytes().len();
        if self.bytes.saturating_add(length) <= MAX_BYTES {
            self.bytes += length;
            self.frames.push_back(frame);
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The frame that has waited longest.
    pub(super) fn release(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.as_bytes().len();
        Some(frame)
    }
}

/// As much as our own client has on its way.
const MAX_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ssm_session_proto::Flags;
    use ssm_session_proto::PayloadType;
    use ssm_session_proto::SequenceNumber;
    use ssm_session_proto::UnixMillis;
    use ssm_session_proto::service;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn input_waits_in_order_and_nothing_else_does() {
        let mut held = HeldInput::default();
        let (first, second) = (input(b"first"), input(b"second"));
        assert_eq!(held.hold(first.clone()), None);
        assert_eq!(held.hold(second.clone()), None);
        let pause = service::pause_publication(Uuid::nil(), UnixMillis(1));
        assert_eq!(held.hold(pause.clone()), Some(pause));
        assert_eq!(held.release(), Some(first));
        assert_eq!(held.release(), Some(second));
        assert_eq!(held.release(), None);
    }

    #[test]
    fn what_does_not_fit_is_forgotten_until_there_is_room() {
        let mut held = HeldInput::default();
        let large = input(&vec![0; MAX_BYTES / 2]);
        assert_eq!(held.hold(large.clone()), None);
        assert_eq!(held.hold(large.clone()), None);
        assert_eq!(held.frames.len(), 1);
        assert_eq!(held.release(), Some(large.clone()));
        assert_eq!(held.hold(large), None);
        assert!(!held.is_empty());
    }

    /// A stream message as a client sends it.
    fn input(payload: &[u8]) -> Frame {
        let message = Message {
            message_type: MessageType::INPUT_STREAM_DATA,
            schema_version: 1,
            created: UnixMillis(1),
            sequence_number: SequenceNumber::FIRST,
            flags: Flags::NONE,
            id: Uuid::nil(),
            payload_type: PayloadType::OUTPUT,
            payload: Bytes::copy_from_slice(payload),
        };
        Frame::Binary(message.encode())
    }
}
