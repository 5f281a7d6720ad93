//! The program's side of a connection: what is read from it, and what waits to be written.

use std::collections::VecDeque;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::Poll;

use bytes::Buf as _;
use bytes::Bytes;
use tokio::io::AsyncWrite as _;

use super::PIECE_COST;
use super::read_buffer::ReadBuffer;
use super::ready::Bell;
use crate::local_connection::LocalConnection;
use crate::local_connection::PeerState;

/// Bytes from which on nothing more is taken from the far end for a program that does not read,
/// each piece counted as [`PIECE_COST`] more.
const MAX_WAITING: usize = 64 * 1024;
/// Most pieces written with one system call.
const MAX_SLICES: usize = 64;

/// A local connection and its place among the others.
#[derive(Debug)]
pub(super) struct Side {
    connection: LocalConnection,
    bell: Bell,
    /// For the program.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    unflushed: bool,
}

impl Side {
    pub(super) fn new(connection: LocalConnection, bell: Bell) -> Self {
        Self {
            connection,
            bell,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            unflushed: false,
        }
    }

    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// The next bytes of the program, at most `limit`, and none at their end.
    pub(super) fn read(
        &mut self,
        limit: usize,
        buffer: &mut ReadBuffer,
    ) -> Poll<io::Result<Bytes>> {
        buffer.poll_read(&mut self.connection, limit, &mut self.bell.context())
    }

    /// Whether more may be [pushed](Self::push).
    pub(super) fn has_room(&self) -> bool {
        self.waiting_bytes + self.waiting.len() * PIECE_COST < MAX_WAITING
    }

    /// Bytes that the program's socket has not taken yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting_bytes
    }

    /// Queues bytes for the program, room or not.
    pub(super) fn push(&mut self, data: Bytes) {
        self.waiting_bytes += data.len();
        self.waiting.push_back(data);
    }

    /// Writes what waits. True once nothing does any more; until then the bell rings when to go
    /// on.
    pub(super) fn write(&mut self) -> io::Result<bool> {
        let mut cx = self.bell.context();
        while !self.waiting.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.waiting) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let connection = Pin::new(&mut self.connection);
            match connection.poll_write_vectored(&mut cx, &slices[..count]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.unflushed = true;
                    self.waiting_bytes -= written;
                    advance(&mut self.waiting, written);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(false),
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.connection).poll_flush(&mut cx) {
                Poll::Ready(flushed) => flushed?,
                Poll::Pending => return Ok(false),
            }
            self.unflushed = false;
        }
        Ok(true)
    }

    /// Ends what the program receives. True once it has.
    pub(super) fn shut_down(&mut self) -> io::Result<bool> {
        let mut cx = self.bell.context();
        match Pin::new(&mut self.connection).poll_shutdown(&mut cx) {
            Poll::Ready(shut) => shut.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    pub(super) fn peer_state(&mut self) -> PeerState {
        self.connection.peer_state()
    }

    pub(super) fn reset(self) {
        self.connection.reset();
    }
}

fn advance(pieces: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(piece) = pieces.front_mut() {
        let part = written.min(piece.len());
        piece.advance(part);
        written -= part;
        if !piece.is_empty() {
            return;
        }
        pieces.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::super::ready::ReadyQueue;
    use super::*;

    #[tokio::test]
    async fn pieces_leave_in_order_however_little_the_program_takes() {
        let (mut program, ours) = tokio::io::duplex(100);
        let queue = ReadyQueue::default();
        let mut side = Side::new(LocalConnection::new(ours), queue.bell(0));
        let data: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for piece in data.chunks(37) {
            side.push(Bytes::copy_from_slice(piece));
        }
        let mut received = Vec::new();
        while !side.write().unwrap() {
            let mut part = [0; 61];
            let length = program.read(&mut part).await.unwrap();
            received.extend(&part[..length]);
        }
        assert_eq!(side.waiting(), 0);
        assert!(side.shut_down().unwrap());
        program.read_to_end(&mut received).await.unwrap();
        assert!(received == data);
    }

    #[tokio::test]
    async fn a_program_that_does_not_read_bounds_what_waits_for_it() {
        let (_program, ours) = tokio::io::duplex(100);
        let queue = ReadyQueue::default();
        let mut side = Side::new(LocalConnection::new(ours), queue.bell(0));
        while side.has_room() {
            side.push(Bytes::from(vec![0; 1000]));
            assert!(side.waiting() < MAX_WAITING + 1000);
        }
        assert!(!side.write().unwrap());
    }
}
