//! Small pieces of output, joined for large writes.

use std::collections::VecDeque;

use bytes::Bytes;
use bytes::BytesMut;
use ssm_session_proto::OutputStream;

/// Output on its way to the writer, in the order it came: agents send a kilobyte at a time, and a write each would
/// cost more than all else that is done to it.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pieces: VecDeque<(OutputStream, Bytes)>,
    length: usize,
}

impl Gathered {
    pub(super) fn push(&mut self, stream: OutputStream, data: Bytes) {
        self.length += data.len();
        self.pieces.push_back((stream, data));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether there is enough for a write.
    pub(super) fn is_full(&self) -> bool {
        self.length >= WRITE
    }

    /// What is to be written next.
    pub(super) fn pop(&mut self) -> Option<(OutputStream, Bytes)> {
        let (stream, first) = self.pieces.pop_front()?;
        let data = match self.pieces.front() {
            Some((next, _)) if *next == stream && first.len() < WRITE => self.join(stream, &first),
            _ => first,
        };
        self.length -= data.len();
        Some((stream, data))
    }

    fn join(&mut self, stream: OutputStream, first: &[u8]) -> Bytes {
        let mut joined = BytesMut::with_capacity(self.length.min(2 * WRITE));
        joined.extend_from_slice(first);
        while joined.len() < WRITE
            && let Some((_, piece)) = self.pieces.pop_front_if(|(next, _)| *next == stream)
        {
            joined.extend_from_slice(&piece);
        }
        joined.freeze()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Bytes that are worth a write. The writer's queue holds no more than a megabyte of such.
const WRITE: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_one_stream_are_joined_and_the_order_is_kept() {
        let mut gathered = Gathered::default();
        for (stream, data) in [
            (OutputStream::Stdout, "a"),
            (OutputStream::Stdout, "b"),
            (OutputStream::Stderr, "c"),
            (OutputStream::Stdout, "d"),
        ] {
            gathered.push(stream, Bytes::from_static(data.as_bytes()));
        }
        let all: Vec<_> = std::iter::from_fn(|| gathered.pop()).collect();
        let expected = [
            (OutputStream::Stdout, Bytes::from_static(b"ab")),
            (OutputStream::Stderr, Bytes::from_static(b"c")),
            (OutputStream::Stdout, Bytes::from_static(b"d")),
        ];
        assert_eq!(all, expected);
        assert!(gathered.is_empty() && !gathered.is_full());
    }

    #[test]
    fn a_write_has_a_size_and_nothing_is_lost() {
        let mut gathered = Gathered::default();
        for _ in 0..100 {
            gathered.push(OutputStream::Stdout, vec![b'x'; 1000].into());
        }
        assert!(gathered.is_full());
        let lengths: Vec<_> = std::iter::from_fn(|| gathered.pop())
            .map(|(_, data)| data.len())
            .collect();
        assert_eq!(lengths, [33_000, 33_000, 33_000, 1000]);
    }
}
