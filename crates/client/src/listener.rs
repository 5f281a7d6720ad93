//! The local end of a forward: where programs on this machine connect.

mod error;
mod port;
#[cfg(unix)]
mod unix;

use std::future::poll_fn;
use std::io;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::local_connection::LocalConnection;

pub use error::ListenError;

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: u32 = 1024;
/// How long nothing is accepted after the system had no means for a connection, and the longest
/// that doubles to.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Takes connections of local programs, for [`SessionControl::forward`].
///
/// [`SessionControl::forward`]: crate::SessionControl::forward
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<Socket>,
    /// The one that is asked first, so that a busy one does not starve the other.
    first: usize,
    pause: Duration,
    paused_until: Option<Instant>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(unix::SocketFile),
}

impl Listener {
    /// Listens on TCP port `port` of this machine alone, at `127.0.0.1` and `::1` both; 0 takes
    /// any port that is free at both. An address family this machine does not have is left out.
    ///
    /// # Errors
    ///
    /// [`ListenError`]: the port is in use, if only at one of the addresses, or not allowed.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with I/O enabled.
    pub fn bind_port(port: u16) -> Result<Self, ListenError> {
        let sockets = port::bind_both(port, port::bind)?;
        Ok(Self::new(sockets.into_iter().map(Socket::Tcp).collect()))
    }

    /// Listens on a Unix socket that nobody but this user may connect to (mode 0600). The file
    /// is removed when the listener is dropped, if it is still the one that was made here.
    ///
    /// A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    ///
    /// [`ListenError`]: the path is too long, its directory does not exist, or something is
    /// there that must not be replaced.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with I/O enabled.
    #[cfg(unix)]
    pub fn bind_unix(path: &std::path::Path) -> Result<Self, ListenError> {
        let socket = unix::SocketFile::bind(path)?;
        Ok(Self::new(vec![Socket::Unix(socket)]))
    }

    fn new(sockets: Vec<Socket>) -> Self {
        Self {
            sockets,
            first: 0,
            pause: FIRST_PAUSE,
            paused_until: None,
        }
    }

    /// The TCP port, if this is not a Unix socket.
    pub fn port(&self) -> Option<u16> {
        self.sockets.iter().find_map(|socket| match socket {
            Socket::Tcp(listener) => Some(listener.local_addr().ok()?.port()),
            #[cfg(unix)]
            Socket::Unix(_) => None,
        })
    }

    /// The path of the Unix socket, as it was given.
    #[cfg(unix)]
    pub fn path(&self) -> Option<&std::path::Path> {
        self.sockets.iter().find_map(|socket| match socket {
            Socket::Unix(socket) => Some(socket.path()),
            Socket::Tcp(_) => None,
        })
    }

    /// The next connection. Nothing is lost when the wait is given up.
    ///
    /// A connection that broke before it was accepted is passed over. While the system lacks the
    /// means for one more, file descriptors mostly, a warning is logged and the wait goes on.
    ///
    /// # Errors
    ///
    /// The system's error, if nothing will be accepted any more.
    pub async fn accept(&mut self) -> io::Result<LocalConnection> {
        loop {
            if let Some(until) = self.paused_until {
                sleep_until(until).await;
                self.paused_until = None;
            }
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(connection) => {
                    self.pause = FIRST_PAUSE;
                    return Ok(connection);
                }
                Err(error) => self.on_error(error)?,
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<LocalConnection>> {
        let count = self.sockets.len();
        for turn in 0..count {
            let index = (self.first + turn) % count;
            if let Poll::Ready(accepted) = self.sockets[index].poll_accept(cx) {
                self.first = index + 1;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }

    fn on_error(&mut self, error: io::Error) -> io::Result<()> {
        match Trouble::of(&error) {
            Trouble::OfOne => tracing::debug!(%error, "a connection broke before it was accepted"),
            Trouble::Shortage => {
                tracing::warn!(
                    %error,
                    pause = ?self.pause,
                    "no connection can be accepted for now; close some, or allow more open files"
                );
                self.paused_until = Some(Instant::now() + self.pause);
                self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            }
            Trouble::OfListener => return Err(error),
        }
        Ok(())
    }
}

impl Socket {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<LocalConnection>> {
        match self {
            Self::Tcp(listener) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| LocalConnection::from(stream)),
            #[cfg(unix)]
            Self::Unix(socket) => socket.poll_accept(cx).map_ok(LocalConnection::from),
        }
    }
}

/// What an error of accepting concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The connection that would have been accepted.
    OfOne,
    /// The whole process or system, for a while.
    Shortage,
    OfListener,
}

impl Trouble {
    /// accept(2) of Linux reports errors of the new connection as its own.
    #[cfg(unix)]
    fn of(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Self::Shortage,
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT) | None => {
                Self::OfListener
            }
            Some(_) => Self::OfOne,
        }
    }

    #[cfg(not(unix))]
    fn of(error: &io::Error) -> Self {
        /// WSAEMFILE and WSAENOBUFS.
        const SHORTAGE: [i32; 2] = [10_024, 10_055];
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted, _) => Self::OfOne,
            (_, Some(code)) if SHORTAGE.contains(&code) => Self::Shortage,
            _ => Self::OfListener,
        }
    }
}

#[cfg(test)]
mod tests;
