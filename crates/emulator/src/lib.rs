//! An emulator of the AWS side of Session Manager, on loopback.
//!
//! One HTTP listener answers what the AWS CLI, the SDKs and our own client ask of Systems Manager, KMS and ECS, and
//! serves the data channels of the sessions they start. Behind it runs an agent that opens real shells, runs real
//! commands and connects to real ports, as the user of this process. What goes wrong on the way between the two can be
//! asked for ([`Faults`]). So can connecting fail at each of its steps ([`ConnectFault`]), the agent be as odd as AWS's
//! ([`AgentWays`]), signatures be checked ([`Credentials`]), operations be refused ([`Refusal`]), and sessions, channels
//! and tokens come to an end ([`Limits`]).
//!
//! ```text
//!  aws ssm start-session ── POST / ──────────► control ──► sessions, documents, kms
//!  session-manager-plugin ── WebSocket ──────► gateway ◄──► agent ──► sh, localhost:22
//! ```
//!
//! While it runs, clients lose their data channels on demand ([`Emulator::close_channels`]), agents stand still
//! ([`Emulator::freeze_agents`]), and the faults of connecting are others ([`Emulator::set_connect_faults`]). Other
//! programs ask for the same by operations of the emulator's own, in the protocol of the others and never signed. The
//! first three concern one session by its id, or all, and answer how many that were; `How` is a [`ChannelClose`], or
//! `Bye`.
//!
//! ```text
//!  POST /   X-Amz-Target: Emulator.CloseChannel   {"SessionId": "emulator-0123456789abcdef0", "How": "Cut"}
//!  200 OK   {"Closed": 1}
//!           X-Amz-Target: Emulator.FreezeAgent    {"SessionId": "emulator-0123456789abcdef0"}
//!  200 OK   {"Agents": 1}
//!           X-Amz-Target: Emulator.ThawAgent      {}
//!  200 OK   {"Agents": 1}
//!           X-Amz-Target: Emulator.SetFaults      {"Stall": ["upgrade*2"], "Cut": ["ResumeSession"]}
//!  200 OK   {}
//! ```
//!
//! It is a stand-in for development and tests: unless the plan has credentials nobody is asked for any, and whoever
//! reaches the listener gets a shell, and every port that this machine reaches. So it listens on loopback alone unless
//! told otherwise, and answers no web page.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use ssm_session_emulator::{Emulator, Plan, StartSession};
//!
//! let emulator = Emulator::start(Plan::default()).await?;
//! let session = emulator.start_session(StartSession::default())?;
//! assert!(session.stream_url.starts_with("ws://127.0.0.1:"));
//! emulator.shutdown().await;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod agent;
mod connect_faults;
mod control;
mod control_plane;
mod deadline;
mod documents;
mod emulator;
mod error;
mod gateway;
mod http;
mod kms;
mod operation;
mod plan;
mod random;
mod refusals;
mod service;
mod sessions;
mod signature;
mod strangers;
mod tasks;
mod time;

pub use control::StartSession;
pub use control::StartedSession;
pub use control_plane::EmulatedControlPlane;
pub use documents::Document;
pub use documents::DocumentError;
pub use emulator::Emulator;
pub use error::ServiceError;
pub use gateway::ChannelClose;
pub use operation::Operation;
pub use operation::UnknownOperation;
pub use plan::ConnectFault;
pub use plan::ConnectStep;
pub use plan::Credentials;
pub use plan::Failure;
pub use plan::Faults;
pub use plan::InvalidConnectFault;
pub use plan::InvalidCredentials;
pub use plan::InvalidRefusal;
pub use plan::InvalidTarget;
pub use plan::KmsKey;
pub use plan::Limits;
pub use plan::Pacing;
pub use plan::Plan;
pub use plan::Refusal;
pub use plan::Target;
pub use ssm_session_proto::AgentWays;
pub use ssm_session_proto::ChallengeMode;
