//! `session-manager-plugin`: a drop-in replacement for AWS's plugin, and a command line of its own.

use std::process::ExitCode;

mod api;
mod args;
mod commands;
mod compat;
mod core_dumps;
mod crash;
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
mod state_folder;

use settings::Variables;

fn main() -> ExitCode {
    core_dumps::forbid();
    let state_folder = state_folder::usual_place(Variables::new(&|name| std::env::var_os(name)));
    let status = crash::guard(state_folder, || {
        // Nothing has started a thread yet, which reading the settings relies on.
        let task = settings::read();
        crash::note_use(task.name());
        commands::run(task)
    });
    logging::finish();
    status.into()
}
