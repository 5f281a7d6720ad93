//! A session in our own manner: standard output carries its output alone, the exit status is the remote command's.

use std::io;
use std::io::Write as _;

use ssm_session_terminal::Console;
use ssm_session_terminal::PortNews;
use ssm_session_terminal::PortTexts;
use ssm_session_terminal::Ports;
use ssm_session_terminal::Streams;

use super::NoSession;
use super::abandon;
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
            let line = report::line(&report::sentence(&error));
            super::written(io::stderr().write_all(line.as_bytes()), ExitStatus::Failed)
        }
    }
}

async fn session(settings: SessionSettings, mut console: Console) -> ExitStatus {
    let (status, text) = converse(&settings, &mut console).await;
    if let Some(text) = text {
        console.print_error(&report::line(&text)).await;
    }
    console.close().await;
    status
}

async fn converse(
    settings: &SessionSettings,
    console: &mut Console,
) -> (ExitStatus, Option<String>) {
    let listener = match settings.port.listen() {
        Ok(listener) => listener,
        Err(error) => {
            let text = PortNews::CannotListen(&error).to_string();
            console.print_error(&report::line(&text)).await;
            abandon(console, settings).await;
            return (ExitStatus::Failed, None);
        }
    };
    match open(console, settings).await {
        Ok(session) => {
            let ports = Ports {
                texts: Box::new(Lines),
                listener,
                are_expected: settings.port.is_port,
                // Whoever stops this program at a terminal is free to send it to the background.
                stop_ends: false,
            };
            let agent = format!("the agent on {} to answer", settings.shown_target());
            let outcome = console.run_with(session, agent, ports).await;
            (ExitStatus::Session(outcome.status()), outcome.message())
        }
        Err(NoSession::Failed(reason)) => (ExitStatus::Failed, Some(reason)),
        Err(NoSession::Signalled(signal)) => (ExitStatus::Signal(signal), None),
    }
}

/// The plain sentences, each a line of this program's.
#[derive(Debug)]
struct Lines;

impl PortTexts for Lines {
    fn text(&self, news: &PortNews<'_>) -> Option<String> {
        Some(report::line(&news.to_string()))
    }
}
