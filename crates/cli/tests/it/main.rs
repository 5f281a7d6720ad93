//! The whole program, run as its callers run it: built binary, real terminals and pipes, emulated AWS.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where its preparations do")]

mod account;
mod arguments;
mod caller;
#[cfg(target_os = "linux")]
mod caller_on_terminal;
mod command;
mod contract;
mod core_dumps;
mod crash;
mod destination;
mod encryption;
mod endpoints;
mod ends;
mod escapes;
mod forward;
mod forward_connect;
mod forward_end;
#[cfg(target_os = "linux")]
mod hostile_service;
mod local_end;
mod logs;
mod lost;
mod network;
mod node;
mod old_agent;
mod output;
mod pipes;
mod plugin;
mod restart;
mod second_factor;
mod secrets;
mod service;
mod ssh;
mod stdio;
mod terminal;
mod terminal_settings;
