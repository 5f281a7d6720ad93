//! The whole program, run as its callers run it: built binary, real terminals and pipes, emulated AWS.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where its preparations do")]

mod arguments;
mod command;
mod contract;
mod destination;
mod encryption;
mod forward;
mod forward_connect;
mod forward_end;
mod local_end;
mod node;
mod old_agent;
mod output;
mod pipes;
mod plugin;
mod stdio;
mod terminal;
mod terminal_settings;
