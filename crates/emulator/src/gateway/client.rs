//! The client's end of a data channel.

use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ssm_session_proto::Frame;
use tokio::time::Instant;
use tokio_websockets::CloseCode;
use tokio_websockets::Error;
use tokio_websockets::Message;
use tokio_websockets::WebSocketStream;

use super::failing::step_of;
use super::link::Link;
use crate::plan::ConnectStep;

/// A WebSocket that came in through the HTTP listener.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// An attached client.
#[derive(Debug)]
pub(super) struct Client {
    socket: Socket,
    /// Something is queued in the socket that the network has not taken.
    unflushed: bool,
    /// A pong is queued: no more is read until it is gone, or a client that pings without reading fills the queue.
    owes_pong: bool,
    /// Why the client has left, if that came behind frames of its own.
    left: Option<String>,
    /// It is neither read from nor written to any more.
    silent: bool,
    /// Whether it has been shown an established session, after which there is nothing to look for in frames.
    established: bool,
    /// The step that what is being sent shows; nothing follows before it is told.
    passing: Option<ConnectStep>,
}

/// What came of serving the client for a while.
#[derive(Debug)]
pub(super) enum ClientEvent {
    /// Frames were taken; more may be ready before they have to be written.
    Sent,
    /// The client was sent what shows it a step of connecting.
    Passed(ConnectStep),
    /// Frames in order, one at least.
    Received(Vec<Frame>),
    /// The client left, for the reason given.
    Gone(String),
}

impl Client {
    /// `first` goes out before anything else. The client of a session that is `established` has nothing to wait for.
    pub(super) fn new(socket: Socket, first: Frame, established: bool) -> Self {
        let mut client = Self {
            socket,
            unflushed: false,
            owes_pong: false,
            left: None,
            silent: false,
            established,
            passing: established.then_some(ConnectStep::Established),
        };
        client.push(first);
        client
    }

    /// Queues a frame whether or not the network keeps up; for the few the service itself sends.
    pub(super) fn push(&mut self, frame: Frame) {
        // A socket that cannot take it is closed, which the next read reports.
        self.unflushed |= self.socket.start_send_unpin(to_message(frame)).is_ok();
    }

    /// From now on the connection is left alone, as if the network had lost it.
    pub(super) fn silence(&mut self) {
        self.silent = true;
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Link,
        reading: bool,
    ) -> Poll<ClientEvent> {
        match self.poll_send(cx, outgoing) {
            Poll::Ready(Ok(event)) => return Poll::Ready(event),
            Poll::Ready(Err(error)) => return Poll::Ready(ClientEvent::Gone(error.to_string())),
            Poll::Pending => {}
        }
        if !reading || self.owes_pong {
            return Poll::Pending;
        }
        self.poll_receive(cx)
    }

    /// Ready when something was taken from `outgoing`, or has passed. When there is nothing to take it flushes what is
    /// queued, so that many frames leave in one write.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Link,
    ) -> Poll<Result<ClientEvent, Error>> {
        let mut taken = false;
        while self.passing.is_none() {
            match self.socket.poll_ready_unpin(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending if taken => return Poll::Ready(Ok(ClientEvent::Sent)),
                Poll::Pending => return Poll::Pending,
            }
            let Some(frame) = outgoing.pop(Instant::now()) else {
                break;
            };
            self.look_at(&frame);
            self.socket.start_send_unpin(to_message(frame))?;
            self.unflushed = true;
            taken = true;
        }
        if taken {
            return Poll::Ready(Ok(ClientEvent::Sent));
        }
        if self.unflushed {
            ready!(self.socket.poll_flush_unpin(cx))?;
            self.unflushed = false;
            self.owes_pong = false;
        }
        match self.passing.take() {
            Some(step) => Poll::Ready(Ok(ClientEvent::Passed(step))),
            None => Poll::Pending,
        }
    }

    fn look_at(&mut self, frame: &Frame) {
        if !self.established {
            self.passing = step_of(frame);
            self.established = self.passing == Some(ConnectStep::Established);
        }
    }

    /// Ready with what the client has sent by now, as far as it is not too much at once.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<ClientEvent> {
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while bytes < TAKEN_AT_ONCE
            && self.left.is_none()
            && !self.owes_pong
            && let Poll::Ready(received) = self.socket.poll_next_unpin(cx)
        {
            match received {
                Some(Ok(message)) if message.is_ping() => {
                    // The socket has queued the pong; polling again sends it.
                    self.unflushed = true;
                    self.owes_pong = true;
                    cx.waker().wake_by_ref();
                }
                Some(Ok(message)) => {
                    if let Some(frame) = to_frame(message) {
                        bytes += frame.as_bytes().len();
                        frames.push(frame);
                    }
                }
                Some(Err(error)) => self.left = Some(error.to_string()),
                None => self.left = Some("the connection was closed".to_owned()),
            }
        }
        if !frames.is_empty() {
            return Poll::Ready(ClientEvent::Received(frames));
        }
        match self.left.take() {
            Some(reason) => Poll::Ready(ClientEvent::Gone(reason)),
            None => Poll::Pending,
        }
    }
}

/// Serves the client, if there is one, until something happens. Dropping the future loses nothing.
pub(super) async fn next(
    client: Option<&mut Client>,
    outgoing: &mut Link,
    reading: bool,
) -> ClientEvent {
    match client {
        Some(client) if !client.silent => {
            std::future::poll_fn(|cx| client.poll(cx, outgoing, reading)).await
        }
        _ => std::future::pending().await,
    }
}

/// Sends what is queued and a close frame, and waits, not for ever, until the client has closed as well: closing on
/// unread input would make TCP throw away what the client has not read yet.
pub(super) async fn close(mut socket: Socket, code: CloseCode, reason: &str) {
    let goodbye = async {
        // Fails if the client has closed already; then there is only its own close frame to answer.
        socket.send(Message::close(Some(code), reason)).await.ok();
        socket.close().await
    };
    match tokio::time::timeout(CLOSE_LIMIT, goodbye).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the client did not wait for the end"),
        Err(_) => tracing::debug!("the client did not close its end in time"),
    }
}

/// Stream frames only: the socket itself answers pings and closes.
pub(super) fn to_frame(message: Message) -> Option<Frame> {
    let text = message.is_text();
    let binary = message.is_binary();
    let payload = Bytes::from(message.into_payload());
    match (text, binary) {
        (true, _) => Some(Frame::Text(payload)),
        (_, true) => Some(Frame::Binary(payload)),
        _ => None,
    }
}

fn to_message(frame: Frame) -> Message {
    match frame {
        Frame::Text(text) => Message::text(text),
        Frame::Binary(bytes) => Message::binary(bytes),
    }
}

/// How long a client may take to close its end.
const CLOSE_LIMIT: Duration = Duration::from_secs(4);
/// Bytes received before others have their turn.
const TAKEN_AT_ONCE: usize = 64 * 1024;
