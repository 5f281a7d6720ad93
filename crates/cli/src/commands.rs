//! What the program does, once it is settled what that is.

use std::io;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ssm_session::ConnectError;
use ssm_session::Connector;
use ssm_session::ControlPlane;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session_aws::KmsDataKeys;
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

/// Runs a task to its end.
pub(crate) fn run(task: Task) -> ExitStatus {
    match task {
        Task::Print(text) => written(io::stdout().write_all(text.as_bytes()), ExitStatus::Success),
        Task::Refuse(text) => written(io::stderr().write_all(text.as_bytes()), ExitStatus::Usage),
        Task::Usage(error) if error.use_stderr() => written(error.print(), ExitStatus::Usage),
        Task::Usage(help) => written(help.print(), ExitStatus::Success),
        Task::DropIn(task) => drop_in::run(*task),
        Task::Connect(task) => connect::run(*task),
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
fn with_console<F: Future<Output = ExitStatus>>(
    task: SessionTask,
    streams: Streams,
    body: impl FnOnce(SessionSettings, Console) -> F,
) -> anyhow::Result<ExitStatus> {
    logging::start(&task.log)?;
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

/// Opens the session's connection.
///
/// # Errors
///
/// The signal that ended the wait, or why there is no connection.
async fn open(console: &mut Console, settings: &SessionSettings) -> Result<Session, NoSession> {
    let host = format!("the connection to {}", settings.start.stream_url.host());
    match console
        .wait_for(
            host,
            ssm_session::connect(settings.start.clone(), options(settings)),
        )
        .await
    {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(NoSession::Failed(not_connected(error))),
        Err(signal) => Err(NoSession::Signalled(signal)),
    }
}

/// Ends a session that there is no use for, so that it does not stay at the service until its time is up. Nothing is
/// said of it, whether it succeeds or not: the user has been told what matters.
async fn abandon(console: &mut Console, settings: &SessionSettings) {
    let ended = async {
        let mut session = ssm_session::connect(settings.start.clone(), options(settings)).await?;
        while let Some(event) = session.next_event().await {
            // Before that the agent would throw the wish away (`docs/PROTOCOL.md` 5).
            if let SessionEvent::Established(_) = event {
                session.terminate();
            }
        }
        Ok::<_, ConnectError>(())
    };
    match console
        .wait_for(
            "the session to end",
            tokio::time::timeout(ABANDON_LIMIT, ended),
        )
        .await
    {
        Ok(Ok(Ok(()))) => tracing::debug!("the session was ended"),
        Ok(Ok(Err(error))) => tracing::debug!(%error, "the session was not ended"),
        Ok(Err(_)) | Err(_) => tracing::debug!("the session's end was not waited for"),
    }
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
    Failed(String),
    Signalled(Signal),
}

fn options(settings: &SessionSettings) -> Options {
    Options {
        target: settings.target.clone(),
        client_id: settings.client_id,
        control_plane: Some(control_plane(settings)),
        ..Options::default()
    }
}

/// Keys for encrypted sessions, from KMS. Nothing is looked up before the first is asked for.
fn control_plane(settings: &SessionSettings) -> Arc<dyn ControlPlane> {
    let mut keys = KmsDataKeys::new(Connector::default());
    if let Some(region) = settings.kms_region() {
        keys = keys.region(region);
    }
    if let Some(profile) = &settings.profile {
        keys = keys.profile(profile);
    }
    Arc::new(keys)
}

/// For ending a session that there is no use for, connecting included. An answer takes a second on a bad day.
const ABANDON_LIMIT: Duration = Duration::from_secs(5);
