//! How a line of the log looks.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;

use tracing::Event;
use tracing::Subscriber;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::FormatEvent;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime as _;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::registry::LookupSpan;

/// Time, level, process id, session, target, message and fields.
///
/// A process has one session at a time. What is logged outside of that session's span, such as what the terminal does,
/// gets the session that was last seen.
#[derive(Debug, Default)]
pub(super) struct LineFormat {
    session: Mutex<String>,
}

impl LineFormat {
    /// The session an event belongs to, as its span has it.
    fn session_of<S, N>(&self, context: &FmtContext<'_, S, N>) -> String
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let span = context
            .event_scope()
            .and_then(|mut scope| scope.find(|span| span.name() == SESSION_SPAN));
        if let Some(span) = span
            && let Some(fields) = span.extensions().get::<FormattedFields<N>>()
            && *session != fields.fields
        {
            session.clone_from(&fields.fields);
        }
        session.clone()
    }
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        SystemTime.format_time(&mut writer)?;
        let (level, process) = (metadata.level(), std::process::id());
        write!(writer, " {level} [{process}] ")?;
        let session = self.session_of(context);
        if !session.is_empty() {
            write!(writer, "{SESSION_SPAN}{{{session}}}: ")?;
        }
        write!(writer, "{}: ", metadata.target())?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// The name of the span that `ssm-session` opens for each session.
pub(super) const SESSION_SPAN: &str = "session";
