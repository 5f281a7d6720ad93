//! Puts arriving messages in order (docs/PROTOCOL.md 4.2).

use std::collections::BTreeMap;

use crate::message::Message;
use crate::message::OVERHEAD;
use crate::message::SequenceNumber;

/// How far ahead of the expected message one may be and still be kept.
///
/// After an outage an agent's lost messages return ten a second while new ones overtake them at
/// 600 (docs/PROTOCOL.md 4.5): three minutes of that must fit.
const MAX_MESSAGES: usize = 100_000;
/// Most bytes, headers included, kept for messages that came early.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Messages that came before their turn, and the number whose turn it is.
#[derive(Debug)]
pub(super) struct ReorderBuffer {
    expected: SequenceNumber,
    early: BTreeMap<SequenceNumber, Message>,
    bytes: usize,
}

/// What an arriving message is to the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The one expected. It is not consumed until [`ReorderBuffer::advance`].
    Next(Message),
    /// It came early and is kept.
    Kept,
    /// It came before, whether consumed or kept.
    Duplicate,
    /// There is no room for it; the sender will send it again.
    Refused,
}

impl ReorderBuffer {
    pub(super) fn new() -> Self {
        Self {
            expected: SequenceNumber::FIRST,
            early: BTreeMap::new(),
            bytes: 0,
        }
    }

    pub(super) fn offer(&mut self, message: Message) -> Arrival {
        let Some(distance) = message.sequence_number.distance_from(self.expected) else {
            return Arrival::Duplicate;
        };
        if self.early.contains_key(&message.sequence_number) {
            return Arrival::Duplicate;
        }
        if distance == 0 {
            return Arrival::Next(message);
        }
        let bytes = self.bytes.saturating_add(weight(&message));
        if distance >= MAX_MESSAGES || bytes > MAX_BYTES {
            return Arrival::Refused;
        }
        self.bytes = bytes;
        self.early.insert(message.sequence_number, message);
        Arrival::Kept
    }

    /// Whether messages are kept that wait for one before them.
    pub(super) fn has_gap(&self) -> bool {
        !self.early.is_empty()
    }

    /// Whether the message whose turn it is is kept.
    pub(super) fn has_next(&self) -> bool {
        self.early.contains_key(&self.expected)
    }

    /// Consumes the expected number.
    pub(super) fn advance(&mut self) {
        self.expected = self.expected.next();
    }

    /// Takes out the kept message whose turn it is.
    pub(super) fn take_next(&mut self) -> Option<Message> {
        let message = self.early.remove(&self.expected)?;
        self.bytes = self.bytes.saturating_sub(weight(&message));
        Some(message)
    }
}

fn weight(message: &Message) -> usize {
    message.payload.len().saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::message::Flags;
    use crate::message::MessageType;
    use crate::message::PayloadType;
    use crate::time::UnixMillis;

    fn message(number: i64, payload: impl Into<Bytes>) -> Message {
        Message {
            message_type: MessageType::OUTPUT_STREAM_DATA,
            schema_version: 1,
            created: UnixMillis(1),
            sequence_number: SequenceNumber(number),
            flags: Flags::NONE,
            id: Uuid::nil(),
            payload_type: PayloadType::OUTPUT,
            payload: payload.into(),
        }
    }

    #[test]
    fn a_message_at_the_edges_of_the_numbers_is_a_duplicate_or_refused() {
        let mut buffer = ReorderBuffer::new();
        assert_eq!(buffer.offer(message(i64::MIN, "")), Arrival::Duplicate);
        assert_eq!(buffer.offer(message(-1, "")), Arrival::Duplicate);
        assert_eq!(buffer.offer(message(i64::MAX, "")), Arrival::Refused);
        assert_eq!(buffer.offer(message(99_999, "")), Arrival::Kept);
        assert_eq!(buffer.offer(message(100_000, "")), Arrival::Refused);
    }

    #[test]
    fn kept_bytes_are_bounded_and_given_back() {
        let mut buffer = ReorderBuffer::new();
        let half = Bytes::from(vec![0; MAX_BYTES / 2 - OVERHEAD]);
        assert_eq!(buffer.offer(message(1, half.clone())), Arrival::Kept);
        assert_eq!(buffer.offer(message(2, half)), Arrival::Kept);
        assert_eq!(buffer.offer(message(3, "x")), Arrival::Refused);
        buffer.advance();
        assert!(buffer.take_next().is_some());
        assert_eq!(buffer.offer(message(3, "x")), Arrival::Kept);
    }

    #[test]
    fn the_expected_message_is_offered_again_until_it_is_consumed() {
        let mut buffer = ReorderBuffer::new();
        assert_eq!(
            buffer.offer(message(0, "a")),
            Arrival::Next(message(0, "a"))
        );
        assert_eq!(
            buffer.offer(message(0, "b")),
            Arrival::Next(message(0, "b"))
        );
        buffer.advance();
        assert_eq!(buffer.offer(message(0, "b")), Arrival::Duplicate);
    }

    #[test]
    fn a_message_that_is_kept_stays_a_duplicate_when_its_turn_has_come() {
        let mut buffer = ReorderBuffer::new();
        assert_eq!(buffer.offer(message(1, "a")), Arrival::Kept);
        assert!(!buffer.has_next());
        buffer.advance();
        assert!(buffer.has_next());
        assert_eq!(buffer.offer(message(1, "a")), Arrival::Duplicate);
        assert_eq!(buffer.take_next(), Some(message(1, "a")));
        assert!(!buffer.has_next());
    }

    proptest! {
        #[test]
        fn any_order_with_repeats_comes_out_in_order(
            order in Just((0..40_i64).collect::<Vec<_>>()).prop_shuffle(),
            repeats in proptest::collection::vec(0..40_i64, 0..40),
        ) {
            let mut buffer = ReorderBuffer::new();
            let mut out = Vec::new();
            for number in repeats.iter().chain(&order) {
                if let Arrival::Next(message) = buffer.offer(message(*number, "x")) {
                    buffer.advance();
                    out.push(message.sequence_number.0);
                }
                while let Some(message) = buffer.take_next() {
                    buffer.advance();
                    out.push(message.sequence_number.0);
                }
            }
            prop_assert_eq!(out, (0..40).collect::<Vec<_>>());
        }
    }
}
