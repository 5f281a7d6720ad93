//! A session as AWS's plugin runs it: all texts on standard output, status 0.
//!
//! One exception: a session over standard input and output, as `ssh` has it for its `ProxyCommand`, has nothing of ours
//! on standard output behind the first text, not even the closing one. When it fails, standard error says why, for
//! otherwise `ssh` would say no more than that the connection was closed.

use std::io;
use std::io::IsTerminal as _;

use ssm_session_terminal::Console;
use ssm_session_terminal::News;
use ssm_session_terminal::Outcome;
use ssm_session_terminal::Setup;
use ssm_session_terminal::Streams;
use ssm_session_terminal::Texts as _;

use super::NoSession;
use super::Task;
use super::abandon;
use super::open_started;
use super::run as run_task;
use super::with_console;
use crate::compat;
use crate::compat::PluginTexts;
use crate::exit::ExitStatus;
use crate::report;
use crate::session::SessionSettings;
use crate::settings::SessionTask;

pub(super) fn run(task: SessionTask<SessionSettings>) -> ExitStatus {
    with_console(task, Streams::Merged, session).unwrap_or_else(|error| {
        run_task(Task::Print(compat::cannot_start(&report::sentence(&error))))
    })
}

async fn session(settings: SessionSettings, mut console: Console) -> ExitStatus {
    let id = settings.shown_id();
    // The AWS CLI waits for this program, and killed it would leave a forward to nobody. The commands of our own belong to
    // their user, who may want one to outlive its shell (`nohup`).
    if let Err(error) = console.follow_caller() {
        tracing::warn!(%error, "the caller's end cannot be watched for");
    }
    console.print(&compat::starting(&id)).await;
    converse(&id, &settings, &mut console).await;
    console.close().await;
    ExitStatus::Success
}

async fn converse(id: &str, settings: &SessionSettings, console: &mut Console) {
    let texts = PluginTexts {
        shown_id: id.to_owned(),
        at_terminal: io::stdin().is_terminal() && io::stdout().is_terminal(),
    };
    let listener = match settings.port.listen() {
        Ok(listener) => listener,
        Err(error) => {
            let text = texts.text(&News::CannotListen(&error));
            console.print(&text.unwrap_or_default()).await;
            return abandon(console, settings).await;
        }
    };
    let text = match open_started(console, settings).await {
        Ok(session) => {
            let mut setup = Setup {
                texts: Box::new(texts),
                listener,
                is_port: settings.port.is_port,
                stop_ends: true,
                escape: settings.behaviour.escape,
            };
            let agent = format!("the agent on {} to answer", settings.shown_target());
            let outcome = console.run_with(session, agent, &mut setup).await;
            if console.stdout_is_data() {
                if let Some(reason) = reason(&outcome) {
                    console.print_error(&report::line(&reason)).await;
                }
                return;
            }
            ending(id, &outcome)
        }
        Err(NoSession::Failed(reason) | NoSession::Refused(reason)) => {
            tracing::error!(reason, "there is no session");
            compat::cannot_start(&reason)
        }
        Err(NoSession::Signalled(_)) => compat::ending(id, ""),
    };
    console.print(&text).await;
}

fn ending(id: &str, outcome: &Outcome) -> String {
    let reason = reason(outcome).unwrap_or_default();
    match outcome {
        Outcome::Closed(close) if close.ended_unseen => compat::timed_out(id),
        Outcome::Unsupported(_) | Outcome::Unanswered(_) => compat::cannot_start(&reason),
        // The text that no session was started has been printed, and stands alone.
        Outcome::NoLocalEnd => String::new(),
        _ => compat::ending(id, &reason),
    }
}

/// What callers are to read of the end of a session.
fn reason(outcome: &Outcome) -> Option<String> {
    match outcome {
        // Our own words for an end that was asked for are not among the texts callers know.
        Outcome::Closed(close) if !close.channel_closed && !close.is_failure() => None,
        _ => outcome.message(),
    }
}
