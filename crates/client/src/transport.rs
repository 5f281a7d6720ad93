//! The bytes under the WebSocket.

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

/// A connection that first yields the bytes which were read together with the upgrade's answer.
///
/// Once writing has failed, writes are swallowed: a server that says why and hangs up must be
/// heard out, but the WebSocket would stop reading at the first failed write. The end of the
/// connection then shows as the end of reading.
#[derive(Debug)]
pub(crate) struct Transport<S> {
    inner: S,
    read_ahead: Bytes,
    write_failed: bool,
}

impl<S> Transport<S> {
    pub(crate) fn new(inner: S, read_ahead: Bytes) -> Self {
        Self {
            inner,
            read_ahead,
            write_failed: false,
        }
    }

    /// `result`, or success with `swallowed` if it is an error.
    fn swallow<T>(&mut self, result: Poll<io::Result<T>>, swallowed: T) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result {
            tracing::debug!(%error, "writing failed; reading on");
            self.write_failed = true;
            return Poll::Ready(Ok(swallowed));
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_ahead.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buffer);
        }
        let length = self.read_ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.read_ahead[..length]);
        self.read_ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.swallow(result, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.write_failed {
            return Poll::Ready(Ok(length));
        }
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.swallow(result, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_failed {
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.swallow(result, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_failed {
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.swallow(result, ())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn bytes_read_ahead_come_before_the_rest() {
        let mut transport = Transport::new(&b"cdef"[..], Bytes::from_static(b"ab"));
        let mut read = Vec::new();
        let mut one = [0; 1];
        assert_eq!(transport.read(&mut one).await.unwrap(), 1);
        read.extend(one);
        transport.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"abcdef");
    }

    #[tokio::test]
    async fn what_the_peer_said_is_readable_after_writing_failed() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"farewell").await.unwrap();
        drop(theirs);
        let mut transport = Transport::new(ours, Bytes::new());
        transport.write_all(b"into the void").await.unwrap();
        transport.flush().await.unwrap();
        let mut read = String::new();
        transport.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "farewell");
    }
}
