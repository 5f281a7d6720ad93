//! What the program does, once it is settled what that is.

use std::io;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use ssm_session::ConnectError;
use ssm_session::ControlPlane;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session::SessionStart;
use ssm_session_terminal::Console;
use ssm_session_terminal::Signal;
use ssm_session_terminal::Streams;

use crate::exit::ExitStatus;
use crate::logging;
use crate::report;
use crate::session::SessionSettings;
use crate::settings::SessionTask;
use crate::settings::Task;

mod connect;
mod drop_in;
mod own;
mod ssh;

/// Runs a task to its end.
pub(crate) fn run(task: Task) -> ExitStatus {
    match task {
        Task::Print(text) => written(io::stdout().write_all(text.as_bytes()), ExitStatus::Success),
        Task::Refuse(text) => written(io::stderr().write_all(text.as_bytes()), ExitStatus::Usage),
        Task::Usage(error) if error.use_stderr() => written(error.print(), ExitStatus::Usage),
        Task::Usage(help) => written(help.print(), ExitStatus::Success),
        Task::DropIn(task) => drop_in::run(*task),
        Task::Connect(task) => connect::run(*task),
        Task::Ssh(task) => ssh::run(*task),
    }
}

/// The status, unless the text did not get out. A reader that has gone has seen what it wanted.
fn written(result: io::Result<()>, status: ExitStatus) -> ExitStatus {
    match result.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitStatus::Failed,
        _ => status,
    }
}

/// Starts log, runtime and console, and hands the console to `body`.
///
/// # Errors
///
/// When one of them cannot be had.
fn with_console<S, F: Future<Output = ExitStatus>>(
    task: SessionTask<S>,
    streams: Streams,
    body: impl FnOnce(S, Console) -> F,
) -> anyhow::Result<ExitStatus> {
    logging::start(&task.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime cannot be started")?;
    let status = runtime.block_on(async {
        let console =
            Console::open(streams).context("signals or standard streams cannot be used")?;
        Ok(body(task.session, console).await)
    });
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    status
}

/// Opens the connection of a session that others have started. One that is not waited for any more is ended.
///
/// # Errors
///
/// As [`open`].
async fn open_started(
    console: &mut Console,
    settings: &SessionSettings,
) -> Result<Session, NoSession> {
    let options = options(settings);
    let control_plane = options.control_plane.clone();
    let opened = open(console, settings.start.clone(), options).await;
    if let (Err(NoSession::Signalled(_)), Some(control_plane)) = (&opened, control_plane) {
        terminate(control_plane.as_ref(), &settings.start.session_id).await;
    }
    opened
}

/// Opens a session's connection.
///
/// # Errors
///
/// The signal that ended the wait, or why there is no connection.
async fn open(
    console: &mut Console,
    start: SessionStart,
    options: Options,
) -> Result<Session, NoSession> {
    let host = format!("the connection to {}", start.stream_url.host());
    let connecting = ssm_session::connect(start, options);
    match console.wait_for(host, connecting).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(NoSession::Failed(not_connected(error))),
        Err(signal) => Err(NoSession::Signalled(signal)),
    }
}

/// Ends a session that there is no use for, so that it does not stay at the service until its time is up. Nothing is
/// said of it, whether it succeeds or not: the user has been told what matters.
async fn abandon(console: &mut Console, settings: &SessionSettings) {
    let options = options(settings);
    let control_plane = options.control_plane.clone();
    let ended = async {
        // The agent ends it on a word of ours, for which nobody needs credentials; and where it does not, the session
        // itself asks the API.
        if let Err(error) = end_over_connection(settings.start.clone(), options).await
            && let Some(control_plane) = control_plane
        {
            tracing::debug!(%error, "the session is ended by the API");
            terminate(control_plane.as_ref(), &settings.start.session_id).await;
        }
    };
    let ended = tokio::time::timeout(ABANDON_LIMIT, ended);
    if !matches!(
        console.wait_for("the session to end", ended).await,
        Ok(Ok(()))
    ) {
        tracing::debug!("the session's end was not waited for");
    }
}

async fn end_over_connection(start: SessionStart, options: Options) -> Result<(), ConnectError> {
    let mut session = ssm_session::connect(start, options).await?;
    while let Some(event) = session.next_event().await {
        // Before that the agent would throw the wish away (`docs/PROTOCOL.md` 5).
        if let SessionEvent::Established(_) = event {
            session.terminate();
        }
    }
    Ok(())
}

/// Ends a session by the API, within a time limit and whatever signals come; whether that worked. It is not an error of
/// this program if it did not.
async fn terminate(control_plane: &dyn ControlPlane, session_id: &str) -> bool {
    let ending = control_plane.terminate_session(session_id);
    match tokio::time::timeout(TERMINATE_LIMIT, ending).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(%error, "the session was not ended"),
        Err(_) => tracing::warn!("the session was not ended in time"),
    }
    false
}

/// What went wrong, and what to do next.
fn not_connected(error: ConnectError) -> String {
    let advice = error.advice();
    let mut sentence = report::sentence(&error.into());
    if let Some(advice) = advice {
        sentence.push_str("; ");
        sentence.push_str(advice);
    }
    sentence
}

/// Why there is no session.
enum NoSession {
    /// This time.
    Failed(String),
    /// It would not help to try again.
    Refused(String),
    Signalled(Signal),
}

fn options(settings: &SessionSettings) -> Options {
    Options {
        target: settings.target.clone(),
        client_id: settings.client_id,
        timeouts: settings.behaviour.timeouts,
        ..settings.api.options(settings.api.control_plane(None))
    }
}

/// For ending a session that there is no use for, connecting included. An answer takes a second on a bad day.
const ABANDON_LIMIT: Duration = Duration::from_secs(8);
/// For one call of TerminateSession, with the look-up of credentials.
const TERMINATE_LIMIT: Duration = Duration::from_secs(3);
