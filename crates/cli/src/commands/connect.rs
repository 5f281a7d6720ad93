//! A session in our own manner: standard output carries its output alone, the exit status is the remote command's.

use std::io;
use std::io::Write as _;

use ssm_session::Close;
use ssm_session_terminal::Console;
use ssm_session_terminal::Outcome;
use ssm_session_terminal::Streams;
use ssm_session_terminal::sanitised;

use super::NoSession;
use super::open;
use super::with_console;
use crate::exit::ExitStatus;
use crate::report;
use crate::session::SessionSettings;
use crate::settings::SessionTask;

pub(super) fn run(task: SessionTask) -> ExitStatus {
    match with_console(task, Streams::Separate, session) {
        Ok(status) => status,
        Err(error) => {
            let line = message(&report::sentence(&error));
            super::written(io::stderr().write_all(line.as_bytes()), ExitStatus::Failed)
        }
    }
}

async fn session(settings: SessionSettings, mut console: Console) -> ExitStatus {
    let (status, text) = match open(&mut console, &settings).await {
        Ok(session) => {
            let agent = format!("the agent on {} to answer", settings.shown_target());
            ending(console.run(session, agent).await)
        }
        Err(NoSession::Failed(reason)) => (ExitStatus::Failed, Some(reason)),
        Err(NoSession::Signalled(signal)) => (ExitStatus::Signal(signal), None),
    };
    if let Some(text) = text {
        console.print_error(&message(&text)).await;
    }
    console.close().await;
    status
}

/// The exit status, and what there is to say on standard error.
fn ending(outcome: Outcome) -> (ExitStatus, Option<String>) {
    match outcome {
        Outcome::Closed(close) => closed(&close),
        Outcome::Signalled(signal) => (ExitStatus::Signal(signal), None),
        Outcome::OutputClosed => (ExitStatus::Success, None),
        Outcome::OutputFailed(error) => {
            failed(format!("standard output could not be written: {error}"))
        }
        Outcome::InputFailed(error) => failed(format!("standard input could not be read: {error}")),
        Outcome::Unsupported(session_type) => failed(format!(
            "sessions of type {} are not supported",
            session_type.as_str()
        )),
        other => failed(format!("the session ended: {other:?}")),
    }
}

fn closed(close: &Close) -> (ExitStatus, Option<String>) {
    // An empty text is the service's way to say that all went well; any other tells of a time limit or a failure.
    let text = (!close.message.trim().is_empty()).then(|| sanitised(close.message.trim()));
    match close.exit_code {
        Some(code) => (ExitStatus::Remote(code), text),
        None if text.is_some() => (ExitStatus::Failed, text),
        None => (ExitStatus::Success, None),
    }
}

fn failed(text: String) -> (ExitStatus, Option<String>) {
    (ExitStatus::Failed, Some(text))
}

fn message(text: &str) -> String {
    format!("session-manager-plugin: {text}\n")
}
