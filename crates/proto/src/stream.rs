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
use recv::ReorderBuffer;
use rtt::RttEstimator;
use send::Acknowledged;
use send::SendBuffer;

/// Acknowledgements that wait for a blocked connection. Beyond that they are not given: the
/// peer sends again and is acknowledged then.
const MAX_ACKNOWLEDGEMENTS: usize = 16_384;

/// Both directions of stream data as one end sees them.
pub(crate) struct ReliableStream {
    outgoing: MessageType,
    send: SendBuffer,
    recv: ReorderBuffer,
    rtt: RttEstimator,
    acknowledgements: VecDeque<Acknowledge>,
    /// Since when the peer has owed an acknowledgement and given none.
    unanswered_since: Option<Instant>,
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
            unanswered_since: None,
            connected: false,
            publication: Publication::Started,
            pause_limit,
        }
    }

    /// A new connection is open: everything unacknowledged is sent over it.
    pub(crate) fn handle_connected(&mut self, now: Instant) {
        self.connected = true;
        self.unanswered_since = (!self.send.is_empty()).then_some(now);
        self.publication = Publication::Started;
        self.send.restart();
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
        self.recv.advance();
        self.acknowledge(acknowledgement);
    }

    /// The message that was kept and whose turn has come. It was acknowledged when it came, so
    /// it is consumed by being taken.
    pub(crate) fn take_next(&mut self) -> Option<Message> {
        let message = self.recv.take_next()?;
        self.recv.advance();
        Some(message)
    }

    pub(crate) fn handle_acknowledge(&mut self, acknowledge: &Acknowledge, now: Instant) {
        self.resume_publication();
        let number = acknowledge.sequence_number();
        let acknowledged = self.send.acknowledge(number, self.rtt.tolerance(), now);
        if let Acknowledged::Removed(round_trip) = acknowledged {
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

    /// The peer shows that it is there and lacks something: everything unacknowledged is sent
    /// again at once.
    pub(crate) fn repeat(&mut self) {
        self.send.restart();
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
mod tests {
    use super::*;
    use crate::message::SequenceNumber;
    use crate::test_clock::composer;
    use crate::test_clock::epoch;

    struct End {
        stream: ReliableStream,
        composer: Composer,
    }

    impl End {
        fn new(outgoing: MessageType) -> Self {
            let mut stream = ReliableStream::new(outgoing, Some(Duration::from_secs(10)));
            stream.handle_connected(epoch());
            Self {
                stream,
                composer: composer(1),
            }
        }

        fn send(&mut self, payload: &'static [u8]) {
            self.stream
                .send(PayloadType::OUTPUT, payload, &mut self.composer, epoch());
        }

        fn transmit(&mut self, now: Instant) -> Vec<Message> {
            std::iter::from_fn(|| self.stream.poll_transmit(&mut self.composer, now))
                .map(|frame| Message::decode(&frame).unwrap())
                .collect()
        }

        /// Processes what is next at once; the numbers acknowledged.
        fn receive(&mut self, message: Message) -> Vec<i64> {
            let acknowledgement = Acknowledge::of(&message);
            if let Arrival::Next(_) = self.stream.handle_message(message) {
                self.stream.accept(acknowledgement);
                while self.stream.take_next().is_some() {}
            }
            self.transmit(epoch()).iter().map(acknowledged).collect()
        }
    }

    fn acknowledged(message: &Message) -> i64 {
        assert_eq!(message.message_type, MessageType::ACKNOWLEDGE);
        Acknowledge::from_json(&message.payload)
            .unwrap()
            .sequence_number()
            .0
    }

    fn client_and_agent() -> (End, End) {
        (
            End::new(MessageType::INPUT_STREAM_DATA),
            End::new(MessageType::OUTPUT_STREAM_DATA),
        )
    }

    #[test]
    fn duplicate_output_is_acknowledged_again() {
        let (mut client, mut agent) = client_and_agent();
        agent.send(b"a");
        let message = agent.transmit(epoch()).remove(0);
        assert_eq!(client.receive(message.clone()), [0]);
        assert_eq!(client.receive(message), [0]);
    }

    #[test]
    fn early_messages_are_acknowledged_and_handed_out_in_order() {
        let (mut client, mut agent) = client_and_agent();
        agent.send(b"a");
        agent.send(b"b");
        let messages = agent.transmit(epoch());
        assert_eq!(client.receive(messages[1].clone()), [1]);
        assert_eq!(client.receive(messages[0].clone()), [0]);
        agent.send(b"c");
        assert_eq!(client.receive(agent.transmit(epoch()).remove(0)), [2]);
    }

    #[test]
    fn an_acknowledgement_that_overtakes_the_send_is_not_lost() {
        let (mut client, _) = client_and_agent();
        client.send(b"a");
        let message = client.transmit(epoch()).remove(0);
        client
            .stream
            .handle_acknowledge(&Acknowledge::of(&message), epoch());
        assert!(client.stream.is_acknowledged());
        assert_eq!(client.stream.poll_timeout(), None);
    }

    #[test]
    fn a_pause_holds_data_but_not_acknowledgements() {
        let (mut client, mut agent) = client_and_agent();
        client.send(b"a");
        agent.send(b"b");
        let input = client.transmit(epoch()).remove(0);
        agent.stream.handle_message(Message {
            sequence_number: SequenceNumber(-1),
            ..input
        });
        agent.stream.pause_publication(epoch());
        let sent = agent.transmit(epoch());
        assert_eq!(sent.iter().map(acknowledged).collect::<Vec<_>>(), [-1]);
    }

    #[test]
    fn any_sign_of_the_peer_ends_a_pause() {
        let (mut client, mut agent) = client_and_agent();
        client.send(b"a");
        let input = client.transmit(epoch()).remove(0);
        agent.send(b"b");
        agent.stream.pause_publication(epoch());
        let early = Message {
            sequence_number: SequenceNumber(5),
            ..input
        };
        assert_eq!(agent.stream.handle_message(early), Arrival::Kept);
        assert_eq!(
            agent.transmit(epoch()).len(),
            2,
            "the acknowledgement and the data"
        );
    }

    #[test]
    fn a_pause_without_a_word_lapses_at_its_limit() {
        let (mut client, _) = client_and_agent();
        client.send(b"a");
        client.stream.pause_publication(epoch());
        let end = client.stream.poll_timeout().unwrap();
        assert_eq!(end, epoch() + Duration::from_secs(10));
        client.stream.handle_timeout(end);
        assert_eq!(client.transmit(end).len(), 1);
    }

    /// Whoever waits for a blocked socket must not be called again and again meanwhile.
    #[test]
    fn once_called_for_an_overdue_acknowledgement_it_asks_for_no_more_until_something_is_sent() {
        let (mut client, _) = client_and_agent();
        client.send(b"a");
        assert_eq!(client.transmit(epoch()).len(), 1);
        let due = client.stream.poll_timeout().unwrap();
        client.stream.handle_timeout(due);
        assert_eq!(client.stream.poll_timeout(), None);
        assert_eq!(client.transmit(due).len(), 1, "it is sent again");
        assert!(client.stream.poll_timeout().unwrap() > due);
    }

    #[test]
    fn a_peer_owes_an_answer_from_the_first_message_or_the_last_answer_on() {
        let (mut client, _) = client_and_agent();
        assert_eq!(client.stream.unanswered_since(), None);
        client.send(b"a");
        client.send(b"b");
        let messages = client.transmit(epoch());
        assert_eq!(client.stream.unanswered_since(), Some(epoch()));
        let later = epoch() + Duration::from_secs(1);
        for (message, owes) in messages.iter().zip([Some(later), None]) {
            client
                .stream
                .handle_acknowledge(&Acknowledge::of(message), later);
            assert_eq!(client.stream.unanswered_since(), owes);
        }
    }

    #[test]
    fn without_a_connection_nobody_owes_an_answer_and_with_the_next_it_counts_anew() {
        let (mut client, _) = client_and_agent();
        client.send(b"a");
        client.stream.handle_disconnected();
        client.send(b"b");
        assert_eq!(client.stream.unanswered_since(), None);
        let later = epoch() + Duration::from_secs(1);
        client.stream.handle_connected(later);
        assert_eq!(client.stream.unanswered_since(), Some(later));
    }

    #[test]
    fn state_survives_a_new_connection() {
        let (mut client, _) = client_and_agent();
        client.send(b"a");
        let before = client.transmit(epoch());
        client.stream.handle_disconnected();
        client.send(b"b");
        assert_eq!(client.transmit(epoch()), []);
        assert_eq!(client.stream.poll_timeout(), None);
        client.stream.handle_connected(epoch());
        let after = client.transmit(epoch());
        assert_eq!(after[0], before[0], "the same message, bit for bit");
        assert_eq!(after[1].sequence_number, SequenceNumber(1));
    }

    #[test]
    fn waiting_acknowledgements_are_bounded() {
        let (mut client, mut agent) = client_and_agent();
        agent.send(b"a");
        let message = agent.transmit(epoch()).remove(0);
        for _ in 0..MAX_ACKNOWLEDGEMENTS + 10 {
            if let Arrival::Next(message) = client.stream.handle_message(message.clone()) {
                client.stream.accept(Acknowledge::of(&message));
            }
        }
        assert_eq!(client.transmit(epoch()).len(), MAX_ACKNOWLEDGEMENTS);
    }
}
