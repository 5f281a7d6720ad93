//! The program's commands, and what they have in common.

pub(crate) mod serve;
pub(crate) mod shell;

use anyhow::Context as _;
use clap::Args;
use clap::ValueEnum;
use ssm_session_emulator::ChallengeMode;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::Target;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

/// Options of every command that starts an emulator.
#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// How fast the agent sends: as a real one, or without waits
    #[arg(long, value_enum, default_value_t = Pace::Agent)]
    pace: Pace,
    /// Whether the agent asks for a random challenge in the encryption context
    #[arg(long, value_enum, default_value_t = Challenge::Offered)]
    kms_challenge: Challenge,
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
            ..Plan::default()
        }
    }
}

fn target(id: &str) -> Result<Target, String> {
    Target::new(id).map_err(|error| error.to_string())
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")
}
