//! What sessions in our own manner have in common: standard output carries the session's output alone, the exit status is
//! the remote command's.

use std::io;
use std::io::Write as _;

use ssm_session::EndedBy;
use ssm_session::Session;
use ssm_session_terminal::Console;
use ssm_session_terminal::LocalListener;
use ssm_session_terminal::News;
use ssm_session_terminal::Outcome;
use ssm_session_terminal::Setup;
use ssm_session_terminal::Streams;
use ssm_session_terminal::Texts;
use ssm_session_terminal::one_line;

use super::NoSession;
use super::with_console;
use crate::exit::ExitStatus;
use crate::port::PortRequest;
use crate::report;
use crate::settings::Behaviour;
use crate::settings::SessionTask;

/// Runs a task whose `body` answers with the exit status and what there is to say at the end.
pub(super) fn run<S>(
    task: SessionTask<S>,
    body: impl AsyncFnOnce(&S, &mut Console) -> (ExitStatus, Option<String>),
) -> ExitStatus {
    let session = async |settings, mut console: Console| {
        let (status, text) = body(&settings, &mut console).await;
        if let Some(text) = text {
            console.print_error(&report::line(&text)).await;
        }
        console.close().await;
        status
    };
    match with_console(task, Streams::Separate, session) {
        Ok(status) => status,
        Err(error) => {
            let line = report::line(&report::sentence(&error));
            super::written(io::stderr().write_all(line.as_bytes()), ExitStatus::Failed)
        }
    }
}

/// Opens the local end that a request names, and says why if it cannot be.
///
/// # Errors
///
/// The user has been told.
pub(super) async fn listen(
    port: &PortRequest,
    console: &mut Console,
) -> Result<Option<LocalListener>, ExitStatus> {
    match port.listen() {
        Ok(listener) => Ok(listener),
        Err(error) => {
            let text = News::CannotListen(&error).to_string();
            console.print_error(&report::line(&text)).await;
            Err(ExitStatus::Failed)
        }
    }
}

/// What a session in our own manner is run with.
pub(super) fn setup(
    listener: Option<LocalListener>,
    port: &PortRequest,
    behaviour: &Behaviour,
) -> Setup {
    Setup {
        texts: Box::new(Lines),
        escape: behaviour.escape,
        listener,
        is_port: port.is_port,
        // Whoever stops this program at a terminal is free to send it to the background.
        stop_ends: false,
    }
}

/// Runs a session that is connected, to its end. `target` is what it is with, fit for a terminal.
pub(super) async fn converse(
    console: &mut Console,
    session: Session,
    target: &str,
    setup: &mut Setup,
) -> Ended {
    let agent = format!("the agent on {target} to answer");
    let id = one_line(session.id());
    let outcome = console.run_with(session, agent, setup).await;
    Ended { outcome, id }
}

/// A session that has been run.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// Fit for a terminal.
    pub(super) id: String,
}

/// The exit status, and what there is to say.
impl From<Ended> for (ExitStatus, Option<String>) {
    fn from(ended: Ended) -> Self {
        let mut message = ended.outcome.message();
        if let Outcome::Closed(close) = &ended.outcome
            && close.by == EndedBy::Network
            && close.may_live_on()
            && let Some(message) = &mut message
        {
            message.push_str(&may_live_on(&ended.id));
        }
        (ExitStatus::Session(ended.outcome.status()), message)
    }
}

/// How a session is ended that this program could not end, as the end of a sentence.
pub(super) fn may_live_on(id: &str) -> String {
    format!("; the session may still run: `aws ssm terminate-session --session-id {id}` ends it")
}

pub(super) fn without_session(no_session: NoSession) -> (ExitStatus, Option<String>) {
    match no_session {
        NoSession::Failed(reason) | NoSession::Refused(reason) => {
            tracing::error!(reason, "there is no session");
            (ExitStatus::Failed, Some(reason))
        }
        NoSession::Signalled(signal) => (ExitStatus::Signal(signal), None),
    }
}

/// The plain sentences, each a line of this program's.
#[derive(Debug)]
pub(super) struct Lines;

impl Texts for Lines {
    fn text(&self, news: &News<'_>) -> Option<String> {
        Some(report::line(&news.to_string()))
    }
}
