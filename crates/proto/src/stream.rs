//! The reliable stream: numbers, keeps, orders and acknowledges messages, the same at both ends
//! (docs/PROTOCOL.md 4).
//!
//! ```text
//!  send ──► SendBuffer ──► poll_transmit        handle_message ──► ReorderBuffer ──► in order
//!               ▲                                     │
//!      handle_acknowledge                        acknowledgements ──► poll_transmit
//! ```
//!
//! It differs from both reference ends on purpose: a message is kept before it is sent, so that
//! a fast acknowledgement finds it; everything lost is sent again and not the oldest alone; what
//! is on its way is governed by delay and loss and not by a pause after each message; duplicates are acknowledged again, because the acknowledgement may have been what was lost.

mod congestion;
mod recv;
mod rtt;
mod send;

pub(crate) use recv::Arrival;

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use tracing::trace;

use crate::composer::Composer;
use crate::message::Acknowledge;
use crate::message::Message;
use crate::message::MessageType;
use crate::message::OVERHEAD;
use crate::message::PayloadType;
use crate::message::SequenceNumber;
use crate::session::AgentWays;
use recv::ReorderBuffer;
use rtt::RttEstimator;
use send::Acknowledged;
use send::SendBuffer;

/// Acknowledgements that wait for a blocked connection. Beyond that they are not given: the
/// peer sends again and is acknowledged then.
const MAX_ACKNOWLEDGEMENTS: usize = 16_384;

/// Bytes of kept messages that are handed out at a time, headers included. After an outage the one
/// that was missing may free tens of megabytes, and whoever reads them must have the chance to,
/// before there is too much unread.
const TURN: usize = 1024 * 1024;

/// Both directions of stream data as one end sees them.
pub(crate) struct ReliableStream {
    outgoing: MessageType,
    send: SendBuffer,
    recv: ReorderBuffer,
    rtt: RttEstimator,
    acknowledgements: VecDeque<Acknowledge>,
    /// When kept messages were last handed out, and how many bytes of them.
    turn: Option<(Instant, usize)>,
    /// Since when the peer has owed an acknowledgement and given none.
    unanswered_since: Option<Instant>,
    /// Messages that were consumed, and messages that were acknowledged.
    progress: u64,
    connected: bool,
    publication: Publication,
    /// How long a pause without any sign of the peer is believed; for ever if absent.
    pause_limit: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Publication {
    Started,
    PausedSince(Instant),
}

impl ReliableStream {
    /// A stream whose own messages are of type `outgoing`.
    pub(crate) fn new(outgoing: MessageType, pause_limit: Option<Duration>) -> Self {
        Self {
            outgoing,
            send: SendBuffer::new(),
            recv: ReorderBuffer::new(),
            rtt: RttEstimator::default(),
            acknowledgements: VecDeque::new(),
            turn: None,
            unanswered_since: None,
            progress: 0,
            connected: false,
            publication: Publication::Started,
            pause_limit,
        }
    }

    /// The stream, as odd as it is told to be.
    pub(crate) fn with_ways(mut self, ways: AgentWays) -> Self {
        self.send = SendBuffer::with_ways(ways);
        self
    }

    /// A new connection is open: everything unacknowledged is sent over it.
    pub(crate) fn handle_connected(&mut self, now: Instant) {
        self.connected = true;
        self.unanswered_since = (!self.send.is_empty()).then_some(now);
        self.publication = Publication::Started;
        self.send.restart(now);
    }

    /// The connection is gone. State stays; the peer repeats what we did not acknowledge.
    pub(crate) fn handle_disconnected(&mut self) {
        self.connected = false;
        self.unanswered_since = None;
        self.acknowledgements.clear();
    }

    /// Whether a payload of `length` bytes is within bounds and could be sent soon.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.send.has_room(length.saturating_add(OVERHEAD))
    }

    /// The writer has more than there is room for.
    pub(crate) fn on_limited(&mut self) {
        self.send.on_limited();
    }

    /// Bytes that may be on their way.
    pub(crate) fn congestion_window(&self) -> usize {
        self.send.congestion_window()
    }

    /// Acknowledgements since something was lost or the connection was new.
    pub(crate) fn clean_acknowledgements(&self) -> usize {
        self.send.clean_acknowledgements()
    }

    /// Whether a message sent before is still unacknowledged.
    pub(crate) fn is_unacknowledged(&self, number: SequenceNumber) -> bool {
        self.send.contains(number)
    }

    /// Whether the peer has acknowledged everything.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.send.is_empty()
    }

    /// Numbers a payload, queues it and tells the number. Callers with data ask [`has_room`](Self::has_room)
    /// first; the few messages of the protocol itself may exceed the bound.
    pub(crate) fn send(
        &mut self,
        payload_type: PayloadType,
        payload: impl Into<Bytes>,
        composer: &mut Composer,
        now: Instant,
    ) -> SequenceNumber {
        let number = self.send.next_number();
        let content = (payload_type, payload.into());
        let message = composer.stream_data(self.outgoing, number, content, now);
        self.send.push(message.encode());
        if self.connected {
            self.unanswered_since.get_or_insert(now);
        }
        number
    }

    /// Puts another payload in the place of one that is not acknowledged. The caller answers
    /// for it that the peer may have taken either.
    pub(crate) fn replace(
        &mut self,
        number: SequenceNumber,
        content: (PayloadType, Bytes),
        composer: &mut Composer,
        now: Instant,
    ) {
        let message = composer.stream_data(self.outgoing, number, content, now);
        self.send.replace(number, message.encode());
    }

    /// Takes a stream message of the peer. What is not refused or the next one is acknowledged
    /// here; the next one by [`accept`](Self::accept), once it was processed.
    pub(crate) fn handle_message(&mut self, message: Message) -> Arrival {
        self.resume_publication();
        let (kind, id, number) = (message.message_type, message.id, message.sequence_number);
        let arrival = self.recv.offer(message);
        if matches!(arrival, Arrival::Kept | Arrival::Duplicate) {
            self.acknowledge(Acknowledge::new(kind, id, number));
        }
        arrival
    }

    /// The next message was processed: acknowledges it and moves on.
    pub(crate) fn accept(&mut self, acknowledgement: Acknowledge) {
        self.advance();
        self.acknowledge(acknowledgement);
    }

    /// Begins to hand out kept messages, [`TURN`] of them at the most.
    pub(crate) fn begin_turn(&mut self, now: Instant) {
        self.turn = Some((now, 0));
    }

    /// The message that was kept and whose turn has come. It was acknowledged when it came, so
    /// it is consumed by being taken.
    pub(crate) fn take_next(&mut self) -> Option<Message> {
        let (_, taken) = self.turn.as_mut().filter(|(_, taken)| *taken < TURN)?;
        let message = self.recv.take_next()?;
        *taken = taken.saturating_add(message.payload.len().saturating_add(OVERHEAD));
        self.advance();
        Some(message)
    }

    /// When to go on handing out kept messages, if a turn left some.
    pub(crate) fn next_turn(&self) -> Option<Instant> {
        let (at, _) = self.turn.filter(|_| self.recv.has_next())?;
        Some(at)
    }

    pub(crate) fn handle_acknowledge(&mut self, acknowledge: &Acknowledge, now: Instant) {
        self.resume_publication();
        let number = acknowledge.sequence_number();
        let acknowledged = self.send.acknowledge(number, self.rtt.tolerance(), now);
        if let Acknowledged::Removed(round_trip) = acknowledged {
            self.progress = self.progress.wrapping_add(1);
            self.unanswered_since = (!self.send.is_empty()).then_some(now);
            if let Some(round_trip) = round_trip {
                self.rtt.sample(round_trip);
            }
        }
    }

    /// Since when the peer has owed an acknowledgement on this connection without giving any.
    pub(crate) fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered_since
    }

    /// A number that changes with every message that was consumed and every one acknowledged.
    pub(crate) fn progress(&self) -> u64 {
        self.progress
    }

    /// The peer shows that it is there and lacks something: everything unacknowledged is sent
    /// again at once.
    pub(crate) fn repeat(&mut self) {
        self.send.repeat();
    }

    /// Whether a message of the peer is missing that others came behind.
    pub(crate) fn has_gap(&self) -> bool {
        self.recv.has_gap()
    }

    /// Whether there is a connection.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    /// The service says that the peer is away.
    pub(crate) fn pause_publication(&mut self, now: Instant) {
        self.publication = Publication::PausedSince(now);
    }

    /// The service, or a sign of life, says that the peer is there.
    pub(crate) fn resume_publication(&mut self) {
        self.publication = Publication::Started;
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.publication != Publication::Started
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.pause_ends().is_some_and(|end| end <= now) {
            self.resume_publication();
        }
        if self.connected && !self.is_paused() {
            self.lose_overdue(now);
        }
    }

    /// Acknowledgements first, then what was lost, then what is new.
    pub(crate) fn poll_transmit(&mut self, composer: &mut Composer, now: Instant) -> Option<Bytes> {
        if !self.connected {
            return None;
        }
        if let Some(acknowledgement) = self.acknowledgements.pop_front() {
            let payload = acknowledgement.to_json();
            return Some(
                composer
                    .aside(MessageType::ACKNOWLEDGE, payload, now)
                    .encode(),
            );
        }
        if self.is_paused() {
            return None;
        }
        self.lose_overdue(now);
        self.send.poll_transmit(now)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if !self.connected {
            return None;
        }
        if self.is_paused() {
            return self.pause_ends();
        }
        self.send.next_due(self.rtt.timeout())
    }

    fn advance(&mut self) {
        self.recv.advance();
        self.progress = self.progress.wrapping_add(1);
    }

    fn lose_overdue(&mut self, now: Instant) {
        if self.send.handle_timeout(self.rtt.timeout(), now) {
            trace!("acknowledgements are overdue");
            self.rtt.on_timeout(now);
        }
    }

    fn pause_ends(&self) -> Option<Instant> {
        match self.publication {
            Publication::Started => None,
            Publication::PausedSince(since) => Some(since + self.pause_limit?),
        }
    }

    fn acknowledge(&mut self, acknowledgement: Acknowledge) {
        if self.connected && self.acknowledgements.len() < MAX_ACKNOWLEDGEMENTS {
            self.acknowledgements.push_back(acknowledgement);
        }
    }
}

#[cfg(test)]
mod tests;
