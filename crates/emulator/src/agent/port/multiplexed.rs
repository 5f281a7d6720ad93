//! Connections side by side, each a smux stream (`docs/PROTOCOL.md` 7.6 and 8).

use std::collections::HashMap;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use bytes::Bytes;
use futures_util::future::FutureExt as _;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::MuxRole;
use ssm_session_proto::OutputStream;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Limits;
use super::broken;
use super::destination::Destination;
use super::destination::Dial;
use super::outbox::Inbox;
use super::outbox::Outbox;
use super::ready::Ready;
use crate::agent::driver::now;
use crate::agent::job::Turn;
use crate::deadline::until;

/// A session whose messages carry one smux byte stream.
///
/// The smux machine keeps nothing for its readers here: all that comes waits in the outbox of its connection, and is
/// counted against one bucket, as in the library of the real agent. Once the bucket is empty no more input is taken,
/// whatever stream it is for.
pub(super) struct Multiplexed {
    destination: Destination,
    limits: Limits,
    mux: Mux,
    streams: HashMap<StreamId, Stream>,
    ready: Arc<Ready>,
    /// Streams without a connection; the first is being connected.
    accepted: VecDeque<StreamId>,
    dial: Option<Dial>,
    /// Connections that could not be made and that the client has not been told of.
    refused: usize,
    inbox: Inbox,
    /// Frames that are not in a message yet.
    unsent: Bytes,
    /// Received bytes that no connection has taken.
    unwritten: usize,
    /// The client has broken the protocol or is gone.
    failed: bool,
}

/// One stream and its connection.
struct Stream {
    socket: Option<TcpStream>,
    outbox: Outbox,
    /// The client's FIN came.
    finished: bool,
    /// Has the stream served.
    waker: Waker,
}

impl Multiplexed {
    pub(super) fn new(destination: Destination, keepalive: bool, limits: Limits) -> Self {
        Self {
            destination,
            limits,
            mux: Mux::new(MuxRole::Agent, keepalive, now()),
            streams: HashMap::new(),
            ready: Arc::default(),
            accepted: VecDeque::new(),
            dial: None,
            refused: 0,
            inbox: Inbox::default(),
            unsent: Bytes::new(),
            unwritten: 0,
            failed: false,
        }
    }

    /// See [`crate::agent::job::Job::turn`].
    pub(super) async fn turn(&mut self, may_output: bool) -> Turn {
        loop {
            let timeout = self.mux.poll_timeout().map(Instant::from_std);
            tokio::select! {
                turn = std::future::poll_fn(|cx| self.poll(cx, may_output)) => return turn,
                () = until(timeout) => {
                    self.mux.handle_timeout(now());
                    self.take_events();
                }
            }
        }
    }

    /// A message of the byte stream.
    pub(super) fn next_output(&mut self) -> Option<Bytes> {
        if self.unsent.is_empty() {
            self.unsent = self.mux.poll_transmit(self.transmit_limit())?;
            self.take_events();
        }
        let length = self.unsent.len().min(self.limits.payload);
        Some(self.unsent.split_to(length))
    }

    pub(super) fn takes_input(&self) -> bool {
        self.unwritten < BUCKET && self.accepted.len() <= BACKLOG && !self.failed
    }

    pub(super) fn input(&mut self, data: &Bytes) {
        // In pieces of which the machine can never have too much.
        for at in (0..data.len()).step_by(PIECE) {
            let piece = data.slice(at..data.len().min(at + PIECE));
            // A part of a much larger message would keep all of it.
            let piece = match data.len() {
                0..=PIECE => piece,
                _ => Bytes::copy_from_slice(&piece),
            };
            self.mux.handle_data(piece, now());
            self.take_events();
        }
    }

    /// As many whole messages as hold the largest frame the real agent sends, or one that is larger.
    fn transmit_limit(&self) -> usize {
        let messages = FRAME / self.limits.payload;
        self.limits.payload * messages.max(1)
    }

    fn take_events(&mut self) {
        while let Some(event) = self.mux.poll_event() {
            match event {
                MuxEvent::Opened(id) => self.open(id),
                MuxEvent::Readable(id) => self.receive(id),
                MuxEvent::Writable(id) => self.call(id),
                MuxEvent::Failed(error) => {
                    tracing::debug!(%error, "the multiplexed session failed");
                    self.failed = true;
                }
                _ => tracing::debug!("an event of a newer protocol crate"),
            }
        }
    }

    fn open(&mut self, id: StreamId) {
        let stream = Stream {
            socket: None,
            outbox: Outbox::default(),
            finished: false,
            waker: self.ready.waker(id),
        };
        self.streams.insert(id, stream);
        self.accepted.push_back(id);
    }

    /// Takes over what came for a stream.
    fn receive(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        loop {
            match self.mux.read(id) {
                Received::Data(data) => {
                    self.unwritten += data.len();
                    stream.outbox.push(data);
                }
                Received::Pending => break,
                Received::Finished | Received::Overrun => {
                    stream.finished = true;
                    break;
                }
            }
        }
        stream.waker.wake_by_ref();
    }

    fn call(&self, id: StreamId) {
        if let Some(stream) = self.streams.get(&id) {
            stream.waker.wake_by_ref();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, may_output: bool) -> Poll<Turn> {
        self.ready.register(cx);
        let took_input = self.takes_input();
        self.poll_dial(cx);
        for id in self.ready.take() {
            self.serve(id);
        }
        if self.failed {
            return Poll::Ready(Turn::Ended(broken()));
        }
        if self.refused > 0 {
            self.refused -= 1;
            return Poll::Ready(Turn::ConnectToPortError);
        }
        if may_output && let Some(data) = self.next_output() {
            return Poll::Ready(Turn::Output {
                stream: OutputStream::Stdout,
                data,
            });
        }
        if !took_input && self.takes_input() {
            return Poll::Ready(Turn::InputTaken);
        }
        Poll::Pending
    }

    /// Connects streams one after the other.
    fn poll_dial(&mut self, cx: &mut Context<'_>) {
        while let Some(&id) = self.accepted.front() {
            let dial = self.dial.get_or_insert_with(|| self.destination.dial());
            let Poll::Ready(connected) = dial.poll_unpin(cx) else {
                return;
            };
            self.dial = None;
            self.accepted.pop_front();
            match connected {
                Ok(socket) => {
                    if let Some(stream) = self.streams.get_mut(&id) {
                        stream.socket = Some(socket);
                        stream.waker.wake_by_ref();
                    }
                }
                Err(text) => {
                    tracing::debug!(%id, text, "the destination could not be reached");
                    self.refused += 1;
                    self.close(id);
                }
            }
        }
    }

    /// Moves what can be moved between a stream and its connection.
    fn serve(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(socket) = &stream.socket else {
            return;
        };
        let waker = stream.waker.clone();
        let mut cx = Context::from_waker(&waker);
        let before = stream.outbox.bytes();
        let written = write(socket, &mut stream.outbox, &mut cx);
        self.unwritten -= before - stream.outbox.bytes();
        if written.is_err() || stream.finished && stream.outbox.is_empty() {
            return self.close(id);
        }
        let room = self.mux.room(id);
        if room == 0 {
            // It is called again when there is some.
            return;
        }
        match self.inbox.poll_read(socket, room, &mut cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(data)) if !data.is_empty() => {
                self.mux.write(id, data);
                // There may be more, after the others have had their turn.
                stream.waker.wake_by_ref();
            }
            Poll::Ready(Ok(_) | Err(_)) => self.close(id),
        }
    }

    /// Ends a stream in both directions, once what its connection sent is on its way.
    fn close(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.remove(&id) {
            self.unwritten -= stream.outbox.bytes();
        }
        self.mux.abandon(id);
        self.take_events();
    }
}

/// Writes until nothing is left, or `cx` is told when to go on.
fn write(socket: &TcpStream, outbox: &mut Outbox, cx: &mut Context<'_>) -> io::Result<()> {
    while !outbox.is_empty() {
        match outbox.poll_write(socket, cx) {
            Poll::Pending => return Ok(()),
            Poll::Ready(written) => written?,
        }
    }
    Ok(())
}

/// Received bytes that may wait for connections, and one message more: what the real agent's library keeps.
const BUCKET: usize = 4 * 1024 * 1024;
/// Streams that may wait to be connected: the library's accept backlog.
const BACKLOG: usize = 1024;
/// Bytes of the largest frame a real agent sends, without its header.
const FRAME: usize = 32 * 1024;
/// Bytes given to the smux machine at once.
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests;
