//! A session as AWS's plugin runs it: all texts on standard output, status 0.

use ssm_session_terminal::Console;
use ssm_session_terminal::Outcome;
use ssm_session_terminal::Streams;

use super::NoSession;
use super::Task;
use super::open;
use super::run as run_task;
use super::with_console;
use crate::compat;
use crate::exit::ExitStatus;
use crate::report;
use crate::session::SessionSettings;
use crate::settings::SessionTask;

pub(super) fn run(task: SessionTask) -> ExitStatus {
    with_console(task, Streams::Merged, session).unwrap_or_else(|error| {
        run_task(Task::Print(compat::cannot_start(&report::sentence(&error))))
    })
}

async fn session(settings: SessionSettings, mut console: Console) -> ExitStatus {
    let id = settings.shown_id();
    console.print(&compat::starting(&id)).await;
    let text = match open(&mut console, &settings).await {
        Ok(session) => {
            let agent = format!("the agent on {} to answer", settings.shown_target());
            ending(&id, &console.run(session, agent).await)
        }
        Err(NoSession::Failed(reason)) => compat::cannot_start(&reason),
        Err(NoSession::Signalled(_)) => compat::ending(&id, ""),
    };
    console.print(&text).await;
    console.close().await;
    ExitStatus::Success
}

fn ending(id: &str, outcome: &Outcome) -> String {
    let words = outcome.message().unwrap_or_default();
    match outcome {
        Outcome::Unsupported(_) => compat::cannot_start(&words),
        // Our own words for an end that was asked for are not among the texts callers know.
        Outcome::Closed(close) if !close.channel_closed && !close.is_failure() => {
            compat::ending(id, "")
        }
        _ => compat::ending(id, &words),
    }
}
