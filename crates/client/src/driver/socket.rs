//! The WebSocket, read and written at the same time by one task.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use ssm_session_proto::Frame;
use tokio_websockets::Error;
use tokio_websockets::Message;

use super::liveness::Silence;
use crate::close::Close;
use crate::dial::WebSocket;

/// Bytes that may wait here for the socket; the rest waits in the machine, which can still
/// change its mind about them.
const MAX_OUTGOING: usize = 64 * 1024;
/// Most frames read in one turn, and most bytes: what waits is handled before more is read.
const MAX_BATCH: usize = 64;
const MAX_BATCH_BYTES: usize = 256 * 1024;
/// Pongs that may wait for a peer that pings and does not read.
const MAX_PONGS: usize = 256;

/// A WebSocket whose writing never blocks its reading.
#[derive(Debug)]
pub(super) struct Socket {
    web_socket: WebSocket,
    outgoing: VecDeque<Message>,
    outgoing_bytes: usize,
    /// Something was handed to `web_socket` and perhaps not to the network.
    unflushed: bool,
    /// Pings answered since the last complete flush.
    pongs: usize,
    ending: Option<Ending>,
}

/// What a turn brought.
#[derive(Debug)]
pub(super) enum Turn {
    /// Frames were read. Empty if they were all pings or pongs.
    Received(Vec<Frame>),
    /// Everything queued was written.
    Flushed,
    /// Nothing more will be read.
    Ended(Ending),
}

/// How reading ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// By a close frame.
    CloseFrame { code: u16, text: String },
    /// Without one.
    Eof,
    /// By an error of the connection, or of the peer's WebSocket.
    Error(Error),
    /// Without an end: nothing was heard for too long.
    Silence(Silence),
}

impl Ending {
    /// Whether the service will not have this client in the session any more, as when another has
    /// taken its place: resuming would throw that one out.
    pub(super) fn is_dismissal(&self) -> bool {
        matches!(self, Self::CloseFrame { code: 1008, .. })
    }

    /// What happened, as a clause.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::CloseFrame { code, text } => Close::from_close_frame(*code, text).message,
            Self::Eof => "the other end hung up without a word".to_owned(),
            // So the decoder of frames says it.
            Self::Error(Error::Io(error)) if error.kind() == io::ErrorKind::Other => {
                "the other end hung up amid a message".to_owned()
            }
            Self::Error(error) => error.to_string(),
            Self::Silence(Silence { limit, woken }) => {
                let seconds = limit.as_secs_f64();
                let since = if *woken {
                    " after a standstill of this machine or program"
                } else {
                    ""
                };
                format!("nothing was heard for {seconds} s{since}; check the network")
            }
        }
    }

    /// The end of a session with this connection: `lost` is a sentence that the cause completes.
    pub(super) fn into_close(self, lost: &str) -> Close {
        match self {
            Self::CloseFrame { code, text } => Close::from_close_frame(code, &text),
            other => Close::network(format!("{lost}: {}", other.cause())),
        }
    }
}

impl Socket {
    pub(super) fn new(web_socket: WebSocket) -> Self {
        Self {
            web_socket,
            outgoing: VecDeque::new(),
            outgoing_bytes: 0,
            unflushed: false,
            pongs: 0,
            ending: None,
        }
    }

    /// Whether another frame may be queued.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing_bytes < MAX_OUTGOING
    }

    /// Queues a frame; it leaves in one of the next turns.
    pub(super) fn queue(&mut self, frame: Frame) {
        tracing::trace!(?frame, "sending");
        self.queue_message(match frame {
            Frame::Text(text) => Message::text(text),
            Frame::Binary(bytes) => Message::binary(bytes),
        });
    }

    /// Queues a ping.
    pub(super) fn queue_ping(&mut self, payload: &'static str) {
        self.queue_message(Message::ping(payload));
    }

    fn queue_message(&mut self, message: Message) {
        self.outgoing_bytes += message.as_payload().len();
        self.outgoing.push_back(message);
    }

    /// Writes and, if `read`, reads until something came of it. Nothing is lost when the wait is
    /// given up.
    pub(super) async fn turn(&mut self, read: bool) -> Turn {
        poll_fn(|cx| self.poll_turn(cx, read)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Turn> {
        if let Some(ending) = self.ending.take() {
            return Poll::Ready(Turn::Ended(ending));
        }
        let sent = self.poll_send(cx);
        if let Poll::Ready(Err(error)) = sent {
            return Poll::Ready(Turn::Ended(Ending::Error(error)));
        }
        if read && self.pongs < MAX_PONGS {
            if let Poll::Ready(frames) = self.poll_receive(cx) {
                return Poll::Ready(Turn::Received(frames));
            }
            if let Some(ending) = self.ending.take() {
                return Poll::Ready(Turn::Ended(ending));
            }
        }
        match sent {
            Poll::Ready(Ok(true)) => Poll::Ready(Turn::Flushed),
            _ => Poll::Pending,
        }
    }

    /// Ready once nothing waits any more, with whether something did.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        while !self.outgoing.is_empty() {
            ready!(self.web_socket.poll_ready_unpin(cx))?;
            if let Some(message) = self.outgoing.pop_front() {
                self.outgoing_bytes -= message.as_payload().len();
                self.unflushed = true;
                self.web_socket.start_send_unpin(message)?;
            }
        }
        if !self.unflushed {
            return Poll::Ready(Ok(false));
        }
        ready!(self.web_socket.poll_flush_unpin(cx))?;
        self.unflushed = false;
        self.pongs = 0;
        Poll::Ready(Ok(true))
    }

    /// A batch of frames. When it is pending `self.ending` may be set.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Frame>> {
        let mut frames = Vec::new();
        let mut bytes = 0;
        let mut count = 0;
        while count < MAX_BATCH && bytes < MAX_BATCH_BYTES && self.ending.is_none() {
            let message = match self.web_socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => message,
                Poll::Ready(Some(Err(error))) => {
                    self.ending = Some(Ending::Error(error));
                    break;
                }
                Poll::Ready(None) => {
                    self.ending = Some(Ending::Eof);
                    break;
                }
                Poll::Pending => break,
            };
            count += 1;
            bytes += message.as_payload().len();
            if let Some((code, text)) = message.as_close() {
                self.ending = Some(Ending::CloseFrame {
                    code: code.into(),
                    text: text.to_owned(),
                });
            } else if message.is_ping() {
                // The WebSocket queued the answer; it leaves with the next flush.
                self.unflushed = true;
                self.pongs += 1;
            } else if !message.is_pong() {
                let is_text = message.is_text();
                // A copy, lest what is kept of a frame keep all that was read with it.
                let payload = Bytes::copy_from_slice(message.as_payload());
                frames.push(if is_text {
                    Frame::Text(payload)
                } else {
                    Frame::Binary(payload)
                });
            }
        }
        if count == 0 {
            Poll::Pending
        } else {
            Poll::Ready(frames)
        }
    }

    /// Writes everything queued, without reading.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_send(cx)).await.map(|_| ())
    }

    /// Says goodbye, reads until the peer does, and closes the connection.
    pub(super) async fn close(&mut self) -> Result<(), Error> {
        self.web_socket.close().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::io::DuplexStream;
    use tokio_websockets::ClientBuilder;
    use tokio_websockets::ServerBuilder;
    use tokio_websockets::WebSocketStream;

    use super::*;
    use crate::connection::Connection;
    use crate::transport::Transport;

    fn pair(capacity: usize) -> (Socket, WebSocketStream<DuplexStream>) {
        let (ours, theirs) = tokio::io::duplex(capacity);
        let peer = ServerBuilder::new().serve(theirs);
        let ours = Transport::new(Connection::new(ours), Bytes::new());
        (Socket::new(ClientBuilder::new().take_over(ours)), peer)
    }

    fn frame(length: usize) -> Frame {
        Frame::Binary(vec![1; length].into())
    }

    #[tokio::test(start_paused = true)]
    async fn reading_goes_on_while_the_peer_does_not_read() {
        let (mut socket, mut peer) = pair(100);
        socket.queue(frame(10_000));
        let sending = tokio::spawn(async move {
            peer.send(Message::binary(vec![2; 10_000])).await.unwrap();
            peer
        });
        let limit = Duration::from_secs(60);
        let turn = tokio::time::timeout(limit, socket.turn(true)).await;
        let Turn::Received(frames) = turn.expect("both ends wait for the other to read") else {
            panic!("nothing can be flushed before something was received")
        };
        assert_eq!(frames, [Frame::Binary(vec![2; 10_000].into())]);
        let mut peer = sending.await.unwrap();
        let (flushed, received) = tokio::join!(socket.turn(true), peer.next());
        assert!(matches!(flushed, Turn::Flushed), "{flushed:?}");
        assert_eq!(received.unwrap().unwrap().as_payload().len(), 10_000);
    }

    #[tokio::test]
    async fn many_frames_leave_before_one_flush_is_reported() {
        let (mut socket, mut peer) = pair(64 * 1024);
        for _ in 0..20 {
            socket.queue(frame(1000));
        }
        assert!(matches!(socket.turn(true).await, Turn::Flushed));
        for _ in 0..20 {
            assert_eq!(peer.next().await.unwrap().unwrap().as_payload().len(), 1000);
        }
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_bytes_and_no_more() {
        let (mut socket, _peer) = pair(64);
        let mut queued = 0;
        while socket.has_room() {
            socket.queue(frame(1000));
            queued += 1000;
        }
        assert!((MAX_OUTGOING..MAX_OUTGOING + 1000).contains(&queued));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_pings_and_does_not_read_is_not_served_for_ever() {
        let (mut socket, mut peer) = pair(64);
        let pings = async {
            let mut sent = 0;
            while sent < 10 * MAX_PONGS {
                peer.send(Message::ping(vec![0; 125])).await.unwrap();
                sent += 1;
            }
        };
        let reading = async {
            loop {
                socket.turn(true).await;
            }
        };
        let both = async {
            tokio::select! { () = pings => {}, () = reading => {} }
        };
        // The clock is paused: it only moves when nothing else can.
        let limit = Duration::from_secs(1);
        assert!(
            tokio::time::timeout(limit, both).await.is_err(),
            "all pings were taken"
        );
    }

    #[tokio::test]
    async fn a_peer_that_hangs_up_amid_a_message_is_told_in_words() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let ours = Transport::new(Connection::new(ours), Bytes::new());
        let mut socket = Socket::new(ClientBuilder::new().take_over(ours));
        theirs.write_all(&[0x82, 100, 1, 2, 3]).await.unwrap();
        drop(theirs);
        let Turn::Ended(ending) = socket.turn(true).await else {
            panic!("a part of a message is none")
        };
        let message = ending.into_close("it was lost").message;
        assert!(message.ends_with("hung up amid a message"), "{message}");
    }

    #[tokio::test]
    async fn frames_before_a_close_frame_are_handed_over_first() {
        let (mut socket, mut peer) = pair(64 * 1024);
        peer.send(Message::text("last")).await.unwrap();
        peer.send(Message::close(
            Some(tokio_websockets::CloseCode::GOING_AWAY),
            "bye",
        ))
        .await
        .unwrap();
        let Turn::Received(frames) = socket.turn(true).await else {
            panic!()
        };
        assert_eq!(frames, [Frame::Text("last".into())]);
        match socket.turn(true).await {
            Turn::Ended(Ending::CloseFrame { code: 1001, text }) => assert_eq!(text, "bye"),
            other => panic!("{other:?}"),
        }
    }
}
