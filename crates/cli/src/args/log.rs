//! Options of every command about the log.

use std::path::PathBuf;

use clap::ArgAction;

/// What is logged, and where to.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LogArgs {
    /// Log what happens to standard error; twice for every message on the wire
    ///
    /// While a session has the terminal, the log waits and is shown afterwards. RUST_LOG, a list of `level` or
    /// `target=level`, wins over this.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = LOGGING)]
    pub verbose: u8,
    /// Log to your own log file instead, which only you can read
    ///
    /// It is ~/.local/state/session-manager-plugin/log, below $XDG_STATE_HOME if that is set; on macOS below
    /// ~/Library/Logs, on Windows below %LOCALAPPDATA%. All sessions share it; a full one is set aside as log.1, and
    /// three of those are kept.
    #[arg(long, global = true, conflicts_with = "log_file", help_heading = LOGGING)]
    pub log: bool,
    /// Log to this file instead, which only you can read
    #[arg(long, global = true, value_name = "FILE", help_heading = LOGGING)]
    pub log_file: Option<PathBuf>,
}

const LOGGING: &str = "Logging";
