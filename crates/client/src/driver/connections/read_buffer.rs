//! Memory into which all local connections are read.

use std::future::Future as _;
use std::io;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::BufMut as _;
use bytes::Bytes;
use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;

/// What is allocated at a time.
const BLOCK: usize = 64 * 1024;
/// The least that is worth reading into; below that another block is taken.
const LEAST: usize = 16 * 1024;
/// What is copied out rather than cut off: a few bytes must not keep a block alive.
const COPIED: usize = 4 * 1024;

/// Reads without knowing beforehand how much there is, and without a buffer per connection.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer(BytesMut);

impl ReadBuffer {
    /// Reads at most `limit` bytes, which is not to be 0. Ready with none at the end.
    pub(super) fn poll_read(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Bytes>> {
        if self.0.capacity() < LEAST {
            self.0.reserve(BLOCK);
        }
        let mut target = (&mut self.0).limit(limit);
        // Pending, this has read nothing and may be dropped.
        let length = ready!(pin!(from.read_buf(&mut target)).poll(cx))?;
        Poll::Ready(Ok(if length <= COPIED {
            let data = Bytes::copy_from_slice(&self.0);
            self.0.clear();
            data
        } else {
            self.0.split().freeze()
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn read(buffer: &mut ReadBuffer, mut from: &[u8], limit: usize) -> Bytes {
        let data = poll_fn(|cx| buffer.poll_read(&mut from, limit, cx)).await;
        data.unwrap()
    }

    #[tokio::test]
    async fn a_read_keeps_to_its_limit_and_an_end_is_empty() {
        let mut buffer = ReadBuffer::default();
        assert_eq!(read(&mut buffer, b"abcdef", 4).await, "abcd");
        assert_eq!(read(&mut buffer, b"", 4).await, "");
        assert_eq!(
            read(&mut buffer, &[7; 100_000], BLOCK).await,
            vec![7; BLOCK]
        );
        assert_eq!(
            read(&mut buffer, &[8; 100_000], 50_000).await,
            vec![8; 50_000]
        );
    }

    #[tokio::test]
    async fn small_reads_share_a_block_without_keeping_it() {
        let mut buffer = ReadBuffer::default();
        let first = read(&mut buffer, b"x", BLOCK).await;
        let capacity = buffer.0.capacity();
        let _second = read(&mut buffer, b"y", BLOCK).await;
        assert_eq!(buffer.0.capacity(), capacity);
        assert!(first.is_unique());
    }
}
