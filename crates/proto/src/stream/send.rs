//! What was written and is not acknowledged: numbered, kept, sent, and sent again when due.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;

use crate::message::SequenceNumber;

/// Most messages between the oldest unacknowledged one and the newest.
///
/// Agents keep 100,000 early messages, the Go client 10,000; more than that in flight would be
/// refused and sent again.
const MAX_MESSAGES: usize = 4096;
/// Most bytes, headers included, that wait for acknowledgement.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The unacknowledged messages of one direction.
///
/// Invariant: `window[i]` holds the message numbered `oldest + i`, or nothing once that one is
/// acknowledged; its first entry is never empty.
pub(super) struct SendBuffer {
    oldest: SequenceNumber,
    window: VecDeque<Option<Unacknowledged>>,
    /// Index in `window` of the first message not sent on this connection.
    unsent: usize,
    /// Sendings of this connection, oldest first; those overtaken by events are skipped.
    sendings: VecDeque<Sending>,
    bytes: usize,
}

struct Unacknowledged {
    frame: Bytes,
    /// How often it was sent, over all connections.
    sendings: u32,
    last_sent: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    number: SequenceNumber,
    at: Instant,
}

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// Nothing: the number was acknowledged before, or is not on its way.
    Unknown,
    /// A message left the window. The round trip is known if it was sent once.
    Removed(Option<Duration>),
}

impl SendBuffer {
    pub(super) fn new() -> Self {
        Self {
            oldest: SequenceNumber::FIRST,
            window: VecDeque::new(),
            unsent: 0,
            sendings: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The number that the next message takes.
    pub(super) fn next_number(&self) -> SequenceNumber {
        let length = i64::try_from(self.window.len()).unwrap_or(i64::MAX);
        SequenceNumber(self.oldest.0.saturating_add(length))
    }

    /// Whether a frame of `length` bytes would be within bounds.
    pub(super) fn has_room(&self, length: usize) -> bool {
        self.window.len() < MAX_MESSAGES && self.bytes.saturating_add(length) <= MAX_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Keeps the frame that carries [`next_number`](Self::next_number), before it is ever sent.
    pub(super) fn push(&mut self, frame: Bytes) {
        self.bytes = self.bytes.saturating_add(frame.len());
        self.window.push_back(Some(Unacknowledged {
            frame,
            sendings: 0,
            last_sent: None,
        }));
    }

    /// The next frame not yet sent on this connection.
    pub(super) fn poll_unsent(&mut self, now: Instant) -> Option<Bytes> {
        while self.unsent < self.window.len() {
            let at = self.unsent;
            self.unsent = self.unsent.saturating_add(1);
            if let Some(frame) = self.send(at, now) {
                return Some(frame);
            }
        }
        None
    }

    /// The next frame whose acknowledgement is overdue by `timeout`.
    pub(super) fn poll_due(&mut self, timeout: Duration, now: Instant) -> Option<Bytes> {
        while let Some(&sending) = self.sendings.front() {
            let current = self.is_current(sending);
            if current && sending.at + timeout > now {
                return None;
            }
            self.sendings.pop_front();
            if current {
                return self.send(sending.number.distance_from(self.oldest)?, now);
            }
        }
        None
    }

    /// When the next acknowledgement becomes overdue.
    pub(super) fn next_due(&self, timeout: Duration) -> Option<Instant> {
        let current = self
            .sendings
            .iter()
            .find(|sending| self.is_current(**sending))?;
        Some(current.at + timeout)
    }

    pub(super) fn acknowledge(&mut self, number: SequenceNumber, now: Instant) -> Acknowledged {
        let Some(entry) = number
            .distance_from(self.oldest)
            .and_then(|at| self.window.get_mut(at))
            .and_then(|slot| slot.take_if(|entry| entry.sendings > 0))
        else {
            return Acknowledged::Unknown;
        };
        self.bytes = self.bytes.saturating_sub(entry.frame.len());
        while self.window.front().is_some_and(Option::is_none) {
            self.window.pop_front();
            self.oldest = self.oldest.next();
            self.unsent = self.unsent.saturating_sub(1);
        }
        let once = entry.last_sent.filter(|_| entry.sendings == 1);
        Acknowledged::Removed(once.map(|at| now.saturating_duration_since(at)))
    }

    /// A new connection: everything is to be sent again.
    pub(super) fn restart(&mut self) {
        self.unsent = 0;
        self.sendings.clear();
    }

    fn send(&mut self, at: usize, now: Instant) -> Option<Bytes> {
        let entry = self.window.get_mut(at)?.as_mut()?;
        entry.sendings = entry.sendings.saturating_add(1);
        entry.last_sent = Some(now);
        let number = SequenceNumber(self.oldest.0.saturating_add(i64::try_from(at).ok()?));
        self.sendings.push_back(Sending { number, at: now });
        Some(entry.frame.clone())
    }

    fn is_current(&self, sending: Sending) -> bool {
        sending
            .number
            .distance_from(self.oldest)
            .and_then(|at| self.window.get(at)?.as_ref())
            .is_some_and(|entry| entry.last_sent == Some(sending.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::epoch;

    const TIMEOUT: Duration = Duration::from_millis(200);

    fn frame(number: u8) -> Bytes {
        Bytes::copy_from_slice(&[number])
    }

    fn sent(count: u8) -> SendBuffer {
        let mut buffer = SendBuffer::new();
        for number in 0..count {
            buffer.push(frame(number));
            assert_eq!(buffer.poll_unsent(epoch()), Some(frame(number)));
        }
        buffer
    }

    #[test]
    fn everything_due_is_sent_again_and_not_the_oldest_alone() {
        let mut buffer = sent(3);
        assert_eq!(
            buffer.acknowledge(SequenceNumber(1), epoch()),
            Acknowledged::Removed(Some(Duration::ZERO))
        );
        let due = epoch() + TIMEOUT;
        assert_eq!(
            buffer.poll_due(TIMEOUT, due - Duration::from_nanos(1)),
            None
        );
        assert_eq!(buffer.poll_due(TIMEOUT, due), Some(frame(0)));
        assert_eq!(buffer.poll_due(TIMEOUT, due), Some(frame(2)));
        assert_eq!(buffer.poll_due(TIMEOUT, due), None);
        assert_eq!(buffer.next_due(TIMEOUT), Some(due + TIMEOUT));
    }

    #[test]
    fn a_message_sent_twice_gives_no_round_trip() {
        let mut buffer = sent(1);
        let later = epoch() + TIMEOUT;
        assert!(buffer.poll_due(TIMEOUT, later).is_some());
        assert_eq!(
            buffer.acknowledge(SequenceNumber(0), later),
            Acknowledged::Removed(None)
        );
        assert!(buffer.is_empty());
        assert_eq!(buffer.next_due(TIMEOUT), None);
    }

    #[test]
    fn acknowledgements_of_unknown_numbers_do_nothing() {
        let mut buffer = sent(1);
        buffer.push(frame(1));
        for number in [i64::MIN, -1, 1, 2, i64::MAX] {
            assert_eq!(
                buffer.acknowledge(SequenceNumber(number), epoch()),
                Acknowledged::Unknown
            );
        }
        assert_eq!(buffer.next_number(), SequenceNumber(2));
    }

    #[test]
    fn the_window_refuses_when_it_is_full_and_takes_more_when_the_oldest_is_acknowledged() {
        let mut buffer = SendBuffer::new();
        while buffer.has_room(1) {
            buffer.push(frame(0));
            assert!(buffer.poll_unsent(epoch()).is_some());
        }
        assert_eq!(buffer.next_number(), SequenceNumber(4096));
        buffer.acknowledge(SequenceNumber(1), epoch());
        assert!(!buffer.has_room(1), "the oldest still holds the window");
        buffer.acknowledge(SequenceNumber(0), epoch());
        assert!(buffer.has_room(1));
    }

    #[test]
    fn the_window_is_bounded_in_bytes() {
        let mut buffer = SendBuffer::new();
        buffer.push(Bytes::from(vec![0; MAX_BYTES - 1]));
        assert!(buffer.has_room(1));
        assert!(!buffer.has_room(2));
    }

    #[test]
    fn a_new_connection_sends_the_whole_window_again_in_order() {
        let mut buffer = sent(3);
        buffer.acknowledge(SequenceNumber(1), epoch());
        buffer.restart();
        assert_eq!(buffer.poll_unsent(epoch()), Some(frame(0)));
        assert_eq!(buffer.poll_unsent(epoch()), Some(frame(2)));
        assert_eq!(buffer.poll_unsent(epoch()), None);
        assert_eq!(
            buffer.acknowledge(SequenceNumber(0), epoch()),
            Acknowledged::Removed(None)
        );
    }
}
