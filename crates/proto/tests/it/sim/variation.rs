//! What a run may have on top of what its kind and seed have in store.

use std::time::Duration;

use ssm_session_proto::AgentWays;

use super::faults::Outage;
use super::faults::Pause;
use super::faults::Standstill;
use super::scenario::Ending;
use super::scenario::Kind;
use super::scenario::Scenario;
use crate::link::Faults;
use crate::link::up_to;
use crate::support::random::Random;

/// Most bytes of a stream where it takes an agent as slow as AWS's minutes to make good a loss.
const LARGEST_BY_HEAD: usize = 30_000;
/// Most bytes either way where everything is done to them.
const LARGEST_OF_ALL: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variation {
    /// A bad path, or one that is only slow, and connections that go away.
    Plain,
    /// The client loses one connection after the other.
    Cuts,
    /// Both ends do, until they know each other.
    EarlyCuts,
    /// An agent as odd as AWS's.
    AwsAgent,
    /// And a client that loses one connection after the other.
    AwsAgentCuts,
    /// Ends that stand still: suspended, or with somebody who does not read.
    Standstills,
    /// Pauses of publication that nobody gave cause for.
    Pauses,
    /// Megabytes, on a path that has time for them.
    Large,
    /// All of it at once, but with little data.
    Everything,
}

impl Variation {
    pub(super) const ALL: [Self; 9] = [
        Self::Plain,
        Self::Cuts,
        Self::EarlyCuts,
        Self::AwsAgent,
        Self::AwsAgentCuts,
        Self::Standstills,
        Self::Pauses,
        Self::Large,
        Self::Everything,
    ];
}

impl Scenario {
    pub(super) fn vary(&mut self, variation: Variation) {
        self.variation = variation;
        match variation {
            Variation::Plain => {}
            Variation::Cuts => self.add_cuts(),
            Variation::EarlyCuts => self.add_early_cuts(),
            Variation::AwsAgent => self.be_odd(),
            Variation::AwsAgentCuts => {
                self.be_odd();
                self.add_cuts();
            }
            Variation::Standstills => self.add_standstills(),
            Variation::Pauses => self.add_pauses(),
            Variation::Large => self.grow(),
            Variation::Everything => {
                self.add_standstills();
                self.add_pauses();
                let random = &mut self.random(0xa11);
                if random.chance(500) {
                    self.be_odd();
                }
                if random.chance(500) {
                    self.add_cuts();
                } else {
                    self.add_early_cuts();
                }
                self.limit(LARGEST_OF_ALL);
            }
        }
    }

    fn random(&self, salt: u64) -> Random {
        Random::new(self.seed ^ salt)
    }

    /// An agent that ends at once has two seconds, and cannot wait for what is added.
    fn take_time(&mut self) {
        if self.ending == Ending::AgentFinishesAtOnce {
            self.ending = Ending::AgentFinishes;
        }
    }

    fn add_cuts(&mut self) {
        let mut random = self.random(0xc07);
        let cuts = 20 + random.below(20);
        self.outages
            .extend((0..cuts).map(|_| Outage::cut(&mut random)));
        self.take_time();
    }

    fn add_early_cuts(&mut self) {
        let mut random = self.random(0xea1);
        let joined = self.client_joins.max(self.agent_joins);
        let cuts = 5 + random.below(20);
        self.outages
            .extend((0..cuts).map(|_| Outage::early_cut(&mut random, joined)));
        self.take_time();
    }

    fn be_odd(&mut self) {
        let mut random = self.random(0x0dd);
        self.ways = AgentWays {
            head_only: true,
            keeps_after: if random.chance(500) {
                up_to(&mut random, 100)
            } else {
                Duration::ZERO
            },
        };
        self.limit(LARGEST_BY_HEAD);
        self.take_time();
    }

    fn add_standstills(&mut self) {
        let mut random = self.random(0x571);
        // Or a handshake could take longer than agents wait for it.
        self.outages.truncate(2);
        let [early, late] = [0, 1].map(|_| random.below(3));
        self.standstills = (0..early).map(|_| Standstill::early(&mut random)).collect();
        self.late_standstills = (0..=late).map(|_| Standstill::late(&mut random)).collect();
        self.clock_first = random.chance(500);
        self.take_time();
    }

    fn add_pauses(&mut self) {
        let mut random = self.random(0x9a5);
        let pauses = 1 + random.below(6);
        self.pauses = (0..pauses).map(|_| Pause::random(&mut random)).collect();
        self.take_time();
    }

    fn grow(&mut self) {
        let mut random = self.random(0x1a6);
        let mut path = || Faults {
            delay: up_to(&mut random, 60),
            jitter: up_to(&mut random, 20),
            lost: u32::try_from(random.below(8)).unwrap(),
            repeated: u32::try_from(random.below(8)).unwrap(),
            held: u32::try_from(random.below(4)).unwrap(),
            bottleneck: None,
        };
        (self.to_agent, self.to_client) = (path(), path());
        if self.kind == Kind::MULTIPLEXED {
            self.add_streams(6_000_000, &mut random);
        } else {
            for size in [&mut self.input, &mut self.stdout, &mut self.stderr] {
                if *size > 0 {
                    *size = 300_000 + random.below(2_000_000);
                }
            }
        }
        self.pace = Duration::ZERO;
        self.take_time();
    }

    /// Makes what is written no longer than `largest`.
    fn limit(&mut self, largest: usize) {
        for size in [&mut self.input, &mut self.stdout, &mut self.stderr] {
            *size = (*size).min(largest);
        }
        if self.kind == Kind::MULTIPLEXED {
            let mut random = self.random(0x117);
            self.add_streams(largest, &mut random);
        }
    }
}
