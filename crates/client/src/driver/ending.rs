//! A lost connection, and the end of a session.

use std::time::Duration;

use tokio::time::Instant;
use tokio::time::timeout;

use super::Driver;
use super::End;
use super::Ending;
use super::Link;
use super::Outage;
use super::Outcome;
use super::Resumption;
use crate::close::Close;
use crate::control_plane::terminate;
use crate::session::SessionEvent;

impl Driver {
    /// Drives the session to its end.
    pub(crate) async fn run(mut self) {
        let End {
            mut close,
            unwanted,
        } = self.drive().await;
        self.key_request.give_up();
        self.connections.sever(&mut self.machine, Instant::now());
        if timeout(self.timeouts.close, self.send_rest())
            .await
            .is_err()
        {
            tracing::debug!("the other end does not take what is left");
        }
        self.connections.deliver(self.timeouts.close).await;
        if unwanted && close.may_live_on() {
            close.terminated = self.terminate_at_service().await;
        }
        close.exit_code = self.exit_code;
        log(&close);
        self.ports.events.send(SessionEvent::Closed(close));
        // Writers learn of the end now, not when the socket is closed.
        drop(self.ports);
        drop(self.writing);
        if let Link::Open(mut channel) = self.link {
            match timeout(self.timeouts.close, channel.socket.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the socket was closed by force"),
                Err(_) => {
                    tracing::debug!("the other end does not say goodbye; the socket is closed");
                }
            }
        }
    }

    async fn terminate_at_service(&mut self) -> bool {
        let Some(session) = self.resumable.take() else {
            return false;
        };
        let control_plane = session.control_plane.as_ref();
        terminate(control_plane, &session.session_id, self.timeouts.terminate).await
    }

    /// The socket is of no use any more.
    pub(super) fn on_lost(&mut self, ending: Ending, now: Instant) -> Option<End> {
        let (is_dismissal, reason) = (ending.is_dismissal(), ending.cause());
        let amid = if self.machine.is_established() {
            ""
        } else {
            " before the session was set up"
        };
        let lost = format!("the connection to {} was lost{amid}", self.host);
        let loss = ending.into_close(&lost);
        if self.terminate_by.is_some() {
            return Some(End::of(loss.into_asked()));
        }
        if is_dismissal && self.resumable.is_some() {
            // The session is somebody else's now.
            return Some(End {
                close: loss,
                unwanted: false,
            });
        }
        let Some(session) = self.resumable.clone().filter(|_| self.is_resumable()) else {
            return Some(End::of(loss));
        };
        tracing::warn!(reason, "the session is to be resumed");
        self.machine.handle_disconnected(now.into_std());
        self.answering.on_disconnected();
        self.connections.set_cut_off(true);
        // If there was another connection meanwhile, that is how it fared.
        let problem = self.outage.is_some().then(|| reason.clone());
        if self.outage.is_none() {
            let event = SessionEvent::Disconnected { reason };
            self.ports.events.send(event);
        }
        let deadline = now + self.timeouts.resume;
        let outage = self
            .outage
            .get_or_insert_with(|| Outage::new(loss, deadline));
        outage.on_lost();
        let effort = Resumption::begin(session, outage.backoff, outage.deadline, problem);
        self.link = Link::Resuming(effort);
        outage.backoff.grow();
        None
    }

    /// Whether a lost connection is to be replaced.
    pub(super) fn is_resumable(&self) -> bool {
        let session = self.resumable.as_ref();
        session.is_some_and(|session| !session.presigned) && !self.timeouts.resume.is_zero()
    }

    /// Tries at once, after a standstill of which the clock of deadlines `counted` so much: the
    /// network may be another one.
    pub(super) fn resume_afresh(&mut self, counted: Duration) {
        let (Some(session), Some(outage)) = (self.resumable.clone(), &mut self.outage) else {
            return;
        };
        outage.deadline += counted;
        outage.on_woken();
        let effort = Resumption::begin(session, outage.backoff, outage.deadline, None);
        self.link = Link::Resuming(effort);
    }

    pub(super) fn on_resumption(&mut self, outcome: Outcome, now: Instant) -> Option<End> {
        match outcome {
            Outcome::Resumed {
                web_socket,
                host,
                token,
            } => {
                tracing::info!(host, "the session is resumed");
                self.host = host;
                self.link = Link::open(*web_socket, now, &self.timeouts);
                self.machine.handle_connected(&token, now.into_std());
                self.connections.set_cut_off(false);
                if let Some(outage) = &mut self.outage {
                    outage.on_connected(self.machine.progress(), now);
                }
                None
            }
            Outcome::Gone(error) => {
                tracing::debug!(%error, "there is nothing to resume");
                Some(End::of(Close::ended_unseen(&self.lost())))
            }
            Outcome::GivenUp(reason) => Some(End::of(self.lost().not_resumed(None, &reason))),
            Outcome::OutOfTime(reason) => {
                let limit = Some(self.timeouts.resume);
                Some(End::of(self.lost().not_resumed(limit, &reason)))
            }
        }
    }

    /// Says that the session goes on, once it does.
    pub(super) fn end_outage_if_over(&mut self, now: Instant) {
        let progress = self.machine.progress();
        if self
            .outage
            .take_if(|outage| outage.is_over(progress, now))
            .is_some()
        {
            self.ports.events.send(SessionEvent::Reconnected);
        }
    }

    /// How the connection was lost that could not be replaced.
    pub(super) fn lost(&mut self) -> Close {
        let outage = self.outage.take();
        outage.map_or_else(
            || Close::network("the connection was lost"),
            |outage| outage.loss,
        )
    }
}

fn log(close: &Close) {
    let (by, code, exit_code) = (close.by, close.close_code, close.exit_code);
    if close.is_failure() {
        // The far end's words may be anything.
        let reason = (!close.channel_closed).then_some(close.message.as_str());
        tracing::error!(?by, code, exit_code, reason, "closed");
    } else {
        tracing::info!(?by, code, exit_code, "closed");
    }
}
