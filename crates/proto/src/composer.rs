//! Gives messages what no state machine should reach for: a time, an identity, a nonce.

use std::time::Instant;

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::Rng as _;
use rand_chacha::rand_core::SeedableRng as _;
use uuid::Builder;
use uuid::Uuid;

use crate::message::Flags;
use crate::message::Message;
use crate::message::MessageType;
use crate::message::PayloadType;
use crate::message::SequenceNumber;
use crate::time::WallClock;

/// Composes the messages of one end.
#[derive(Debug)]
pub(crate) struct Composer {
    clock: WallClock,
    random: ChaCha12Rng,
}

impl Composer {
    pub(crate) fn new(clock: WallClock, seed: [u8; 32]) -> Self {
        Self {
            clock,
            random: ChaCha12Rng::from_seed(seed),
        }
    }

    /// A random UUID.
    pub(crate) fn uuid(&mut self) -> Uuid {
        Builder::from_random_bytes(self.random_bytes()).into_uuid()
    }

    pub(crate) fn random_bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    /// A message with a place in a stream.
    pub(crate) fn stream_data(
        &mut self,
        message_type: MessageType,
        sequence_number: SequenceNumber,
        (payload_type, payload): (PayloadType, Bytes),
        now: Instant,
    ) -> Message {
        // The agent marks its first message; the Go client marks none.
        let first = sequence_number == SequenceNumber::FIRST;
        let flags = if first && message_type == MessageType::OUTPUT_STREAM_DATA {
            Flags::SYN
        } else {
            Flags::NONE
        };
        let message = self.aside(message_type, payload, now);
        Message {
            sequence_number,
            flags,
            payload_type,
            ..message
        }
    }

    /// A message outside the streams: acknowledgement or session state.
    pub(crate) fn aside(
        &mut self,
        message_type: MessageType,
        payload: impl Into<Bytes>,
        now: Instant,
    ) -> Message {
        Message::aside(
            message_type,
            payload.into(),
            self.uuid(),
            self.clock.at(now),
        )
    }
}
