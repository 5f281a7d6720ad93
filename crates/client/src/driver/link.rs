//! What carries a session: a WebSocket, or for a while the effort to get the next one.

use tokio::time::Instant;

use super::liveness::Liveness;
use super::resumption::Outcome;
use super::resumption::Resumption;
use super::socket::Socket;
use super::socket::Turn;
use crate::dial::WebSocket;
use crate::timeouts::Timeouts;

pub(super) enum Link {
    Open(Box<Channel>),
    Resuming(Resumption),
}

/// An open WebSocket, and whether anybody is at its other end.
pub(super) struct Channel {
    pub(super) socket: Socket,
    pub(super) liveness: Liveness,
}

/// What happened to the link.
pub(super) enum Change {
    Turn(Turn),
    Resumption(Outcome),
}

impl Link {
    pub(super) fn open(web_socket: WebSocket, now: Instant, timeouts: &Timeouts) -> Self {
        Self::Open(Box::new(Channel {
            socket: Socket::new(web_socket),
            liveness: Liveness::new(now, timeouts),
        }))
    }

    pub(super) fn channel(&mut self) -> Option<&mut Channel> {
        match self {
            Self::Open(channel) => Some(channel),
            Self::Resuming(_) => None,
        }
    }

    /// Waits until something happens; an open socket is read from only if `read`. Nothing is lost
    /// when the wait is given up.
    pub(super) async fn change(&mut self, read: bool) -> Change {
        match self {
            Self::Open(channel) => Change::Turn(channel.socket.turn(read).await),
            Self::Resuming(resumption) => Change::Resumption(resumption.outcome().await),
        }
    }

    /// When the liveness of an open socket wants attention.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Open(channel) => Some(channel.liveness.due()),
            Self::Resuming(_) => None,
        }
    }
}
