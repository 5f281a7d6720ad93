//! One direction of the path between the ends, and what can go wrong on it.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use ssm_session_proto::Frame;

use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::random::Random;

/// What one direction of the path does to messages. Chances are in a thousand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The least a message takes.
    pub(crate) delay: Duration,
    /// What is added at random, at the most.
    pub(crate) jitter: Duration,
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    /// How many are held back, so that later ones overtake them.
    pub(crate) held: u32,
    pub(crate) bottleneck: Option<Bottleneck>,
}

/// The slowest part of the path, before which messages queue up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bottleneck {
    /// Bytes per second.
    pub(crate) rate: u32,
    /// Bytes that wait before it until the sender's socket takes no more.
    pub(crate) queue: u32,
}

impl Bottleneck {
    fn time_of(self, bytes: usize) -> Duration {
        let bytes = u32::try_from(bytes).unwrap();
        Duration::from_secs(1).mul_f64(f64::from(bytes) / f64::from(self.rate))
    }
}

/// Messages under way.
pub(crate) struct Link {
    faults: Faults,
    random: Random,
    under_way: BTreeMap<(Instant, u64), Frame>,
    sent: u64,
    /// When the last message arrives that nothing overtakes.
    last: Instant,
    /// When the bottleneck is done with all it was given.
    idle: Instant,
}

impl Link {
    pub(crate) fn new(faults: Faults, random: Random) -> Self {
        Self {
            faults,
            random,
            under_way: BTreeMap::new(),
            sent: 0,
            last: epoch(),
            idle: epoch(),
        }
    }

    /// When the path takes another message; in the past if at once.
    pub(crate) fn ready(&self) -> Instant {
        let Some(bottleneck) = self.faults.bottleneck else {
            return epoch();
        };
        let queue = bottleneck.time_of(usize::try_from(bottleneck.queue).unwrap());
        self.idle.checked_sub(queue).unwrap_or_else(epoch)
    }

    /// Takes a message of one end, with all that may happen to it.
    pub(crate) fn carry(&mut self, frame: Frame, now: Instant) {
        let now = self.pass_bottleneck(&frame, now);
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
    pub(crate) fn carry_surely(&mut self, frame: Frame, now: Instant) {
        let jitter = self
            .faults
            .jitter
            .mul_f64(f64::from(self.random.byte()) / 255.0);
        self.last = self.last.max(now + self.faults.delay + jitter);
        self.put(frame, self.last);
    }

    /// Nothing that is under way arrives before `at`.
    pub(crate) fn stall_until(&mut self, at: Instant) {
        self.last = self.last.max(at);
        for ((due, number), frame) in std::mem::take(&mut self.under_way) {
            self.under_way.insert((due.max(at), number), frame);
        }
    }

    /// The connection is gone, and everything under way with it.
    pub(crate) fn clear(&mut self) {
        self.under_way.clear();
    }

    /// When the bottleneck has let a message through.
    fn pass_bottleneck(&mut self, frame: &Frame, now: Instant) -> Instant {
        let Some(bottleneck) = self.faults.bottleneck else {
            return now;
        };
        self.idle = self.idle.max(now) + bottleneck.time_of(frame.as_bytes().len());
        self.idle
    }

    fn put(&mut self, frame: Frame, at: Instant) {
        self.sent += 1;
        self.under_way.insert((at, self.sent), frame);
    }

    pub(crate) fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    /// A message that has arrived by now.
    pub(crate) fn arrival(&mut self, now: Instant) -> Option<Frame> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

pub(crate) fn up_to(random: &mut Random, ms: usize) -> Duration {
    MS * u32::try_from(random.below(ms + 1)).unwrap()
}
