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
        let end = if random.chance(500) {
            Side::Client
        } else {
            Side::Agent
        };
        Self {
            end,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Agent,
}
