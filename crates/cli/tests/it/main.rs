//! The whole program, run as its callers run it: built binary, real terminals and pipes, emulated AWS.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where its preparations do")]

mod account;
mod arguments;
mod command;
mod contract;
mod core_dumps;
mod destination;
mod encryption;
mod endpoints;
mod forward;
mod forward_connect;
mod forward_end;
mod local_end;
mod lost;
mod network;
mod node;
mod old_agent;
mod output;
mod pipes;
mod plugin;
mod second_factor;
mod secrets;
mod service;
mod ssh;
mod stdio;
mod terminal;
mod terminal_settings;
