//! The log: off unless asked for, never on standard output, never with a secret in it.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::IsTerminal as _;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::Context as _;
use ssm_session_aws::SECRETIVE_TARGETS;
use ssm_session_terminal::is_raw;
use tracing::Metadata;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged, and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// How often `-v` was given.
    pub verbose: u8,
    /// `RUST_LOG`.
    pub filter: Option<String>,
    pub file: Option<PathBuf>,
}

/// Starts the log, if there is to be one.
///
/// # Errors
///
/// When the file cannot be opened or made private.
pub(crate) fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = settings
        .filter
        .as_deref()
        .filter(|filter| !filter.is_empty());
    if settings.verbose == 0 && filter.is_none() && settings.file.is_none() {
        return Ok(());
    }
    let writer = match &settings.file {
        Some(path) => {
            let file = open(path)
                .with_context(|| format!("the log file {} cannot be used", path.display()))?;
            BoxMakeWriter::new(Mutex::new(file))
        }
        None => BoxMakeWriter::new(StandardError),
    };
    let parsed = filter.map(str::parse::<Targets>);
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(writer);
    let targets = match &parsed {
        Some(Ok(targets)) => targets.clone(),
        Some(Err(_)) | None => targets(settings.verbose),
    };
    tracing_subscriber::registry()
        .with(layer)
        .with(targets)
        .with(filter_fn(is_free_of_secrets))
        .init();
    if let Some(Err(error)) = parsed {
        // It is often set for other programs, whose filters know more than ours.
        tracing::warn!(%error, "RUST_LOG is not a list of `level` or `target=level`, and ignored");
    }
    Ok(())
}

/// Our own crates by the number of `-v`, the others only when something is wrong: what they say at finer levels is not
/// ours to keep secrets out of.
fn targets(verbose: u8) -> Targets {
    let ours = match verbose {
        0 | 1 => LevelFilter::DEBUG,
        2.. => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("session_manager_plugin", ours)
        .with_target("ssm_session", ours)
}

/// Whether an event can be logged whatever the user asked for.
fn is_free_of_secrets(event: &Metadata<'_>) -> bool {
    let target = event.target();
    !SECRETIVE_TARGETS
        .iter()
        .any(|secretive| target.starts_with(secretive))
}

/// Opens a file to append to that only its owner can read, also when it was there before.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(PRIVATE);
    }
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(PRIVATE))?;
        }
    }
    Ok(file)
}

#[cfg(unix)]
const PRIVATE: u32 = 0o600;

/// Standard error, with the line ends a terminal in raw mode needs.
struct StandardError;

impl<'a> MakeWriter<'a> for StandardError {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        Self
    }
}

impl Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        if is_raw() && stderr.is_terminal() {
            stderr.write_all(&with_returns(line))?;
        } else {
            stderr.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn with_returns(line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    for byte in line {
        if *byte == b'\n' {
            bytes.push(b'\r');
        }
        bytes.push(*byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn our_crates_are_logged_and_others_only_when_something_is_wrong() {
        let targets = targets(2);
        for ours in [
            "ssm_session_proto::session",
            "ssm_session::driver",
            "session_manager_plugin",
        ] {
            assert!(targets.would_enable(ours, &Level::TRACE), "{ours}");
        }
        assert!(!targets.would_enable("hyper::client", &Level::INFO));
        assert!(targets.would_enable("hyper::client", &Level::WARN));
    }

    #[test]
    fn one_v_leaves_the_wire_out() {
        assert!(targets(1).would_enable("ssm_session", &Level::DEBUG));
        assert!(!targets(1).would_enable("ssm_session", &Level::TRACE));
    }

    #[cfg(unix)]
    #[test]
    fn a_log_file_is_private_even_if_it_was_not_before() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "old\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        open(&path).unwrap().write_all(b"new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\nnew\n");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn lines_for_raw_terminals_return_to_the_margin() {
        assert_eq!(with_returns(b"a\nb\n"), b"a\r\nb\r\n");
    }
}
