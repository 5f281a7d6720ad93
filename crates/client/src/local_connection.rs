//! A connection of a program on this machine.

mod probe;

use std::fmt;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

pub(crate) use probe::PeerState;

use crate::connection::ByteStream;

/// A connection of a local program, on its way through a session: see
/// [`SessionControl::forward`](crate::SessionControl::forward).
///
/// What can be done for the program depends on what it is made from:
///
/// | made from | how a program that has gone is told from one that waits for the answer | how the program learns of a broken session |
/// |---|---|---|
/// | `TcpStream` | Linux: the kernel is asked; elsewhere: when something is written to it | its connection is reset |
/// | `UnixStream` | the kernel is asked | by the end of the stream: Unix sockets know no reset |
/// | anything else | when something is written to it | it is dropped, which most kinds show as an end |
pub struct LocalConnection {
    stream: Stream,
    /// The kernel knew the other end of the connection when it was asked before.
    peer_seen: bool,
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Other(Box<dyn ByteStream + Send + Unpin>),
}

impl LocalConnection {
    /// Takes any stream of bytes, such as one half of [`tokio::io::duplex`] whose other half is
    /// in the hands of the program. A TCP or Unix socket is better taken with `From`.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::of(Stream::Other(Box::new(stream)))
    }

    fn of(stream: Stream) -> Self {
        Self {
            stream,
            peer_seen: false,
        }
    }

    /// What has become of the other end, if there is a way to know.
    pub(crate) fn peer_state(&mut self) -> PeerState {
        match &self.stream {
            Stream::Tcp(stream) => {
                let found = probe::of_tcp(stream);
                self.judge(found)
            }
            #[cfg(unix)]
            Stream::Unix(stream) => probe::of_unix(stream),
            Stream::Other(_) => PeerState::Unknown,
        }
    }

    /// A socket that was there before and is not any more is gone. One that never was is on the
    /// far side of an address translation, and nothing is known of it.
    fn judge(&mut self, found: PeerState) -> PeerState {
        match found {
            PeerState::NotFound if self.peer_seen => PeerState::Gone,
            PeerState::NotFound => PeerState::Unknown,
            PeerState::Held => {
                self.peer_seen = true;
                found
            }
            PeerState::Gone | PeerState::Unknown => found,
        }
    }

    /// Ends it so that the program sees an error, where there is a way.
    pub(crate) fn reset(self) {
        if let Stream::Tcp(stream) = &self.stream
            && let Err(error) = stream.set_zero_linger()
        {
            tracing::debug!(%error, "a local connection cannot be reset and is closed");
        }
    }

    fn stream(&mut self) -> Pin<&mut dyn ByteStream> {
        match &mut self.stream {
            Stream::Tcp(stream) => {
                let stream: Pin<&mut TcpStream> = Pin::new(stream);
                stream
            }
            #[cfg(unix)]
            Stream::Unix(stream) => {
                let stream: Pin<&mut UnixStream> = Pin::new(stream);
                stream
            }
            Stream::Other(stream) => {
                let stream: Pin<&mut (dyn ByteStream + Send + Unpin)> = Pin::new(stream.as_mut());
                stream
            }
        }
    }
}

/// Small writes leave at once from here on (`TCP_NODELAY`).
impl From<TcpStream> for LocalConnection {
    fn from(stream: TcpStream) -> Self {
        if let Err(error) = stream.set_nodelay(true) {
            // The program has gone already; the first read will tell.
            tracing::debug!(%error, "small writes to a local connection may be delayed");
        }
        Self::of(Stream::Tcp(stream))
    }
}

#[cfg(unix)]
impl From<UnixStream> for LocalConnection {
    fn from(stream: UnixStream) -> Self {
        Self::of(Stream::Unix(stream))
    }
}

impl fmt::Debug for LocalConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stream {
            Stream::Tcp(stream) => f.debug_tuple("LocalConnection").field(stream).finish(),
            #[cfg(unix)]
            Stream::Unix(stream) => f.debug_tuple("LocalConnection").field(stream).finish(),
            Stream::Other(_) => f.write_str("LocalConnection(..)"),
        }
    }
}

impl AsyncRead for LocalConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buffer)
    }
}

impl AsyncWrite for LocalConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.is_write_vectored(),
            Stream::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
