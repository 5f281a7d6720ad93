//! A session that was started elsewhere, in our own manner.

use ssm_session_terminal::Console;

use super::abandon;
use super::open_started;
use super::own;
use crate::exit::ExitStatus;
use crate::session::SessionSettings;
use crate::settings::SessionTask;

pub(super) fn run(task: SessionTask<SessionSettings>) -> ExitStatus {
    own::run(task, converse)
}

async fn converse(
    settings: &SessionSettings,
    console: &mut Console,
) -> (ExitStatus, Option<String>) {
    let listener = match own::listen(&settings.port, console).await {
        Ok(listener) => listener,
        Err(status) => {
            abandon(console, settings).await;
            return (status, None);
        }
    };
    match open_started(console, settings).await {
        Ok(session) => {
            let target = settings.shown_target();
            let mut setup = own::setup(listener, &settings.port, &settings.behaviour);
            own::converse(console, session, &target, &mut setup)
                .await
                .into()
        }
        Err(no_session) => own::without_session(no_session),
    }
}
