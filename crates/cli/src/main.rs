//! `session-manager-plugin`: a drop-in replacement for AWS's plugin, and a command line of its own.

use std::process::ExitCode;

mod api;
mod args;
mod commands;
mod compat;
mod core_dumps;
mod endpoint;
mod env_vars;
mod exit;
mod logging;
mod port;
mod report;
mod response;
mod second_factor;
mod session;
mod settings;

fn main() -> ExitCode {
    core_dumps::forbid();
    // Nothing has started a thread yet, which reading the settings relies on.
    std::panic::catch_unwind(|| commands::run(settings::read()))
        .unwrap_or(exit::ExitStatus::Bug)
        .into()
}
