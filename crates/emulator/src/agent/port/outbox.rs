//! Bytes on their way to a connection, and bytes read from one.

use std::collections::VecDeque;
use std::io;
use std::io::IoSlice;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::BufMut as _;
use bytes::Bytes;
use bytes::BytesMut;
use tokio::net::TcpStream;

/// What a connection has not taken yet, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
    /// How much of the first piece was written.
    written: usize,
    bytes: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes not yet written.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Ready when something was written, or there is nothing to write.
    pub(super) fn poll_write(
        &mut self,
        socket: &TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            ready!(socket.poll_write_ready(cx))?;
            match self.write_to(socket) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes as much as `socket` takes in one call, and says how much.
    fn write_to(&mut self, socket: &TcpStream) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut skipped = self.written;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece.get(skipped..).unwrap_or_default());
            skipped = 0;
        }
        let used = self.pieces.len().min(SLICES);
        let count = socket.try_write_vectored(slices.get(..used).unwrap_or_default())?;
        self.advance(count);
        Ok(count)
    }

    fn advance(&mut self, count: usize) {
        self.bytes -= count;
        self.written += count;
        while let Some(piece) = self.pieces.front()
            && self.written >= piece.len()
        {
            self.written -= piece.len();
            self.pieces.pop_front();
        }
    }

    /// Begins again with the first byte of the piece that was partly written.
    pub(super) fn rewind(&mut self) {
        self.bytes += std::mem::take(&mut self.written);
    }
}

/// Space that connections are read into. What was read is shared, not copied.
#[derive(Debug, Default)]
pub(super) struct Inbox(BytesMut);

impl Inbox {
    /// Reads up to `most` bytes once there are any; none at the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        socket: &TcpStream,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Bytes>> {
        loop {
            ready!(socket.poll_read_ready(cx))?;
            match self.read_from(socket, most) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    fn read_from(&mut self, socket: &TcpStream, most: usize) -> io::Result<Bytes> {
        if self.0.capacity() < most.min(SPACE / 8) {
            self.0.reserve(SPACE);
        }
        let count = socket.try_read_buf(&mut (&mut self.0).limit(most))?;
        Ok(self.0.split_to(count).freeze())
    }
}

/// Pieces written in one call.
const SLICES: usize = 32;
/// Allocated at a time.
const SPACE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn pieces_are_written_in_order_and_begin_again_after_a_rewind() {
        let (near, mut far) = pair().await;
        let mut outbox = Outbox::default();
        for number in 0..100_u8 {
            outbox.push(Bytes::from(vec![number; 3]));
        }
        outbox.push(Bytes::new());
        assert_eq!(outbox.bytes(), 300);
        while !outbox.is_empty() {
            near.writable().await.unwrap();
            outbox.write_to(&near).unwrap();
        }
        let mut seen = [0; 300];
        far.read_exact(&mut seen).await.unwrap();
        let expected: Vec<u8> = (0..100).flat_map(|number| [number; 3]).collect();
        assert_eq!(&seen[..], &expected[..]);

        outbox.push(Bytes::from_static(b"again"));
        outbox.advance(2);
        assert_eq!(outbox.bytes(), 3);
        outbox.rewind();
        assert_eq!(outbox.bytes(), 5);
        assert_eq!(outbox.write_to(&near).unwrap(), 5);
        assert!(outbox.is_empty());
    }

    #[tokio::test]
    async fn what_is_read_is_bounded_and_keeps_its_bytes() {
        let (near, far) = pair().await;
        let data: Vec<u8> = (0..=255).cycle().take(3 * SPACE).collect();
        let sender = {
            let data = data.clone();
            tokio::spawn(async move {
                use tokio::io::AsyncWriteExt as _;
                let mut far = far;
                far.write_all(&data).await.unwrap();
            })
        };
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        loop {
            near.readable().await.unwrap();
            match inbox.read_from(&near, 1000) {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => {
                    assert!(piece.len() <= 1000);
                    seen.extend_from_slice(&piece);
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert!(seen == data);
        sender.await.unwrap();
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await;
        (near.unwrap(), listener.accept().await.unwrap().0)
    }
}
