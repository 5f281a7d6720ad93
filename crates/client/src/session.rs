//! A session in the application's hands.

use std::fmt;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use ssm_session_proto::ClientConfig;
use ssm_session_proto::ClientSession;
use ssm_session_proto::Established;
use ssm_session_proto::OutputStream;
use ssm_session_proto::TerminalSize;
use ssm_session_proto::WallClock;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::Span;
use uuid::Uuid;

use crate::backlog;
use crate::backlog::EventReceiver;
use crate::close::Close;
use crate::connection::Connection;
use crate::dial::WebSocket;
use crate::dial::dial;
use crate::dial::dial_over;
use crate::driver::Driver;
use crate::driver::Ports;
use crate::error::ConnectError;
use crate::local_connection::LocalConnection;
use crate::options::Options;
use crate::options::SessionStart;

/// Writes that may wait for the driver at the same time before their callers wait longer.
const WAITING_WRITES: usize = 8;
/// The same for local connections.
const WAITING_FORWARDS: usize = 8;

/// Opens the WebSocket of a session and drives it from then on, on a task of its own. The session
/// itself is set up when [`SessionEvent::Established`] comes.
///
/// # Errors
///
/// [`ConnectError`] says which step failed. Each has its own limit in
/// [`Timeouts`](crate::Timeouts), which must [make sense](crate::Timeouts::check).
///
/// # Panics
///
/// Outside a Tokio runtime with I/O and time enabled.
pub async fn connect(start: SessionStart, options: Options) -> Result<Session, ConnectError> {
    let span = span_of(&start);
    let opening = async {
        let options = options.checked()?;
        let web_socket = dial(&start.stream_url, &options).await?;
        begin(web_socket, start, options)
    };
    opening.instrument(span).await
}

/// Like [`connect`], over a connection the caller has made: a tunnel, or a pipe of a test. It
/// must lead to the host of the stream URL, TLS included. One that is lost is resumed as after
/// [`connect`], by the connector of `options`.
///
/// # Errors
///
/// [`ConnectError`], if the upgrade to a WebSocket fails, or the time limits make no sense.
///
/// # Panics
///
/// Outside a Tokio runtime with time enabled.
pub async fn connect_over<S>(
    connection: S,
    start: SessionStart,
    options: Options,
) -> Result<Session, ConnectError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let span = span_of(&start);
    let opening = async {
        let options = options.checked()?;
        let connection = Connection::new(connection);
        let web_socket = dial_over(connection, &start.stream_url, &options).await?;
        begin(web_socket, start, options)
    };
    opening.instrument(span).await
}

/// The span of all that is logged of a session.
fn span_of(start: &SessionStart) -> Span {
    tracing::info_span!("session", id = start.id())
}

/// Starts the driver of a session, in the present span.
fn begin(
    web_socket: WebSocket,
    start: SessionStart,
    options: Options,
) -> Result<Session, ConnectError> {
    let (mut seed, mut random_id) = ([0; 32], [0; 16]);
    getrandom::fill(&mut seed)
        .and_then(|()| getrandom::fill(&mut random_id))
        .map_err(|error| ConnectError::Randomness(error.into()))?;
    let client_id = options
        .client_id
        .unwrap_or_else(|| uuid::Builder::from_random_bytes(random_id).into_uuid());
    let now = Instant::now().into_std();
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let config = ClientConfig {
        client_id,
        session_id: start.id().to_owned(),
        target: options.target.clone(),
    };
    let mut machine = ClientSession::new(config, WallClock::new(now, unix), seed);
    machine.handle_connected(&start.token, now);

    let (write, writes) = mpsc::channel(WAITING_WRITES);
    let (forward, forwards) = mpsc::channel(WAITING_FORWARDS);
    let (wish, wishes) = watch::channel(Wishes::default());
    let (sender, receiver) = backlog::channel();
    let ports = Ports {
        writes,
        wishes,
        events: sender,
    };
    let id = start.id().to_owned();
    let driver = Driver::new(machine, web_socket, ports, forwards, &start, options);
    tokio::spawn(driver.run().in_current_span());
    Ok(Session {
        id,
        client_id,
        control: SessionControl {
            write,
            forward,
            wish,
        },
        events: receiver,
        over: false,
    })
}

/// One session with a managed node.
///
/// Events must be taken with [`next_event`](Self::next_event): once 1 MiB of output is waiting,
/// nothing more is read from the network. Dropping the session and all its controls closes the
/// connection and leaves the session at the service, for somebody else to resume, until its idle
/// limit; [`terminate`](Self::terminate) first to end it.
pub struct Session {
    id: String,
    client_id: Uuid,
    control: SessionControl,
    events: EventReceiver,
    over: bool,
}

impl Session {
    /// The session's id, as the service named it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id this client goes by in the session.
    pub fn client_id(&self) -> Uuid {
        self.client_id
    }

    /// A handle that writes to the session, for other tasks.
    pub fn control(&self) -> SessionControl {
        self.control.clone()
    }

    /// The next event, and `None` after [`SessionEvent::Closed`]. Nothing is lost when the wait
    /// is given up.
    pub async fn next_event(&mut self) -> Option<SessionEvent> {
        if self.over {
            return None;
        }
        let event = self.events.next().await;
        let event = event.unwrap_or_else(|| SessionEvent::Closed(Close::abandoned()));
        self.over = matches!(event, SessionEvent::Closed(_));
        Some(event)
    }

    /// See [`SessionControl::write`].
    ///
    /// # Errors
    ///
    /// [`Closed`] once the session is over.
    pub async fn write(&self, data: &[u8]) -> Result<(), Closed> {
        self.control.write(data).await
    }

    /// See [`SessionControl::forward`].
    ///
    /// # Errors
    ///
    /// [`Closed`] once the session is over, or if it is no forward.
    pub async fn forward(&self, connection: LocalConnection) -> Result<(), Closed> {
        self.control.forward(connection).await
    }

    /// See [`SessionControl::resize`].
    pub fn resize(&self, size: TerminalSize) {
        self.control.resize(size);
    }

    /// See [`SessionControl::terminate`].
    pub fn terminate(&self) {
        self.control.terminate();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// Writes to a session. Clones write to the same one.
#[derive(Clone, Debug)]
pub struct SessionControl {
    write: mpsc::Sender<Write>,
    forward: mpsc::Sender<Forward>,
    wish: watch::Sender<Wishes>,
}

impl SessionControl {
    /// Sends input, in the order of the calls, and waits until all of it is accepted into the
    /// window of unacknowledged input. Input from before the session is established is kept for
    /// it.
    ///
    /// If the wait is given up, all of `data` is sent or none of it. In a session that
    /// [forwards](Self::forward) connections there is nothing to write: they are its input.
    ///
    /// # Errors
    ///
    /// [`Closed`] once the session is over; its last event says why.
    pub async fn write(&self, data: &[u8]) -> Result<(), Closed> {
        let (accepted, acceptance) = oneshot::channel();
        let write = Write {
            rest: Bytes::copy_from_slice(data),
            accepted,
        };
        self.write.send(write).await.map_err(|_| Closed)?;
        acceptance.await.map_err(|_| Closed)
    }

    /// Hands a local connection over to a forward, whose driver carries it from then on, to its
    /// end or the session's. Waits until its turn has come: until the session is established,
    /// and, with an agent that knows one connection at a time (docs/PROTOCOL.md 7.5), until the
    /// one before is over.
    ///
    /// A program that ends its direction still gets the answer of the far end, which is not told
    /// before [`Timeouts::half_close`](crate::Timeouts::half_close). A connection that is cut off
    /// by the session's end, or because the destination cannot be reached, is reset where it can
    /// be: see [`LocalConnection`].
    ///
    /// A connection takes up to 64 KiB of memory for each direction, and up to
    /// [`MAX_UNREAD`](ssm_session_proto::MAX_UNREAD) while its program does not read, all
    /// together [`MAX_UNREAD_IN_ALL`](ssm_session_proto::MAX_UNREAD_IN_ALL). Beyond that the
    /// program holds back its destination if it is the only one, or else is cut off with
    /// [`SessionEvent::ConnectionOverrun`].
    ///
    /// If the wait is given up, the connection is closed or forwarded.
    ///
    /// # Errors
    ///
    /// [`Closed`] once the session is over, or if it is no forward. The connection is then reset.
    pub async fn forward(&self, connection: LocalConnection) -> Result<(), Closed> {
        let (taken, taking) = oneshot::channel();
        let forward = Forward { connection, taken };
        if let Err(refused) = self.forward.send(forward).await {
            refused.0.connection.reset();
            return Err(Closed);
        }
        taking.await.map_err(|_| Closed)
    }

    /// Tells the far end the size of the terminal. The latest size wins.
    pub fn resize(&self, size: TerminalSize) {
        self.wish.send_modify(|wishes| wishes.size = Some(size));
    }

    /// Asks for the end of the session, after what was written before unless the connection is
    /// lost. [`SessionEvent::Closed`] follows within twice
    /// [`Timeouts::terminate`](crate::Timeouts::terminate): where the far end knows no such wish,
    /// or does not heed it, TerminateSession is called. If [`may_live_on`](Close::may_live_on) is
    /// true that was not possible, and the session stays until its idle limit.
    pub fn terminate(&self) {
        self.wish.send_modify(|wishes| wishes.terminate = true);
    }

    /// Whether the session is over, so that every write fails.
    pub fn is_closed(&self) -> bool {
        self.write.is_closed()
    }
}

/// Something the application should know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The session is set up: input reaches the far end from here on.
    Established(Established),
    /// Bytes from the far end, in order.
    Output {
        /// Where they belong.
        stream: OutputStream,
        /// The bytes, as they were sent: not to be trusted outside a terminal session.
        data: Bytes,
    },
    /// The exit code of the remote command.
    ExitCode(i32),
    /// The agent could not reach the destination for one of the connections of a forward.
    ConnectionRefused,
    /// One of the connections of a forward was reset: its program did not read what came for it,
    /// and the others would have had to wait ([`MAX_UNREAD`](ssm_session_proto::MAX_UNREAD)).
    ConnectionOverrun,
    /// The connection was lost, and is being resumed: [`Reconnected`](Self::Reconnected) or
    /// [`Closed`](Self::Closed) follows within [`Timeouts::resume`](crate::Timeouts::resume). Until
    /// then input is taken as far as there is room, and nothing of it is lost.
    Disconnected {
        /// What happened, as a clause.
        reason: String,
    },
    /// The session goes on over another connection: something has passed over it, or it has stood
    /// for a second. One that is lost before belongs to the same outage.
    Reconnected,
    /// The service answers and the agent does not: for [`Timeouts::unresponsive`](crate::Timeouts::unresponsive)
    /// it has acknowledged nothing, though something was sent. Nothing is lost by it, and nothing is done about it:
    /// an agent also stays silent while its program or destination takes no input (docs/PROTOCOL.md 4.2).
    Unresponsive,
    /// The agent acknowledges again after [`Unresponsive`](Self::Unresponsive). A [`Disconnected`](Self::Disconnected)
    /// makes it moot, too.
    Responsive,
    /// The session is over. Nothing follows.
    Closed(Close),
}

/// The session is over and takes no more input; its [`SessionEvent::Closed`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is closed")]
pub struct Closed;

/// Input on its way to the driver.
#[derive(Debug)]
pub(crate) struct Write {
    /// What the machine has not accepted yet.
    pub(crate) rest: Bytes,
    /// Told when all of it is.
    pub(crate) accepted: oneshot::Sender<()>,
}

/// A local connection on its way to the driver.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) connection: LocalConnection,
    /// Told when it is carried.
    pub(crate) taken: oneshot::Sender<()>,
}

/// What is wanted of the session besides input; the latest wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) size: Option<TerminalSize>,
    pub(crate) terminate: bool,
}
