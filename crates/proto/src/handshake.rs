//! The handshake of sessions that have one (docs/PROTOCOL.md 5), each end an enum of what it
//! waits for.

pub(crate) mod agent;
pub(crate) mod client;
mod context;
mod wire;

pub use agent::AgentEncryption;
pub use agent::ChallengeMode;
pub use client::DataKeyRequest;
