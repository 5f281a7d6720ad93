//! A connection to a server: plain, over TLS, through a proxy, or whatever the caller brought.

use std::fmt;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Buf as _;
use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection made by a [`Connector`](crate::Connector), or by somebody else.
pub struct Connection {
    stream: Stream,
    /// Came together with a proxy's answer, and comes before what `stream` yields.
    read_ahead: Bytes,
}

/// The two usual kinds are not behind a pointer to functions: every byte passes here.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// TLS to a server behind a proxy.
    TlsInside(Box<TlsStream<Connection>>),
    Other(Pin<Box<dyn ByteStream>>),
}

impl Connection {
    /// A connection over `stream`, made by other means than a [`Connector`](crate::Connector).
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Stream::Other(Box::pin(stream)).into()
    }

    /// Whether this library speaks TLS on it. `false` for one from [`Connection::new`], whatever
    /// that does.
    pub fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_) | Stream::TlsInside(_))
    }

    /// The connection with `bytes`, which were read from it, put back.
    pub(crate) fn unread(mut self, bytes: Bytes) -> Self {
        debug_assert!(self.read_ahead.is_empty(), "nothing was put back before");
        self.read_ahead = bytes;
        self
    }

    /// The connection as the plain TCP stream it is, if it is that and nothing was put back.
    pub(crate) fn into_tcp(self) -> Result<TcpStream, Self> {
        match self.stream {
            Stream::Plain(stream) if self.read_ahead.is_empty() => Ok(stream),
            stream => Err(Self { stream, ..self }),
        }
    }

    fn stream(&mut self) -> Pin<&mut dyn ByteStream> {
        match &mut self.stream {
            Stream::Plain(stream) => {
                let stream: Pin<&mut TcpStream> = Pin::new(stream);
                stream
            }
            Stream::Tls(stream) => {
                let stream: Pin<&mut TlsStream<TcpStream>> = Pin::new(stream);
                stream
            }
            Stream::TlsInside(stream) => {
                let stream: Pin<&mut TlsStream<Self>> = Pin::new(stream);
                stream
            }
            Stream::Other(stream) => stream.as_mut(),
        }
    }
}

/// What all kinds of connection are.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> ByteStream for T {}

impl From<Stream> for Connection {
    fn from(stream: Stream) -> Self {
        Self {
            stream,
            read_ahead: Bytes::new(),
        }
    }
}

impl From<TcpStream> for Connection {
    fn from(stream: TcpStream) -> Self {
        Stream::Plain(stream).into()
    }
}

impl From<TlsStream<TcpStream>> for Connection {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Stream::Tls(Box::new(stream)).into()
    }
}

impl From<TlsStream<Self>> for Connection {
    fn from(stream: TlsStream<Self>) -> Self {
        Stream::TlsInside(Box::new(stream)).into()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stream {
            Stream::Plain(_) => "Connection(plain)",
            Stream::Tls(_) => "Connection(TLS)",
            Stream::TlsInside(_) => "Connection(TLS inside a connection)",
            Stream::Other(_) => "Connection(other)",
        })
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_ahead.is_empty() {
            return self.stream().poll_read(cx, buffer);
        }
        let length = self.read_ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.read_ahead[..length]);
        self.read_ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
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
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
            Stream::TlsInside(stream) => stream.is_write_vectored(),
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
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn any_stream_can_be_a_connection() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut connection = Connection::new(ours);
        connection.write_all(b"ping").await.unwrap();
        let mut received = [0; 4];
        theirs.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"ping");
        assert!(connection.is_write_vectored());
        assert!(!connection.is_tls());
    }

    #[tokio::test]
    async fn bytes_put_back_come_first_and_however_small_the_reads() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"later").await.unwrap();
        drop(theirs);
        let mut connection = Connection::new(ours).unread(Bytes::from_static(b"first, "));
        let mut start = [0; 3];
        connection.read_exact(&mut start).await.unwrap();
        let mut rest = String::new();
        connection.read_to_string(&mut rest).await.unwrap();
        assert_eq!((&start, rest.as_str()), (b"fir", "st, later"));
    }
}
