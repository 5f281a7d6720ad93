//! One direction of the path between the ends.

use std::collections::BTreeMap;
use std::time::Instant;

use ssm_session_proto::Frame;

use super::faults::Faults;
use super::faults::up_to;
use crate::support::clock::epoch;
use crate::support::random::Random;

/// Messages under way.
pub(super) struct Link {
    faults: Faults,
    random: Random,
    under_way: BTreeMap<(Instant, u64), Frame>,
    sent: u64,
    /// When the last message arrives that nothing overtakes.
    last: Instant,
}

impl Link {
    pub(super) fn new(faults: Faults, random: Random) -> Self {
        Self {
            faults,
            random,
            under_way: BTreeMap::new(),
            sent: 0,
            last: epoch(),
        }
    }

    /// Takes a message of one end, with all that may happen to it.
    pub(super) fn carry(&mut self, frame: Frame, now: Instant) {
        if self.random.chance(self.faults.lost) {
            return;
        }
        if self.random.chance(self.faults.repeated) {
            let again = now + self.faults.delay + up_to(&mut self.random, 400);
            self.put(frame.clone(), again);
        }
        if self.random.chance(self.faults.held) {
            let held = now + self.faults.delay + up_to(&mut self.random, 400);
            self.put(frame, held);
        } else {
            self.carry_surely(frame, now);
        }
    }

    /// Takes a message of the service itself, which stands at the end of the path: it arrives,
    /// behind everything that is not held back.
    pub(super) fn carry_surely(&mut self, frame: Frame, now: Instant) {
        let jitter = self
            .faults
            .jitter
            .mul_f64(f64::from(self.random.byte()) / 255.0);
        self.last = self.last.max(now + self.faults.delay + jitter);
        self.put(frame, self.last);
    }

    fn put(&mut self, frame: Frame, at: Instant) {
        self.sent += 1;
        self.under_way.insert((at, self.sent), frame);
    }

    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    /// A message that has arrived by now.
    pub(super) fn arrival(&mut self, now: Instant) -> Option<Frame> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
