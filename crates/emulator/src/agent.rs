//! The agent of an emulated node: what runs at the far end of a session.
//!
//! One task per session drives the agent's half of the protocol and the session's command, as the real agent's
//! session worker does (`docs/PROTOCOL.md` 3, 4.3, 5, 6, 7.0 to 7.6, 8):
//!
//! ```text
//!  gateway ── Relay ──► AgentSession ── input ──► Job (a terminal, a command, a port)
//!          ◄──────────                ◄─ output ─
//! ```
//!
//! It differs from the real agent where that would make users take its faults for the client's: none of the output
//! is lost (see [`text`]), a command that takes no input or was sent a signal does not stop the agent from reading
//! (see [`held`]), and nothing a session started is left running when it ends (see [`process`]) or the emulator is
//! killed (see [`guard`]).

mod collected;
mod command;
mod driver;
mod guard;
mod held;
mod job;
mod port;
mod process;
mod properties;
mod separate;
mod signals;
mod terminal;
mod text;
mod words;

use std::sync::Arc;

use ssm_session_proto::AgentWays;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::Frame;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use self::driver::Driver;
pub(crate) use self::guard::Guard;
use crate::documents::ResolvedDocument;
use crate::kms::Kms;
use crate::plan::Pacing;

/// One session for the agent to run.
#[derive(Debug)]
pub(crate) struct AgentTask {
    pub(crate) session_id: String,
    /// The node the agent runs on, part of the encryption context.
    pub(crate) instance_id: String,
    pub(crate) document: ResolvedDocument,
    pub(crate) challenge: ChallengeMode,
    pub(crate) pacing: Pacing,
    /// What the agent reports, and behaves like.
    pub(crate) agent_version: String,
    /// Most bytes in a message of a port session.
    pub(crate) payload: usize,
    pub(crate) ways: AgentWays,
    pub(crate) guard: Arc<Guard>,
}

/// The agent's WebSocket. Dropping either end of it on the service's side ends the session at once.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) to_client: mpsc::Sender<Frame>,
    pub(crate) from_gateway: mpsc::Receiver<Frame>,
}

/// What the agent reports of a session that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    /// For the user; the agent begins its errors with empty lines and a rule.
    pub(crate) output: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    Failed,
}

impl Outcome {
    fn success() -> Self {
        Self {
            status: Status::Success,
            output: String::new(),
        }
    }

    fn failed(output: String) -> Self {
        Self {
            status: Status::Failed,
            output,
        }
    }

    /// A failure under the heading the agent gives errors it did not expect.
    fn error(text: &str) -> Self {
        Self::failed(format!("\n----------ERROR-------\n{text}"))
    }
}

/// Runs a session to its end. Dropping the future kills the session's command and all that belongs to it.
pub(crate) async fn run(task: AgentTask, relay: Relay, kms: Arc<Kms>) -> Outcome {
    let span = tracing::info_span!("agent", session_id = task.session_id);
    Driver::new(task, relay, kms).run().instrument(span).await
}

#[cfg(test)]
mod tests;
