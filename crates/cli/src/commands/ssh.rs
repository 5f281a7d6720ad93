//! A session from its very beginning, in our own manner.

use std::sync::Arc;
use std::time::Duration;

use ssm_session::ApiError;
use ssm_session::ControlPlane;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionAccess;
use ssm_session::SessionStart;
use ssm_session::StartRequest;
use ssm_session_terminal::Console;
use ssm_session_terminal::one_line;
use tokio::task::JoinError;
use tokio::task::JoinHandle;

use super::NoSession;
use super::open;
use super::own;
use super::terminate;
use crate::exit::ExitStatus;
use crate::report;
use crate::second_factor::Prompt;
use crate::session::shown_id;
use crate::settings::SessionTask;
use crate::settings::SshSettings;
use crate::settings::refusal;

pub(super) fn run(task: SessionTask<SshSettings>) -> ExitStatus {
    own::run(task, converse)
}

async fn converse(settings: &SshSettings, console: &mut Console) -> (ExitStatus, Option<String>) {
    // Before there is a session: nothing is then left of one that could not be used.
    let listener = match own::listen(&settings.port, console).await {
        Ok(listener) => listener,
        Err(status) => return (status, None),
    };
    let prompt = Prompt::default();
    let control_plane = settings.api.control_plane(Some(Arc::new(prompt.clone())));
    let options = Options {
        target: Some(settings.request.target.clone()),
        ..settings.api.options(Arc::clone(&control_plane))
    };
    let access = match start(settings, &control_plane, &prompt, console).await {
        Ok(access) => access,
        Err(no_session) => return ended(no_session),
    };
    let session_id = access.session_id.clone();
    match connect(access, options, console).await {
        Ok(session) => {
            let target = settings.shown_target();
            own::converse(console, session, &target, listener, &settings.port).await
        }
        Err(no_session) => {
            // Nobody else knows of it.
            terminate(control_plane.as_ref(), &session_id).await;
            ended(no_session)
        }
    }
}

fn ended(no_session: NoSession) -> (ExitStatus, Option<String>) {
    match no_session {
        NoSession::Failed(reason) => (ExitStatus::Failed, Some(reason)),
        NoSession::Signalled(signal) => (ExitStatus::Signal(signal), None),
    }
}

/// Connects to a session that has been started, and names it.
async fn connect(
    access: SessionAccess,
    options: Options,
    console: &mut Console,
) -> Result<Session, NoSession> {
    let start = SessionStart::new(access, &options.stream_policy)
        .map_err(|error| NoSession::Failed(refusal(&error)))?;
    let line = format!("starting session with SessionId: {}", shown_id(&start));
    console.print_error(&report::line(&line)).await;
    open(console, start, options).await
}

/// Calls StartSession. After a signal a call that is under way is waited for a little, so that a session it may still
/// start is ended.
async fn start(
    settings: &SshSettings,
    control_plane: &Arc<dyn ControlPlane>,
    prompt: &Prompt,
    console: &mut Console,
) -> Result<SessionAccess, NoSession> {
    let mut starting = spawn(Arc::clone(control_plane), settings.request.clone());
    let target = settings.shown_target();
    let what = format!("Systems Manager to start a session with {target}");
    let waiting = console.wait_for_unless(what, &mut starting, || prompt.is_asking());
    let answer = waiting.await;
    let was_asking = prompt.is_asking();
    prompt.close();
    match answer {
        Ok(answer) => sentence(answer).map_err(NoSession::Failed),
        Err(signal) => {
            if was_asking {
                console.print_error("\n").await;
            } else {
                end_when_started(starting, control_plane.as_ref()).await;
            }
            Err(NoSession::Signalled(signal))
        }
    }
}

fn spawn(control_plane: Arc<dyn ControlPlane>, request: StartRequest) -> Starting {
    tokio::spawn(async move { control_plane.start_session(request).await })
}

type Starting = JoinHandle<Result<SessionAccess, ApiError>>;

/// Ends a session whose start nobody waits for any more.
async fn end_when_started(starting: Starting, control_plane: &dyn ControlPlane) {
    match tokio::time::timeout(START_LIMIT, starting).await {
        Ok(Ok(Ok(access))) => terminate(control_plane, &access.session_id).await,
        Ok(_) => tracing::debug!("no session was started"),
        Err(_) => tracing::warn!("it is not known whether a session was started"),
    }
}

/// The session's access, or the sentence on why there is none.
fn sentence(
    answer: Result<Result<SessionAccess, ApiError>, JoinError>,
) -> Result<SessionAccess, String> {
    match answer {
        Ok(answer) => answer.map_err(|error| one_line(&error.to_string())),
        Err(stopped) => Err(one_line(&stopped.to_string())),
    }
}

/// For an answer of StartSession that is only needed to end the session. It takes a second on a bad day.
const START_LIMIT: Duration = Duration::from_secs(3);
