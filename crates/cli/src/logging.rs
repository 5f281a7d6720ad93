//! The log: off unless asked for, never on standard output, never with a secret in it, never in the way of a session.
//!
//! The last events are kept in memory in any case, for the report of a crash.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use ssm_session_aws::SECRETIVE_TARGETS;
use ssm_session_terminal::one_line;
use tracing::Level;
use tracing::Metadata;
use tracing::Subscriber;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

mod appender;
mod line;
mod queue;
mod recent;
mod rotated;
mod settings;
mod standard_error;
mod writer;

use line::LineFormat;
use line::SESSION_SPAN;
use queue::Queue;
use recent::Recent;
pub(crate) use recent::recent_events;
use rotated::RotatedLog;
pub(crate) use settings::Destination;
pub(crate) use settings::LogSettings;
use standard_error::StandardError;
use writer::LogWriter;
use writer::Sink;

/// Starts the log, if there is to be one, and the memory of the last events. A log that cannot be written is no reason not
/// to run: the user is told, and the program goes on.
pub(crate) fn start(settings: &LogSettings) {
    let is_first = match sink(&settings.destination) {
        Some(sink) => {
            let layer = lines(settings, begin(sink, settings.is_told)).boxed();
            let kept = filter_fn(recent::is_kept).with_max_level_hint(LevelFilter::DEBUG);
            let recent = Recent.with_filter(kept);
            tracing::subscriber::set_global_default(
                tracing_subscriber::registry().with(recent).with(layer),
            )
        }
        None => tracing::subscriber::set_global_default(Recent),
    };
    debug_assert!(is_first.is_ok(), "the log is started once");
    if let Some(Err(error)) = settings.targets() {
        // It is often set for other programs, whose filters know more than ours.
        tracing::warn!(%error, "RUST_LOG is not a list of `level` or `target=level`, and ignored");
    }
}

/// Writes what is left of the log, as far as that can be done within a moment.
pub(crate) fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.close(FINISH_LIMIT);
    }
}

fn sink(destination: &Option<Destination>) -> Option<Sink> {
    Some(match destination.as_ref()? {
        Destination::StandardError => Sink::StandardError,
        Destination::File(path) => Sink::Named {
            path: path.clone(),
            file: None,
        },
        Destination::StateFolder(Some(place)) => Sink::Rotated(RotatedLog::new(place.clone())),
        Destination::StateFolder(None) => Sink::Nowhere,
    })
}

/// Starts the thread that writes. Where it cannot be had, lines go nowhere.
fn begin(sink: Sink, is_told: bool) -> Arc<Queue> {
    let queue = Arc::new(Queue::default());
    let is_wanted = is_told || matches!(sink, Sink::StandardError);
    let user = is_wanted.then(StandardError::open).and_then(Result::ok);
    let started = std::thread::Builder::new().name("log".to_owned()).spawn({
        let queue = Arc::clone(&queue);
        move || LogWriter::new(sink, user).run(&queue)
    });
    if started.is_ok() {
        // Set once, as the log is started once.
        QUEUE.get_or_init(|| Arc::clone(&queue));
    } else {
        queue.close(Duration::ZERO);
    }
    queue
}

fn lines<S>(settings: &LogSettings, queue: Arc<Queue>) -> impl tracing_subscriber::Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let targets = match settings.targets() {
        Some(Ok(targets)) => targets,
        Some(Err(_)) | None => targets(settings.level),
    };
    // The hints let events that nobody wants cost nothing.
    let spans = filter_fn(is_session_span).with_max_level_hint(LevelFilter::INFO);
    let allowed = filter_fn(is_free_of_secrets).with_max_level_hint(LevelFilter::TRACE);
    let filter = targets.or(spans).and(allowed);
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .event_format(LineFormat::default())
        .with_writer(move || Feeder(Arc::clone(&queue)))
        .with_filter(filter)
}

/// Puts lines into the queue.
struct Feeder(Arc<Queue>);

impl io::Write for Feeder {
    /// Takes a whole event, as `tracing-subscriber` hands it over.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = one_line(&text);
        if line.len() > LONGEST {
            line.truncate(line.floor_char_boundary(LONGEST));
            line.push('…');
        }
        line.push('\n');
        self.0.put(line);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Our own crates at the level that was asked for, the others only when something is wrong: what they say at finer levels
/// is not ours to keep secrets out of.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_targets(OURS.map(|ours| (ours, level)))
}

fn is_ours(target: &str) -> bool {
    OURS.iter().any(|ours| target.starts_with(ours))
}

/// The span that says which session a line belongs to, which it is to say at any level.
fn is_session_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && metadata.name() == SESSION_SPAN
        && *metadata.level() <= Level::INFO
        && is_ours(metadata.target())
}

/// Whether an event can be logged whatever the user asked for.
fn is_free_of_secrets(event: &Metadata<'_>) -> bool {
    let target = event.target();
    !SECRETIVE_TARGETS
        .iter()
        .any(|secretive| target.starts_with(secretive))
}

static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// What the targets of this program and its libraries begin with.
const OURS: [&str; 2] = ["session_manager_plugin", "ssm_session"];

/// Bytes of a line. What is longer is some peer's text.
const LONGEST: usize = 4096;

/// For what is left to write at the end: a disk at work takes milliseconds, and the user waits for it.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_crates_are_logged_and_others_only_when_something_is_wrong() {
        let targets = targets(LevelFilter::TRACE);
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
    fn debug_leaves_the_wire_out() {
        let targets = targets(LevelFilter::DEBUG);
        assert!(targets.would_enable("ssm_session", &Level::DEBUG));
        assert!(!targets.would_enable("ssm_session", &Level::TRACE));
    }

    #[test]
    fn who_asks_for_errors_alone_gets_no_warnings_of_others() {
        let targets = targets(LevelFilter::ERROR);
        assert!(!targets.would_enable("hyper::client", &Level::WARN));
        assert!(targets.would_enable("hyper::client", &Level::ERROR));
    }
}
