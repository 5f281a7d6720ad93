//! The example program `call_aws`, each time as a process of its own with an environment of its
//! own, against an AWS on loopback.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod data_keys;
mod endpoints;
mod machines;
mod program;
mod renewal;
mod second_factor;
mod secrets;
mod server;
mod sessions;
mod sign_ins;
mod signatures;
mod sources;
