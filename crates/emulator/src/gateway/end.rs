//! How a session ends.

use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_websockets::CloseCode;

use super::Gateway;
use super::clocks::Expiry;
use super::close::BYE;
use super::messages;
use crate::agent::Outcome;
use crate::agent::Status as AgentStatus;
use crate::sessions::Status;

impl Gateway {
    /// A limit of the service has passed.
    pub(super) fn expire(&mut self, expiry: Expiry) {
        tracing::info!(session_id = self.session_id, ?expiry, "a limit has passed");
        match expiry.words() {
            Some(words) => {
                self.words = Some(words);
                self.end();
            }
            None => self.lose_client(CloseCode::NORMAL_CLOSURE, BYE),
        }
    }

    /// The service ends the session: the agent is told, kills its command, and sends what is left.
    pub(super) fn end(&mut self) {
        if self.deadline.is_some() {
            return;
        }
        self.service
            .sessions
            .set_status(&self.session_id, Status::Terminating);
        self.agent
            .tell_last(messages::channel_closed(&self.session_id, ""));
        self.limit_end();
    }

    pub(super) fn agent_ended(&mut self, result: Result<Outcome, JoinError>) {
        self.agent.hang_up();
        self.agent.outcome = Some(result.unwrap_or_else(|error| {
            tracing::error!(session_id = self.session_id, %error, "the emulated agent broke");
            Outcome {
                status: AgentStatus::Failed,
                output: "The emulated agent broke.".to_owned(),
            }
        }));
        self.limit_end();
    }

    /// An end has begun, and does not take for ever.
    pub(super) fn limit_end(&mut self) {
        self.deadline
            .get_or_insert_with(|| Instant::now() + END_LIMIT);
        self.leave_silent_client();
    }

    /// The agent has ended and the client has what it sent.
    pub(super) fn is_done(&self) -> bool {
        self.agent.is_over() && self.to_client.is_empty()
    }

    /// Tells the client, and waits until nothing of the session is left.
    pub(super) async fn finish(mut self) {
        self.agent.task.shutdown().await;
        let outcome = self.agent.outcome.take();
        let failed = outcome
            .as_ref()
            .is_some_and(|outcome| matches!(outcome.status, AgentStatus::Failed));
        let status = if failed {
            Status::Failed
        } else {
            Status::Terminated
        };
        self.service.sessions.set_status(&self.session_id, status);
        tracing::info!(
            session_id = self.session_id,
            status = status.as_str(),
            "session over"
        );
        if let Some(mut client) = self.client.take() {
            let output = match self.words {
                Some(words) => words.to_owned(),
                None => outcome.map(|outcome| outcome.output).unwrap_or_default(),
            };
            client.push(messages::channel_closed(&self.session_id, &output));
            self.send_away(client, CloseCode::NORMAL_CLOSURE, "");
        }
        while self.farewells.join_next().await.is_some() {}
    }
}

/// How long a session may take to end: the agent drains for at most 2 s (`docs/PROTOCOL.md` 4.7).
const END_LIMIT: Duration = Duration::from_secs(5);
