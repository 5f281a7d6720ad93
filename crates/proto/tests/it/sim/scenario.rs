//! What happens in a run; all of it follows from the seed.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEncryption;
use ssm_session_proto::AgentWays;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::PortForm;
use ssm_session_proto::SessionType;

use super::faults::Outage;
use super::faults::Pause;
use super::faults::Standstill;
use super::streams::Plan;
use super::variation::Variation;
use crate::link::Bottleneck;
use crate::link::Faults;
use crate::link::up_to;
use crate::support::ends;
use crate::support::random::Random;

/// The kind of session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Shell,
    EncryptedShell(ChallengeMode),
    /// Without terminal, its streams separate.
    Command,
    /// On a terminal; says nothing until it has read all its input.
    SilentCommand,
    Port(PortForm),
}

impl Kind {
    pub(super) const ENCRYPTED_ABSENT: Self = Self::EncryptedShell(ChallengeMode::Absent);
    pub(super) const ENCRYPTED_OFFERED: Self = Self::EncryptedShell(ChallengeMode::Offered);
    pub(super) const ENCRYPTED_REQUIRED: Self = Self::EncryptedShell(ChallengeMode::Required);
    pub(super) const STDIO: Self = Self::Port(PortForm::Stdio);
    pub(super) const BASIC: Self = Self::Port(PortForm::Basic);
    pub(super) const MULTIPLEXED: Self = Self::Port(PortForm::Multiplexed);

    pub(super) const ALL: [Self; 9] = [
        Self::Shell,
        Self::ENCRYPTED_ABSENT,
        Self::ENCRYPTED_OFFERED,
        Self::ENCRYPTED_REQUIRED,
        Self::Command,
        Self::SilentCommand,
        Self::STDIO,
        Self::BASIC,
        Self::MULTIPLEXED,
    ];

    pub(super) fn has_terminal(self) -> bool {
        !matches!(self, Self::Command | Self::Port(_))
    }
}

/// How a run ends once everything has arrived, or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    AgentFinishes,
    /// The agent ends the moment it has written all, as commands do. Its two seconds must be
    /// enough, so that nothing is lost on the way and no connection goes away.
    AgentFinishesAtOnce,
    ClientTerminates,
}

#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) kind: Kind,
    pub(super) variation: Variation,
    pub(super) seed: u64,
    pub(super) to_client: Faults,
    pub(super) to_agent: Faults,
    pub(super) outages: Vec<Outage>,
    /// Counted from the beginning, and from when the session is established.
    pub(super) standstills: Vec<Standstill>,
    pub(super) late_standstills: Vec<Standstill>,
    /// Whether an end looks at its clock before it looks at what has arrived.
    pub(super) clock_first: bool,
    /// When each end connects first.
    pub(super) client_joins: Duration,
    pub(super) agent_joins: Duration,
    /// Whether the service pauses an end whose peer is away.
    pub(super) publication: bool,
    pub(super) pauses: Vec<Pause>,
    pub(super) ways: AgentWays,
    /// How long the agent takes to start its program, and KMS to answer.
    pub(super) start_up: Duration,
    pub(super) kms: Duration,
    pub(super) input: usize,
    pub(super) stdout: usize,
    pub(super) stderr: usize,
    /// How often the terminal changes its size.
    pub(super) resizes: usize,
    /// Between two writes of either end.
    pub(super) pace: Duration,
    pub(super) ending: Ending,
    /// The connections of a basic port session after the first; whether the user waits for all
    /// that the destination of the one before has to say.
    pub(super) connections: Vec<bool>,
    /// Those of a multiplexed one, soonest last.
    pub(super) streams: Vec<Plan>,
}

impl Scenario {
    pub(super) fn of(kind: Kind, variation: Variation, seed: u64) -> Self {
        let mut scenario = Self::plain(kind, seed);
        scenario.vary(variation);
        scenario
    }

    fn plain(kind: Kind, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let ending = match random.below(3) {
            0 => Ending::AgentFinishes,
            1 => Ending::AgentFinishesAtOnce,
            _ => Ending::ClientTerminates,
        };
        let gentle = ending == Ending::AgentFinishesAtOnce;
        let faults = if gentle {
            Faults::gentle
        } else {
            Faults::random
        };
        let outages = if gentle { 0 } else { random.below(4) };
        let mut scenario = Self {
            kind,
            variation: Variation::Plain,
            seed,
            to_client: faults(&mut random),
            to_agent: faults(&mut random),
            outages: (0..outages).map(|_| Outage::random(&mut random)).collect(),
            standstills: Vec::new(),
            late_standstills: Vec::new(),
            clock_first: false,
            client_joins: up_to(&mut random, if gentle { 0 } else { 1500 }),
            agent_joins: up_to(&mut random, 1500),
            publication: random.chance(500),
            pauses: Vec::new(),
            ways: AgentWays::default(),
            start_up: up_to(&mut random, 1200),
            kms: up_to(&mut random, 400),
            input: size(&mut random),
            stdout: size(&mut random),
            stderr: if kind == Kind::Command {
                size(&mut random)
            } else {
                0
            },
            resizes: if kind.has_terminal() {
                1 + random.below(4)
            } else {
                random.below(2)
            },
            pace: up_to(&mut random, 3),
            ending,
            connections: Vec::new(),
            streams: Vec::new(),
        };
        if let Kind::Port(form) = kind {
            scenario.add_connections(form, &mut random);
        }
        scenario
    }

    fn add_connections(&mut self, form: PortForm, random: &mut Random) {
        // Who uses a port has no terminal.
        self.resizes = 0;
        let gentle = self.ending == Ending::AgentFinishesAtOnce;
        if random.chance(400) && !gentle {
            self.to_agent.bottleneck = Some(Bottleneck::random(random));
            self.to_client.bottleneck = Some(Bottleneck::random(random));
        }
        match form {
            PortForm::Stdio => {}
            PortForm::Basic => {
                let count = random.below(5);
                self.connections = (0..count).map(|_| random.chance(700)).collect();
            }
            PortForm::Multiplexed => {
                (self.input, self.stdout) = (0, 0);
                let largest = if gentle || self.is_slow() {
                    100_000
                } else {
                    6_000_000
                };
                self.add_streams(largest, random);
            }
        }
    }

    /// Whether megabytes would take minutes.
    fn is_slow(&self) -> bool {
        self.to_agent.is_slow() || self.to_client.is_slow()
    }

    /// Streams of at most `largest` bytes each way, instead of those there are.
    pub(super) fn add_streams(&mut self, largest: usize, random: &mut Random) {
        let plans = (0..=random.below(12)).map(|_| Plan::random(random, largest));
        self.streams = if self.ending == Ending::AgentFinishesAtOnce {
            plans.map(Plan::without_delay).collect()
        } else {
            plans.collect()
        };
        self.streams
            .sort_by_key(|plan| std::cmp::Reverse(plan.opens));
    }

    pub(super) fn agent_config(&self) -> AgentConfig {
        let (session_type, encryption) = match self.kind {
            Kind::Shell => (SessionType::STANDARD_STREAM, None),
            Kind::EncryptedShell(challenge) => {
                let key_id = "alias/session".to_owned();
                let encryption = AgentEncryption { key_id, challenge };
                (SessionType::STANDARD_STREAM, Some(encryption))
            }
            Kind::Command => (SessionType::NON_INTERACTIVE_COMMANDS, None),
            Kind::SilentCommand => (SessionType::INTERACTIVE_COMMANDS, None),
            Kind::Port(_) => (SessionType::PORT, None),
        };
        let (properties, agent_version) = match self.kind {
            Kind::Port(PortForm::Basic) => (forward(), "3.0.196.0"),
            Kind::Port(PortForm::Multiplexed) => (forward(), "3.3.0.0"),
            _ => (Value::Null, "3.3.0.0"),
        };
        AgentConfig {
            properties,
            agent_version: agent_version.to_owned(),
            session_type,
            encryption,
            separate_output: self.kind == Kind::Command,
            ways: self.ways,
            ..ends::agent_config()
        }
    }
}

fn forward() -> Value {
    json!({"type": "LocalPortForwarding", "portNumber": "80"})
}

/// From one byte to 300,000, small ones as likely as large ones.
fn size(random: &mut Random) -> usize {
    let digits = random.below(6);
    let end = 10_usize.pow(u32::try_from(digits).unwrap()) * 3;
    1 + random.below(end)
}
