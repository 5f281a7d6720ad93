//! One stream: what waits in either direction, and how far its end has come.

use std::collections::VecDeque;

use bytes::Bytes;
use bytes::BytesMut;

/// Most bytes of a stream that wait to be sent.
pub(super) const MAX_UNSENT: usize = 64 * 1024;
/// What a piece of received data counts besides its bytes.
const PIECE_COST: usize = 64;

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    unsent: Pieces,
    /// The peer has not been told of this stream.
    pub(super) opening: bool,
    pub(super) ours: Ours,
    /// A writer was told to wait.
    pub(super) full: bool,
    received: Pieces,
    /// The peer's FIN came.
    pub(super) finished: bool,
    pub(super) reader: Reader,
    /// The reader knows that there is something to read.
    pub(super) told: bool,
    /// It has a place in the schedule.
    pub(super) scheduled: bool,
}

/// How far the end of our direction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ours {
    #[default]
    Open,
    /// FIN follows what was written.
    Ending,
    FinSent,
}

/// Who takes what the peer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reader {
    #[default]
    Present,
    /// Took too little for too long, and has not been told.
    Overrun,
    Gone,
}

impl Stream {
    /// A stream of ours, which the peer has yet to be told of.
    pub(super) fn opening() -> Self {
        Self {
            opening: true,
            ..Self::default()
        }
    }

    /// Bytes that may be written now.
    pub(super) fn room(&self) -> usize {
        match self.ours {
            Ours::Open => MAX_UNSENT.saturating_sub(self.unsent.bytes),
            _ => 0,
        }
    }

    /// Takes as much as there is room for; says how much.
    pub(super) fn write(&mut self, mut data: Bytes) -> usize {
        let taken = data.len().min(self.room());
        data.truncate(taken);
        self.unsent.push(data);
        self.full |= self.room() == 0;
        taken
    }

    /// Whether there is anything to send.
    pub(super) fn has_work(&self) -> bool {
        self.opening || !self.unsent.is_empty() || self.ours == Ours::Ending
    }

    pub(super) fn unsent(&self) -> usize {
        self.unsent.bytes
    }

    /// Moves `length` unsent bytes into `payload`.
    pub(super) fn take_unsent(&mut self, length: usize, payload: &mut BytesMut) {
        self.unsent.take(length, payload);
    }

    pub(super) fn drop_unsent(&mut self) {
        self.unsent = Pieces::default();
    }

    /// Whether a writer that was told to wait may go on; says so once.
    pub(super) fn became_writable(&mut self) -> bool {
        let writable = self.full && self.unsent.bytes <= MAX_UNSENT / 2;
        self.full &= !writable;
        writable
    }

    /// Keeps what the peer sent. A small piece of a large message is copied, or it would hold
    /// all of the message.
    pub(super) fn receive(&mut self, piece: Bytes, message: usize) {
        let small = piece.len() < message / 2;
        self.received.push(if small {
            Bytes::copy_from_slice(&piece)
        } else {
            piece
        });
    }

    pub(super) fn take_received(&mut self) -> Option<Bytes> {
        self.received.pop()
    }

    pub(super) fn drop_received(&mut self) {
        self.received = Pieces::default();
    }

    /// What the received data counts.
    pub(super) fn held(&self) -> usize {
        self.received.cost()
    }

    /// Whether nothing of the stream is left to do.
    pub(super) fn is_over(&self) -> bool {
        self.ours == Ours::FinSent
            && !self.opening
            && match self.reader {
                Reader::Present => self.finished && self.received.is_empty(),
                Reader::Overrun => false,
                Reader::Gone => true,
            }
    }
}

/// Bytes in order.
#[derive(Debug, Default)]
struct Pieces {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes = self.bytes.saturating_add(piece.len());
            self.pieces.push_back(piece);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.bytes = self.bytes.saturating_sub(piece.len());
        Some(piece)
    }

    fn take(&mut self, mut length: usize, target: &mut BytesMut) {
        while length > 0
            && let Some(piece) = self.pieces.front_mut()
        {
            let part = piece.split_to(length.min(piece.len()));
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            length = length.saturating_sub(part.len());
            self.bytes = self.bytes.saturating_sub(part.len());
            target.extend_from_slice(&part);
        }
    }

    fn cost(&self) -> usize {
        let pieces = self.pieces.len().saturating_mul(PIECE_COST);
        self.bytes.saturating_add(pieces)
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_takes_what_there_is_room_for_and_says_when_there_is_more() {
        let mut stream = Stream::default();
        assert_eq!(
            stream.write(Bytes::from(vec![1; MAX_UNSENT + 1])),
            MAX_UNSENT
        );
        assert_eq!(stream.write(Bytes::from_static(b"x")), 0);
        assert!(!stream.became_writable());
        stream.take_unsent(MAX_UNSENT / 2, &mut BytesMut::new());
        assert!(stream.became_writable());
        assert!(!stream.became_writable(), "said once");
    }

    #[test]
    fn unsent_bytes_come_out_in_order_wherever_they_are_cut() {
        let mut stream = Stream::default();
        for piece in ["ab", "", "cdefg", "h"] {
            stream.write(Bytes::from(piece));
        }
        let mut out = BytesMut::new();
        for length in [3, 4, 9] {
            stream.take_unsent(length, &mut out);
        }
        assert_eq!(&out[..], b"abcdefgh");
        assert_eq!(stream.unsent(), 0);
    }

    #[test]
    fn a_small_piece_does_not_hold_a_large_message() {
        let message = Bytes::from(vec![0; 1000]);
        let mut stream = Stream::default();
        stream.receive(message.slice(..10), message.len());
        assert!(message.is_unique(), "the piece was copied");
        stream.receive(message.slice(..900), message.len());
        assert!(!message.is_unique(), "the piece was not copied");
        assert_eq!(stream.held(), 910 + 2 * PIECE_COST);
    }
}
