//! The whole program, run as its callers run it: built binary, real terminals and pipes, emulated AWS.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where its preparations do")]

mod arguments;
mod command;
mod contract;
mod encryption;
mod node;
mod output;
mod pipes;
mod plugin;
mod terminal;
mod terminal_settings;
