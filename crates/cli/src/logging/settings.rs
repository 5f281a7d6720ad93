//! What is logged, and where to.

use std::path::PathBuf;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::filter::Targets;

/// What is logged, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// Nothing is logged without one.
    pub destination: Option<Destination>,
    /// Of our own crates.
    pub level: LevelFilter,
    /// `RUST_LOG`, which wins over the level.
    pub filter: Option<String>,
    /// Whether standard error is the user's, who is told there of a log that cannot be written.
    pub is_told: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    StandardError,
    /// A file the user named.
    File(PathBuf),
    /// The user's own log, in this folder; nothing where there is no place for one.
    StateFolder(Option<PathBuf>),
}

impl LogSettings {
    /// The filter, if there is one.
    ///
    /// # Errors
    ///
    /// Inside, when it is for programs whose filters know more than ours.
    pub(super) fn targets(&self) -> Option<Result<Targets, ParseError>> {
        self.filter.as_deref().map(str::parse)
    }
}
