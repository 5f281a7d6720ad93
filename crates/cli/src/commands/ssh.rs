//! A session from its very beginning, in our own manner.

use std::sync::Arc;
use std::time::Duration;

use ssm_session::ApiError;
use ssm_session::ApiErrorKind;
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

mod restart;

pub(super) fn run(task: SessionTask<SshSettings>) -> ExitStatus {
    own::run(task, converse)
}

async fn converse(settings: &SshSettings, console: &mut Console) -> (ExitStatus, Option<String>) {
    // Before there is a session: nothing is then left of one that could not be used.
    let listener = match own::listen(&settings.port, console).await {
        Ok(listener) => listener,
        Err(status) => return (status, None),
    };
    let starter = Starter::new(settings);
    let session = match starter.session(console).await {
        Ok(session) => session,
        Err(no_session) => return own::without_session(no_session),
    };
    let mut setup = own::setup(listener, &settings.port, &settings.behaviour);
    if settings.restart {
        return restart::run(&starter, session, setup, console).await;
    }
    let target = settings.shown_target();
    own::converse(console, session, &target, &mut setup)
        .await
        .into()
}

/// Starts the sessions of one command.
struct Starter<'a> {
    settings: &'a SshSettings,
    control_plane: Arc<dyn ControlPlane>,
    prompt: Prompt,
}

impl<'a> Starter<'a> {
    fn new(settings: &'a SshSettings) -> Self {
        let prompt = Prompt::default();
        Self {
            settings,
            control_plane: settings.api.control_plane(Some(Arc::new(prompt.clone()))),
            prompt,
        }
    }

    /// Starts a session and connects to it. One that cannot be reached is ended, for nobody else knows of it.
    async fn session(&self, console: &mut Console) -> Result<Session, NoSession> {
        let access = self.start(console).await?;
        let session_id = access.session_id.clone();
        let connected = self.connect(access, console).await;
        if connected.is_err() {
            self.terminate(&session_id).await;
        }
        connected
    }

    /// Connects to a session that has been started, and names it.
    async fn connect(
        &self,
        access: SessionAccess,
        console: &mut Console,
    ) -> Result<Session, NoSession> {
        let options = Options {
            target: Some(self.settings.request.target.clone()),
            timeouts: self.settings.behaviour.timeouts,
            ..self.settings.api.options(Arc::clone(&self.control_plane))
        };
        let start = SessionStart::new(access, &options.stream_policy)
            .map_err(|error| NoSession::Refused(refusal(&error)))?;
        let line = format!("starting session with SessionId: {}", shown_id(&start));
        console.print_error(&report::line(&line)).await;
        open(console, start, options).await
    }

    /// Calls StartSession. After a signal a call that is under way is waited for a little, so that a session it may
    /// still start is ended.
    async fn start(&self, console: &mut Console) -> Result<SessionAccess, NoSession> {
        let (control_plane, request) = (&self.control_plane, &self.settings.request);
        let mut starting = spawn(Arc::clone(control_plane), request.clone());
        let target = self.settings.shown_target();
        let what = format!("Systems Manager to start a session with {target}");
        let prompt = &self.prompt;
        let waiting = console.wait_for_unless(what, &mut starting, || prompt.is_asking());
        let answer = waiting.await;
        let was_asking = prompt.is_asking();
        prompt.close();
        match answer {
            Ok(answer) => access(answer),
            Err(signal) => {
                if was_asking {
                    console.print_error("\n").await;
                } else {
                    self.end_when_started(starting).await;
                }
                Err(NoSession::Signalled(signal))
            }
        }
    }

    /// Ends a session whose start nobody waits for any more.
    async fn end_when_started(&self, starting: Starting) {
        match tokio::time::timeout(START_LIMIT, starting).await {
            Ok(Ok(Ok(access))) => {
                self.terminate(&access.session_id).await;
            }
            Ok(_) => tracing::debug!("no session was started"),
            Err(_) => tracing::warn!("it is not known whether a session was started"),
        }
    }

    async fn terminate(&self, session_id: &str) -> bool {
        terminate(self.control_plane.as_ref(), session_id).await
    }
}

fn spawn(control_plane: Arc<dyn ControlPlane>, request: StartRequest) -> Starting {
    tokio::spawn(async move { control_plane.start_session(request).await })
}

type Starting = JoinHandle<Result<SessionAccess, ApiError>>;

/// The session's access, or the sentence on why there is none.
fn access(
    answer: Result<Result<SessionAccess, ApiError>, JoinError>,
) -> Result<SessionAccess, NoSession> {
    match answer {
        Ok(Ok(access)) => Ok(access),
        Ok(Err(error)) => {
            let sentence = one_line(&error.to_string());
            Err(if error.kind() == ApiErrorKind::Transient {
                NoSession::Failed(sentence)
            } else {
                NoSession::Refused(sentence)
            })
        }
        Err(stopped) => Err(NoSession::Refused(one_line(&stopped.to_string()))),
    }
}

/// For an answer of StartSession that is only needed to end the session. It takes a second on a bad day.
const START_LIMIT: Duration = Duration::from_secs(3);
