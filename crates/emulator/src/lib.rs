//! An emulator of the AWS side of Session Manager, on loopback and without credentials.
//!
//! One HTTP listener answers what the AWS CLI, the SDKs and our own client ask of Systems Manager and KMS, and serves
//! the data channels of the sessions they start. Behind it runs an agent that opens real shells, runs real commands
//! and connects to real ports, as the user of this process. What goes wrong on the way between the two can be asked
//! for ([`Faults`]).
//!
//! ```text
//!  aws ssm start-session ── POST / ──────────► control ──► sessions, documents, kms
//!  session-manager-plugin ── WebSocket ──────► gateway ◄──► agent ──► sh, localhost:22
//! ```
//!
//! It is a stand-in for development and tests: requests are not authenticated, and whoever reaches the listener gets
//! a shell, and every port that this machine reaches. So it listens on loopback alone unless told otherwise, and
//! answers no web page.
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
mod control;
mod deadline;
mod documents;
mod emulator;
mod error;
mod gateway;
mod http;
mod kms;
mod plan;
mod random;
mod service;
mod sessions;
mod tasks;

pub use control::StartSession;
pub use control::StartedSession;
pub use documents::Document;
pub use documents::DocumentError;
pub use emulator::EmulatedKms;
pub use emulator::Emulator;
pub use error::ServiceError;
pub use plan::Faults;
pub use plan::InvalidTarget;
pub use plan::KmsKey;
pub use plan::Pacing;
pub use plan::Plan;
pub use plan::Target;
pub use ssm_session_proto::ChallengeMode;
