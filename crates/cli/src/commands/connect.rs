//! A session in our own manner: standard output carries its output alone, the exit status is the remote command's.

use std::io;
use std::io::Write as _;

use ssm_session_terminal::Console;
use ssm_session_terminal::Streams;

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
            let outcome = console.run(session, agent).await;
            (ExitStatus::Session(outcome.status()), outcome.message())
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

fn message(text: &str) -> String {
    format!("session-manager-plugin: {text}\n")
}
