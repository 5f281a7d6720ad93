//! The last events of this program, kept in memory for the report of a crash.

use std::collections::VecDeque;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use ssm_session_terminal::one_line;
use tracing::Event;
use tracing::Level;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime as _;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::Context;

use super::is_ours;

/// The events, oldest first, each in one line.
pub(crate) fn recent_events() -> Vec<String> {
    lock().iter().map(|event| one_line(event)).collect()
}

/// Keeps the last events; a subscriber where there is no log, a layer where there is one.
///
/// What concerns single messages of the wire is logged at TRACE, which it does not ask for: such events cost no more than
/// they do without it.
#[derive(Debug)]
pub(super) struct Recent;

/// Whether an event is kept: other crates' are not ours to keep secrets out of.
pub(super) fn is_kept(event: &Metadata<'_>) -> bool {
    event.is_event() && *event.level() <= Level::DEBUG && is_ours(event.target())
}

fn keep(event: &Event<'_>) {
    // Formatted outside of the lock: a value that panics while it is shown leads to a report, which takes the lock.
    let mut text = {
        let mut events = lock();
        if events.len() < KEPT {
            String::new()
        } else {
            events.pop_front().unwrap_or_default()
        }
    };
    text.clear();
    let mut line = Line(text);
    // The only error is that a line is full.
    line.begin(event.metadata()).unwrap_or_default();
    event.record(&mut line);
    let mut events = lock();
    if events.len() < KEPT {
        events.push_back(line.0);
    }
}

static EVENTS: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

fn lock() -> MutexGuard<'static, VecDeque<String>> {
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        keep(event);
    }
}

/// Spans are not kept, so that none is ever enabled and there is nothing to know about one.
impl Subscriber for Recent {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_kept(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_kept(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        keep(event);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// An event as text: time, level, target, message, fields.
struct Line(String);

impl Line {
    fn begin(&mut self, metadata: &Metadata<'_>) -> fmt::Result {
        SystemTime.format_time(&mut Writer::new(self))?;
        write!(self, " {} {}:", metadata.level(), metadata.target())
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self, " {value:?}"),
            name => write!(self, " {name}={value:?}"),
        };
        // The line is full.
        written.unwrap_or_default();
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LONGEST.saturating_sub(self.0.len());
        let fits = text.floor_char_boundary(room);
        self.0.push_str(&text[..fits]);
        if fits < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// Events; a session that is resumed over and over has some ten for each time.
const KEPT: usize = 100;

/// Bytes of one event.
const LONGEST: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    /// The events that `body` leaves, of all there are in this process: other tests have theirs.
    fn left_by(mark: &str, body: impl FnOnce()) -> Vec<String> {
        tracing::subscriber::with_default(Recent, body);
        let mut events = recent_events();
        events.retain(|event| event.contains(mark));
        events
    }

    #[test]
    fn an_event_is_one_line_with_its_fields() {
        let events = left_by("b1f5", || {
            tracing::info!(
                target: "ssm_session::driver",
                count = 3,
                name = "a\nb",
                mark = "b1f5",
                "something\x1b[2J happened"
            );
        });
        let [event] = &events[..] else {
            panic!("{events:?}")
        };
        let (_, rest) = event.split_once(' ').unwrap();
        assert_eq!(
            rest,
            "INFO ssm_session::driver: something\u{fffd}[2J happened count=3 name=\"a\\nb\" mark=\"b1f5\""
        );
    }

    #[test]
    fn neither_the_wire_nor_other_crates_are_kept() {
        let events = left_by("c2a7", || {
            tracing::debug!(target: "ssm_session_proto::stream", "c2a7 decided");
            tracing::trace!(target: "ssm_session_proto::stream", "c2a7 a frame");
            tracing::error!(target: "hyper", "c2a7 of others");
            let _entered = tracing::error_span!(target: "ssm_session", "c2a7").entered();
        });
        assert_eq!(events.len(), 1, "{events:?}");
    }

    #[test]
    fn however_many_and_long_they_are_memory_is_bounded() {
        tracing::subscriber::with_default(Recent, || {
            let long = "x".repeat(10 * LONGEST);
            for _ in 0..3 * KEPT {
                tracing::info!(target: "ssm_session", "{long}");
            }
        });
        let events = lock();
        assert!(events.len() <= KEPT);
        for event in events.iter() {
            assert!(event.len() <= LONGEST, "{event}");
        }
    }
}
