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
use crate::connector::Connector;
use crate::driver::Driver;
use crate::driver::Ports;
use crate::error::ConnectError;
use crate::options::Options;
use crate::options::SessionStart;
use crate::web_socket::open;

/// Writes that may wait for the driver at the same time before their callers wait longer.
const WAITING_WRITES: usize = 8;

/// Opens the WebSocket of a session and drives it from then on, on a task of its own. The session
/// itself is set up when [`SessionEvent::Established`] comes.
///
/// # Errors
///
/// [`ConnectError`] says which step failed. Each has its own limit in
/// [`Timeouts`](crate::Timeouts).
///
/// # Panics
///
/// Outside a Tokio runtime with I/O and time enabled.
pub async fn connect(start: SessionStart, options: Options) -> Result<Session, ConnectError> {
    let span = span_of(&start);
    let opening = async {
        let connector = Connector::new(options.trust.clone(), options.timeouts);
        let url = &start.stream_url;
        let connection = connector
            .connect(url.host(), url.port(), url.is_tls())
            .await?;
        begin(connection, start, options).await
    };
    opening.instrument(span).await
}

/// Like [`connect`], over a connection the caller has made: a tunnel, or a pipe of a test. It
/// must lead to the host of the stream URL, TLS included.
///
/// # Errors
///
/// [`ConnectError`], if the upgrade to a WebSocket fails.
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
    begin(connection, start, options).instrument(span).await
}

/// The span of all that is logged of a session.
fn span_of(start: &SessionStart) -> Span {
    tracing::info_span!("session", id = start.id())
}

/// Opens the WebSocket over a connection and starts the driver, in the present span.
async fn begin<S>(
    connection: S,
    start: SessionStart,
    options: Options,
) -> Result<Session, ConnectError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let socket = open(connection, &start.stream_url, options.timeouts.upgrade).await?;
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
        target: options.target,
    };
    let mut machine = ClientSession::new(config, WallClock::new(now, unix), seed);
    machine.handle_connected(&start.token, now);

    let (write, writes) = mpsc::channel(WAITING_WRITES);
    let (wish, wishes) = watch::channel(Wishes::default());
    let (sender, receiver) = backlog::channel();
    let ports = Ports {
        writes,
        wishes,
        events: sender,
    };
    let driver = Driver::new(machine, socket, ports, options.data_keys, options.timeouts);
    tokio::spawn(driver.run().in_current_span());
    Ok(Session {
        id: start.id().to_owned(),
        client_id,
        control: SessionControl { write, wish },
        events: receiver,
        over: false,
    })
}

/// One session with a managed node.
///
/// Events must be taken with [`next_event`](Self::next_event): once 1 MiB of output is waiting,
/// nothing more is read from the network. Dropping the session and all its controls closes the
/// connection without telling the service, which then keeps the session until its idle limit;
/// [`terminate`](Self::terminate) first.
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
    wish: watch::Sender<Wishes>,
}

impl SessionControl {
    /// Sends input, in the order of the calls, and waits until all of it is accepted into the
    /// window of unacknowledged input. Input from before the session is established is kept for
    /// it.
    ///
    /// If the wait is given up, all of `data` is sent or none of it.
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

    /// Tells the far end the size of the terminal. The latest size wins.
    pub fn resize(&self, size: TerminalSize) {
        self.wish.send_modify(|wishes| wishes.size = Some(size));
    }

    /// Asks for the end of the session, after what was written before. [`SessionEvent::Closed`]
    /// follows within [`Timeouts::terminate`](crate::Timeouts::terminate); if its
    /// [`may_live_on`](Close::may_live_on) is true, only the service's TerminateSession operation
    /// ends the session there.
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

/// What is wanted of the session besides input; the latest wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) size: Option<TerminalSize>,
    pub(crate) terminate: bool,
}
