//! What was written and is not acknowledged: numbered, kept, sent, and sent again when lost.

mod head_only;

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;

use super::congestion::CongestionWindow;
use crate::message::SequenceNumber;
use crate::session::AgentWays;
use head_only::HeadOnly;

/// Most messages between the oldest unacknowledged one and the newest.
///
/// Agents keep 100,000 early messages, the Go client 10,000; more than that in flight would be
/// refused and sent again.
const MAX_MESSAGES: usize = 4096;

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
    /// What is to be sent again, on this connection.
    lost: VecDeque<SequenceNumber>,
    /// Bytes of all unacknowledged messages, headers included.
    bytes: usize,
    /// Bytes of those that are on their way.
    in_flight: usize,
    congestion: CongestionWindow,
    /// Acknowledgements since the last sign of trouble.
    clean: usize,
    /// When a message is kept for good, after it was sent.
    keeps_after: Duration,
    /// Everything else than the oldest message is left alone, as AWS's agent does.
    head_only: Option<HeadOnly>,
}

struct Unacknowledged {
    frame: Bytes,
    /// How often it was sent, over all connections.
    sendings: u32,
    /// When it was sent, if it is on its way.
    sent: Option<Instant>,
}

impl Unacknowledged {
    /// Whether an acknowledgement finds it.
    fn is_kept(&self, keeps_after: Duration, now: Instant) -> bool {
        let early = self.sendings == 1 && self.sent.is_some_and(|at| now < at + keeps_after);
        self.sendings > 0 && !early
    }
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    number: SequenceNumber,
    at: Instant,
}

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// Nothing: the number was acknowledged before, or was never sent.
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
            lost: VecDeque::new(),
            bytes: 0,
            in_flight: 0,
            congestion: CongestionWindow::new(),
            clean: 0,
            keeps_after: Duration::ZERO,
            head_only: None,
        }
    }

    /// A buffer as odd as it is told to be.
    pub(super) fn with_ways(ways: AgentWays) -> Self {
        Self {
            keeps_after: ways.keeps_after,
            head_only: ways.head_only.then(HeadOnly::default),
            ..Self::new()
        }
    }

    /// The number that the next message takes.
    pub(super) fn next_number(&self) -> SequenceNumber {
        let length = i64::try_from(self.window.len()).unwrap_or(i64::MAX);
        SequenceNumber(self.oldest.0.saturating_add(length))
    }

    /// Whether a frame of `length` bytes would be within bounds, and could be sent soon.
    pub(super) fn has_room(&self, length: usize) -> bool {
        if self.head_only.is_some() {
            return self.window.len() < head_only::MAX_MESSAGES;
        }
        self.window.len() < MAX_MESSAGES
            && (self.bytes == 0 || self.bytes.saturating_add(length) <= self.congestion.size())
    }

    /// A writer had more than there was room for.
    pub(super) fn on_limited(&mut self) {
        self.congestion.on_limited();
    }

    /// Bytes that may be on their way.
    pub(super) fn congestion_window(&self) -> usize {
        self.congestion.size()
    }

    /// Acknowledgements since something was last lost or the connection was new.
    pub(super) fn clean_acknowledgements(&self) -> usize {
        self.clean
    }

    pub(super) fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Whether the message of this number is kept.
    pub(super) fn contains(&self, number: SequenceNumber) -> bool {
        number
            .distance_from(self.oldest)
            .and_then(|at| self.window.get(at))
            .is_some_and(Option::is_some)
    }

    /// Keeps the frame that carries [`next_number`](Self::next_number), before it is ever sent.
    pub(super) fn push(&mut self, frame: Bytes) {
        self.bytes = self.bytes.saturating_add(frame.len());
        self.window.push_back(Some(Unacknowledged {
            frame,
            sendings: 0,
            sent: None,
        }));
    }

    /// Puts another frame in the place of one that is kept.
    pub(super) fn replace(&mut self, number: SequenceNumber, frame: Bytes) {
        if let Some(entry) = self.entry(number) {
            let old = std::mem::replace(&mut entry.frame, frame);
            let length = entry.frame.len();
            let on_its_way = entry.sent.is_some();
            self.bytes = self.bytes.saturating_sub(old.len()).saturating_add(length);
            if on_its_way {
                let rest = self.in_flight.saturating_sub(old.len());
                self.in_flight = rest.saturating_add(length);
            }
        }
    }

    /// The next frame to send: lost ones first, as far as the congestion window admits.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        while let Some(&number) = self.lost.front() {
            let Some(length) = self.waiting_length(number) else {
                self.lost.pop_front();
                continue;
            };
            if !self.admits(length) {
                return None;
            }
            self.lost.pop_front();
            return self.send(number, now);
        }
        while self.unsent < self.window.len() {
            let number = self.number_at(self.unsent);
            if let Some(length) = self.waiting_length(number) {
                if !self.admits(length) {
                    return None;
                }
                self.unsent = self.unsent.saturating_add(1);
                return self.send(number, now);
            }
            self.unsent = self.unsent.saturating_add(1);
        }
        None
    }

    /// Takes everything for lost whose acknowledgement is overdue by `timeout`; whether there
    /// was anything.
    pub(super) fn handle_timeout(&mut self, timeout: Duration, now: Instant) -> bool {
        if self.head_only.is_some() {
            self.lose_head_if_due(now);
            return false;
        }
        let mut overdue = false;
        while let Some(&sending) = self.sendings.front() {
            let current = self.is_current(sending);
            if current && sending.at + timeout > now {
                break;
            }
            self.sendings.pop_front();
            if current {
                overdue = true;
                self.lose(sending.number);
            }
        }
        if overdue {
            self.clean = 0;
            self.congestion.on_timeout(now);
        }
        overdue
    }

    /// When the next acknowledgement becomes overdue.
    pub(super) fn next_due(&self, timeout: Duration) -> Option<Instant> {
        if let Some(head_only) = &self.head_only {
            return self.head_due(head_only);
        }
        let current = self
            .sendings
            .iter()
            .find(|sending| self.is_current(**sending))?;
        Some(current.at + timeout)
    }

    /// Messages sent `tolerance` before one that is acknowledged are taken for lost.
    pub(super) fn acknowledge(
        &mut self,
        number: SequenceNumber,
        tolerance: Duration,
        now: Instant,
    ) -> Acknowledged {
        let keeps_after = self.keeps_after;
        let Some(entry) = number
            .distance_from(self.oldest)
            .and_then(|at| self.window.get_mut(at))
            .and_then(|slot| slot.take_if(|entry| entry.is_kept(keeps_after, now)))
        else {
            return Acknowledged::Unknown;
        };
        self.clean = self.clean.saturating_add(1);
        self.bytes = self.bytes.saturating_sub(entry.frame.len());
        while self.window.front().is_some_and(Option::is_none) {
            self.window.pop_front();
            self.oldest = self.oldest.next();
            self.unsent = self.unsent.saturating_sub(1);
        }
        let Some(sent) = entry.sent else {
            return Acknowledged::Removed(None);
        };
        self.in_flight = self.in_flight.saturating_sub(entry.frame.len());
        let once = entry.sendings == 1;
        // Or a burst of losses, sent again, would teach nothing of the path until it is over.
        if once || self.congestion.is_plausible(sent, now) {
            self.congestion.on_acknowledged(sent, now);
            self.lose_sent_before(sent.checked_sub(tolerance), now);
        }
        let round_trip = now.saturating_duration_since(sent);
        Acknowledged::Removed(Some(round_trip).filter(|_| once))
    }

    /// A new connection: everything is to be sent again, and nothing is known of the path.
    pub(super) fn restart(&mut self, now: Instant) {
        if self.head_only.is_some() {
            self.lose_all_but_head(now);
        } else {
            self.repeat();
        }
    }

    /// Everything is to be sent again, unless only the oldest message ever is.
    pub(super) fn repeat(&mut self) {
        if self.head_only.is_some() {
            return;
        }
        self.unsent = 0;
        self.sendings.clear();
        self.lost.clear();
        self.in_flight = 0;
        self.clean = 0;
        for entry in self.window.iter_mut().flatten() {
            entry.sent = None;
        }
        self.congestion = CongestionWindow::new();
    }

    fn lose_sent_before(&mut self, limit: Option<Instant>, now: Instant) {
        let Some(limit) = limit.filter(|_| self.head_only.is_none()) else {
            return;
        };
        while let Some(&sending) = self.sendings.front()
            && (sending.at < limit || !self.is_current(sending))
        {
            self.sendings.pop_front();
            if self.is_current(sending) {
                self.clean = 0;
                self.congestion.on_lost(sending.at, now);
                self.lose(sending.number);
            }
        }
    }

    fn lose(&mut self, number: SequenceNumber) {
        if let Some(entry) = self.entry(number)
            && entry.sent.take().is_some()
        {
            let length = entry.frame.len();
            self.in_flight = self.in_flight.saturating_sub(length);
            self.lost.push_back(number);
        }
    }

    fn admits(&mut self, length: usize) -> bool {
        let admits = self.head_only.is_some()
            || self.in_flight == 0
            || self.in_flight.saturating_add(length) <= self.congestion.size();
        if !admits {
            self.congestion.on_limited();
        }
        admits
    }

    /// The length of a message that is kept and not on its way.
    fn waiting_length(&mut self, number: SequenceNumber) -> Option<usize> {
        let entry = self.entry(number).filter(|entry| entry.sent.is_none())?;
        Some(entry.frame.len())
    }

    fn send(&mut self, number: SequenceNumber, now: Instant) -> Option<Bytes> {
        self.congestion.on_sent(self.in_flight, now);
        let entry = self.entry(number)?;
        entry.sendings = entry.sendings.saturating_add(1);
        entry.sent = Some(now);
        let frame = entry.frame.clone();
        self.in_flight = self.in_flight.saturating_add(frame.len());
        if self.head_only.is_none() {
            self.sendings.push_back(Sending { number, at: now });
        }
        Some(frame)
    }

    fn entry(&mut self, number: SequenceNumber) -> Option<&mut Unacknowledged> {
        let at = number.distance_from(self.oldest)?;
        self.window.get_mut(at)?.as_mut()
    }

    fn number_at(&self, at: usize) -> SequenceNumber {
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        SequenceNumber(self.oldest.0.saturating_add(at))
    }

    fn is_current(&self, sending: Sending) -> bool {
        sending
            .number
            .distance_from(self.oldest)
            .and_then(|at| self.window.get(at)?.as_ref())
            .is_some_and(|entry| entry.sent == Some(sending.at))
    }
}

#[cfg(test)]
mod tests;
