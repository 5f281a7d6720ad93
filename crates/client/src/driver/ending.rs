//! A lost connection, and the end of a session.

use tokio::time::Instant;
use tokio::time::timeout;

use super::Backoff;
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
        tracing::info!(by = ?close.by, code = close.close_code, exit_code = close.exit_code, "closed");
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
        let loss = ending.into_close();
        if self.terminate_by.is_some() {
            return Some(End::of(loss.into_asked()));
        }
        let Some(session) = self.resumable.clone() else {
            return Some(End::of(loss));
        };
        if is_dismissal {
            // The session is somebody else's now.
            return Some(End {
                close: loss,
                unwanted: false,
            });
        }
        if session.presigned {
            return Some(End::of(loss));
        }
        tracing::warn!(reason, "the session is to be resumed");
        self.machine.handle_disconnected(now.into_std());
        self.connections.set_cut_off(true);
        let event = SessionEvent::Disconnected { reason };
        self.ports.events.send(event);
        let deadline = now + self.timeouts.resume;
        let outage = self.outage.get_or_insert_with(|| Outage {
            loss,
            deadline,
            backoff: Backoff::default(),
        });
        self.link = Link::Resuming(Resumption::begin(session, outage.backoff, outage.deadline));
        outage.backoff.grow();
        None
    }

    pub(super) fn on_resumption(&mut self, outcome: Outcome, now: Instant) -> Option<End> {
        match outcome {
            Outcome::Resumed { web_socket, token } => {
                tracing::info!("the session is resumed");
                self.link = Link::open(*web_socket, now, &self.timeouts);
                self.machine.handle_connected(&token, now.into_std());
                self.connections.set_cut_off(false);
                self.ports.events.send(SessionEvent::Reconnected);
                None
            }
            Outcome::Gone(error) => {
                tracing::debug!(%error, "there is nothing to resume");
                Some(End::of(Close::ended_unseen(&self.lost())))
            }
            Outcome::GivenUp(reason) => Some(End::of(self.lost().not_resumed(&reason))),
        }
    }

    /// How the connection was lost that could not be replaced.
    fn lost(&mut self) -> Close {
        let outage = self.outage.take();
        outage.map_or_else(
            || Close::network("the connection was lost"),
            |outage| outage.loss,
        )
    }
}
