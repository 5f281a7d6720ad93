//! The program's commands, and what they have in common.

mod admission;
mod faults;
mod limits;
pub(crate) mod serve;
pub(crate) mod shell;
mod ways;

use anyhow::Context as _;
use clap::Args;
use clap::ValueEnum;
use ssm_session_emulator::ChallengeMode;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::Target;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

use self::faults::ConnectFaultOptions;
use self::faults::FaultOptions;
use self::ways::WayOptions;

/// Options of every command that starts an emulator.
#[derive(Debug, Args)]
#[command(next_help_heading = "The agent")]
pub(crate) struct Agent {
    /// How fast it sends: as a real one, or without waits
    #[arg(long, value_enum, default_value_t = Pace::Agent)]
    pace: Pace,
    /// Whether it asks for a random challenge in the encryption context
    #[arg(long, value_enum, default_value_t = Challenge::Offered)]
    kms_challenge: Challenge,
    /// The version it reports and behaves like; up to 3.0.196.0 it serves one connection of a port session at a
    /// time
    #[arg(long, value_name = "VERSION", default_value = Plan::AGENT_VERSION, value_parser = agent_version)]
    agent_version: String,
    /// Most bytes in one message of a port session, 64 to 4194184; real agents send 1024
    #[arg(long, value_name = "BYTES", default_value_t = Plan::default().agent_payload, value_parser = agent_payload)]
    agent_payload: usize,
    #[command(flatten)]
    ways: WayOptions,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    connect_faults: ConnectFaultOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pace {
    /// 1 s before the first output of a terminal, 1 ms after each message
    Agent,
    /// No waits
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Challenge {
    /// As agents before August 2024
    Absent,
    /// As newer agents: clients may leave it out
    Offered,
    /// As newer agents with Kms.RequireKMSChallengeResponse
    Required,
}

impl Agent {
    fn plan(&self) -> Plan {
        Plan {
            pacing: match self.pace {
                Pace::Agent => Pacing::Agent,
                Pace::None => Pacing::None,
            },
            challenge: match self.kms_challenge {
                Challenge::Absent => ChallengeMode::Absent,
                Challenge::Offered => ChallengeMode::Offered,
                Challenge::Required => ChallengeMode::Required,
            },
            agent_version: self.agent_version.clone(),
            agent_payload: self.agent_payload,
            agent_ways: self.ways.ways(),
            faults: self.faults.faults(),
            connect_faults: self.connect_faults.faults(),
            ..Plan::default()
        }
    }
}

fn target(id: &str) -> Result<Target, String> {
    Target::new(id).map_err(|error| error.to_string())
}

fn agent_version(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() == 4 && parts.iter().all(|part| part.parse::<u32>().is_ok()) {
        Ok(text.to_owned())
    } else {
        Err("write four numbers with dots between them, such as 3.0.196.0".to_owned())
    }
}

fn agent_payload(text: &str) -> Result<usize, String> {
    let (least, most) = (Plan::MIN_AGENT_PAYLOAD, Plan::MAX_AGENT_PAYLOAD);
    text.parse()
        .ok()
        .filter(|bytes| (least..=most).contains(bytes))
        .ok_or_else(|| format!("write a number of bytes from {least} to {most}, such as 1024"))
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")
}
