//! How it comes to an end, from this side or from the other.

use std::io;
use std::io::IsTerminal as _;
use std::sync::Arc;

use ssm_session::Close;
use tokio::time::Instant;

use super::ANSWER_LIMIT;
use super::Conversation;
use super::Outcome;
use crate::console::LEAVING_LIMIT;
use crate::console::Streams;
use crate::signals::Signal;

impl Conversation<'_> {
    /// Ends the session because of a signal.
    pub(super) fn leave(&mut self, signal: Signal) {
        // Nobody is to connect any more.
        self.setup.listener = None;
        self.console.leave(signal);
        self.end(Outcome::Signalled(signal));
    }

    /// Whoever started this may have gone long since: `ssh` ends its `ProxyCommand` without a word.
    pub(super) fn handle_unanswered(&mut self) {
        self.answer_by = None;
        self.end(Outcome::Unanswered(ANSWER_LIMIT));
    }

    pub(super) fn handle_broken_output(&mut self, error: Arc<io::Error>) {
        tracing::debug!(%error, "standard output cannot be written to any more");
        self.output_broken = true;
        self.unwritten.clear();
        self.end(self.console.output_outcome());
    }

    /// Has the service end the session; the first reason counts.
    pub(super) fn end(&mut self, outcome: Outcome) {
        if self.ending.is_none() {
            self.session.terminate();
            self.console.hurry();
            self.ending = Some((outcome, Instant::now() + LEAVING_LIMIT));
        }
    }

    /// The session has ended: the rest of its output leaves, then the terminal is restored.
    pub(super) async fn close(mut self, close: Close) -> Outcome {
        let ending = self.ending.take().map(|(outcome, _)| outcome);
        let outcome = self.console.conclude(ending, close).await;
        self.finish(outcome).await
    }

    /// Leaves the terminal as it was.
    pub(super) async fn finish(mut self, outcome: Outcome) -> Outcome {
        if let Some((stream, erased)) = self.remove_row() {
            self.console.write(stream, erased).await;
        }
        // The texts of AWS's plugin begin with lines of their own.
        let ours = self.console.streams == Streams::Separate;
        if ours && self.raw.is_some() && self.amid_line && io::stderr().is_terminal() {
            self.console.print_error("\n").await;
        }
        drop(self.raw);
        outcome
    }
}
