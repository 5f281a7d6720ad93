//! What can go wrong between the ends.

use std::time::Duration;

use crate::link::Bottleneck;
use crate::link::Faults;
use crate::link::up_to;
use crate::support::clock::MS;
use crate::support::random::Random;

impl Faults {
    pub(super) fn random(random: &mut Random) -> Self {
        let mut chance = |of, end| {
            if random.chance(of) {
                random.below(end)
            } else {
                0
            }
        };
        let rates = [chance(600, 100), chance(500, 200), chance(500, 300)];
        let [lost, repeated, held] = rates.map(|rate| u32::try_from(rate).unwrap());
        Self {
            delay: up_to(random, 120),
            jitter: up_to(random, 60),
            lost,
            repeated,
            held,
            bottleneck: None,
        }
    }

    /// Nothing is lost, so that an agent which ends has time enough.
    pub(super) fn gentle(random: &mut Random) -> Self {
        Self {
            lost: 0,
            ..Self::random(random)
        }
    }

    /// Whether megabytes would take minutes.
    pub(super) fn is_slow(&self) -> bool {
        self.lost + self.held > 20 || self.bottleneck.is_some()
    }
}

impl Bottleneck {
    /// From a poor mobile connection to a good one, with a queue of up to a second.
    pub(super) fn random(random: &mut Random) -> Self {
        let rate = 50_000 + u32::try_from(random.below(2_000_000)).unwrap();
        let queue = rate / 1000 * (50 + u32::try_from(random.below(950)).unwrap());
        Self { rate, queue }
    }
}

/// A connection that goes away for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) end: Side,
    pub(super) at: Duration,
    pub(super) length: Duration,
    /// Whether everything under way is lost with the connection.
    pub(super) cut: bool,
}

impl Outage {
    pub(super) fn random(random: &mut Random) -> Self {
        Self {
            end: Side::random(random),
            at: up_to(random, 4000),
            length: up_to(random, 2500) + MS,
            cut: false,
        }
    }

    /// The client's connection is cut, and soon there is another, as often as not at once.
    pub(super) fn cut(random: &mut Random) -> Self {
        let longest = if random.chance(500) { 0 } else { 400 };
        Self {
            end: Side::Client,
            at: up_to(random, 5000),
            length: up_to(random, longest) + MS,
            cut: true,
        }
    }

    /// Either connection is cut while the ends get to know each other, `joined` after the
    /// beginning.
    pub(super) fn early_cut(random: &mut Random, joined: Duration) -> Self {
        Self {
            end: Side::random(random),
            at: joined + up_to(random, 1500),
            length: up_to(random, 60) + MS,
            cut: true,
        }
    }
}

/// An end that stands still for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standstill {
    pub(super) end: Side,
    pub(super) at: Duration,
    pub(super) length: Duration,
    /// All of its process, as when it is suspended; else it only takes no frames, as when whoever
    /// reads from it does not (docs/PROTOCOL.md 4.2).
    pub(super) whole: bool,
}

impl Standstill {
    /// One in which no handshake runs into its limits, and nobody can be said not to read yet.
    pub(super) fn early(random: &mut Random) -> Self {
        let end = Side::random(random);
        Self {
            end,
            at: up_to(random, 4000),
            length: up_to(random, 1500) + MS,
            whole: end == Side::Client || random.chance(500),
        }
    }

    /// One in an established session, counted from there.
    pub(super) fn late(random: &mut Random) -> Self {
        let longest = if random.chance(200) { 40_000 } else { 3000 };
        Self {
            end: Side::random(random),
            at: up_to(random, 3000),
            length: up_to(random, longest) + MS,
            whole: random.chance(500),
        }
    }
}

/// The service says that the peer of an end is away, and that it is there again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    pub(super) end: Side,
    pub(super) at: Duration,
    /// Absent for one that is never taken back, which a client has to get over.
    pub(super) length: Option<Duration>,
}

impl Pause {
    pub(super) fn random(random: &mut Random) -> Self {
        let end = Side::random(random);
        let length = up_to(random, 2000) + MS;
        let taken_back = end == Side::Agent || random.chance(700);
        Self {
            end,
            at: up_to(random, 6000),
            length: taken_back.then_some(length),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Agent,
}

impl Side {
    fn random(random: &mut Random) -> Self {
        if random.chance(500) {
            Self::Client
        } else {
            Self::Agent
        }
    }
}
