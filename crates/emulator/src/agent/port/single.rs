//! One connection at a time: the whole session (`docs/PROTOCOL.md` 7.4), or one after the other (7.5).

use std::io;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use futures_util::future::FutureExt as _;
use ssm_session_proto::ControlFlag;
use ssm_session_proto::OutputStream;
use tokio::net::TcpStream;

use super::Limits;
use super::broken;
use super::destination::Destination;
use super::destination::Dial;
use super::end;
use super::outbox::Inbox;
use super::outbox::Outbox;
use crate::agent::Outcome;
use crate::agent::job::End;
use crate::agent::job::Turn;

/// A session whose messages carry the bytes of a connection as they are.
pub(super) struct Single {
    destination: Destination,
    /// Whether another connection may follow.
    redials: bool,
    limits: Limits,
    connection: Connection,
    inbox: Inbox,
    /// Read and not sent.
    unsent: Bytes,
    outbox: Outbox,
    /// A flag that waits until what came before it is written.
    flag: Option<ControlFlag>,
}

enum Connection {
    /// The session's first connection, before which no input is taken.
    First(Dial),
    /// Upon input, after the one before has ended.
    Another(Dial),
    Up(TcpStream),
    Down,
}

/// What the connection has to say.
enum Happened {
    Read,
    /// It takes more input than it did.
    Written,
    /// Another was made, or this one has ended.
    Changed,
    Ended(End),
}

impl Single {
    pub(super) fn new(destination: Destination, redials: bool, limits: Limits) -> Self {
        Self {
            connection: Connection::First(destination.dial()),
            destination,
            redials,
            limits,
            inbox: Inbox::default(),
            unsent: Bytes::new(),
            outbox: Outbox::default(),
            flag: None,
        }
    }

    /// See [`crate::agent::job::Job::turn`].
    pub(super) async fn turn(&mut self, may_output: bool) -> Turn {
        loop {
            if may_output && let Some(data) = self.next_output() {
                return Turn::Output {
                    stream: OutputStream::Stdout,
                    data,
                };
            }
            let took_input = self.takes_input();
            let happened = std::future::poll_fn(|cx| self.poll(cx, may_output)).await;
            if let Happened::Ended(end) = happened {
                return Turn::Ended(end);
            }
            if self.outbox.is_empty()
                && let Some(flag) = self.flag.take()
                && let Some(end) = self.flag(flag)
            {
                return Turn::Ended(end);
            }
            if !took_input && self.takes_input() {
                return Turn::InputTaken;
            }
        }
    }

    /// A message of what was read.
    pub(super) fn next_output(&mut self) -> Option<Bytes> {
        let length = self.unsent.len().min(self.limits.payload);
        (length > 0).then(|| self.unsent.split_to(length))
    }

    pub(super) fn takes_input(&self) -> bool {
        !matches!(self.connection, Connection::First(_))
            && self.flag.is_none()
            && self.outbox.bytes() < UNWRITTEN
    }

    pub(super) fn input(&mut self, data: Bytes) {
        self.outbox.push(data);
    }

    /// See [`super::Port::flag`].
    pub(super) fn flag(&mut self, flag: ControlFlag) -> Option<End> {
        if !self.outbox.is_empty() {
            self.flag = Some(flag);
            return None;
        }
        if flag == ControlFlag::TERMINATE_SESSION {
            return Some(end(Outcome::success()));
        }
        // To the real agent its own closing looks like a broken connection.
        self.connection = Connection::Down;
        (!self.redials).then(broken)
    }

    fn poll(&mut self, cx: &mut Context<'_>, may_output: bool) -> Poll<Happened> {
        match &mut self.connection {
            Connection::First(dial) | Connection::Another(dial) => {
                match ready!(dial.poll_unpin(cx)) {
                    Ok(socket) => {
                        self.connection = Connection::Up(socket);
                        Poll::Ready(Happened::Changed)
                    }
                    Err(text) => Poll::Ready(Happened::Ended(self.not_connected(&text))),
                }
            }
            Connection::Up(_) => self.poll_socket(cx, may_output),
            Connection::Down if self.outbox.is_empty() => Poll::Pending,
            Connection::Down => {
                self.connection = Connection::Another(self.destination.dial());
                Poll::Ready(Happened::Changed)
            }
        }
    }

    /// The real agent tells why the first connection could not be made, and no more.
    fn not_connected(&self, text: &str) -> End {
        tracing::debug!(text, "the destination could not be reached");
        match self.connection {
            Connection::First(_) => end(Outcome::failed(format!(
                "Unable to connect to specified port: {text}"
            ))),
            _ => broken(),
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, may_output: bool) -> Poll<Happened> {
        if let Poll::Ready(written) = self.poll_write(cx) {
            return Poll::Ready(match written {
                Ok(()) => Happened::Written,
                Err(error) => self.disconnected(Some(&error)),
            });
        }
        if may_output && self.unsent.is_empty() {
            return match ready!(self.poll_read(cx)) {
                Ok(true) => Poll::Ready(Happened::Read),
                Ok(false) => Poll::Ready(self.disconnected(None)),
                Err(error) => Poll::Ready(self.disconnected(Some(&error))),
            };
        }
        Poll::Pending
    }

    /// Ready when something was written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Connection::Up(socket) = &self.connection else {
            return Poll::Pending;
        };
        if self.outbox.is_empty() {
            return Poll::Pending;
        }
        self.outbox.poll_write(socket, cx)
    }

    /// Ready when something was read, or false at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Connection::Up(socket) = &self.connection else {
            return Poll::Pending;
        };
        self.unsent = ready!(self.inbox.poll_read(socket, self.limits.read, cx))?;
        Poll::Ready(Ok(!self.unsent.is_empty()))
    }

    /// The connection has ended, in order or with an error. What it did not take goes to the next one, as the real
    /// agent's client sends it again.
    fn disconnected(&mut self, error: Option<&io::Error>) -> Happened {
        tracing::debug!(?error, "the destination has closed its connection");
        self.connection = Connection::Down;
        if self.redials {
            self.outbox.rewind();
            return Happened::Changed;
        }
        Happened::Ended(match error {
            None => end(Outcome::success()),
            Some(_) => broken(),
        })
    }
}

/// Most bytes of input that wait for the connection, a message more or less.
const UNWRITTEN: usize = 128 * 1024;
