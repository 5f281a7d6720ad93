//! What can go wrong between the ends.

use std::time::Duration;

use crate::support::clock::MS;
use crate::support::random::Random;

/// What one direction of the path does to messages. Chances are in a thousand.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    /// The least a message takes.
    pub(super) delay: Duration,
    /// What is added at random, at the most.
    pub(super) jitter: Duration,
    pub(super) lost: u32,
    pub(super) repeated: u32,
    /// How many are held back, so that later ones overtake them.
    pub(super) held: u32,
}

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
        }
    }

    /// Nothing is lost, so that an agent which ends has time enough.
    pub(super) fn gentle(random: &mut Random) -> Self {
        Self {
            lost: 0,
            ..Self::random(random)
        }
    }
}

/// A connection that goes away for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) end: Side,
    pub(super) at: Duration,
    pub(super) length: Duration,
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
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Agent,
}

pub(super) fn up_to(random: &mut Random, ms: usize) -> Duration {
    MS * u32::try_from(random.below(ms + 1)).unwrap()
}
