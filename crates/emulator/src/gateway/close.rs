//! Closing data channels on demand.

use serde::Deserialize;
use tokio_websockets::CloseCode;

use super::Gateway;
use super::Order;
use super::client::Client;
use crate::service::Service;

/// How a client loses its data channel; the session lives on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ChannelClose {
    /// With code 1000 and the text `Bye`, as the service does about once an hour (`docs/PROTOCOL.md` 2.3).
    #[default]
    Bye,
    /// The connection ends without a close frame, and what is queued in it is lost.
    Cut,
    /// Nothing is read and nothing answered any more, but the connection stays open until the session ends. The
    /// service takes the client for attached until it opens another channel.
    Silence,
}

impl Service {
    /// Closes the data channels of all sessions, or of one, and tells how many there were.
    pub(crate) async fn close_channels(&self, how: ChannelClose, only: Option<&str>) -> usize {
        let mut closed = 0;
        for orders in self.sessions.all_orders(only) {
            let (done, told) = tokio::sync::oneshot::channel();
            // A gateway that takes no orders any more, or leaves one undone, is ending and closes its channel itself.
            if orders.send(Order::Close { how, done }).await.is_ok() && told.await == Ok(true) {
                closed += 1;
            }
        }
        closed
    }
}

impl Gateway {
    /// Whether there was a channel to close.
    pub(super) fn close_channel(&mut self, how: ChannelClose) -> bool {
        if self.client.as_ref().is_none_or(Client::is_silent) {
            return false;
        }
        tracing::info!(session_id = self.session_id, ?how, "channel closed");
        match how {
            ChannelClose::Bye => self.lose_client(CloseCode::NORMAL_CLOSURE, BYE),
            ChannelClose::Cut => drop(self.take_client()),
            ChannelClose::Silence => {
                if let Some(client) = &mut self.client {
                    client.silence();
                }
                if self.deadline.is_some() {
                    self.leave_silent_client();
                }
            }
        }
        true
    }

    /// An end waits for a client to take what is left, but not for one that cannot.
    pub(super) fn leave_silent_client(&mut self) {
        if let Some(client) = self.client.take_if(|client| client.is_silent()) {
            self.silenced.push(client.into_socket());
            self.to_client.clear();
        }
    }
}

/// The service's word for an hour that is over.
pub(super) const BYE: &str = "Bye";
