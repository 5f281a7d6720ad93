//! What the user wrote and the stream has no room for yet.

use std::collections::VecDeque;

use bytes::Bytes;

use super::PAYLOAD;

/// Most bytes kept here.
const MAX_BYTES: usize = 64 * 1024;

/// Writes in order, each remembered as one, because a line feed means something else when it
/// was written alone.
#[derive(Default)]
pub(super) struct InputQueue {
    writes: VecDeque<Write>,
    bytes: usize,
    refused: bool,
}

struct Write {
    rest: Bytes,
    /// Whether a chunk was taken from it.
    cut: bool,
}

/// A piece of input that fits a payload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) data: Bytes,
    /// A write of one line feed and nothing else.
    pub(super) lone_line_feed: bool,
}

impl InputQueue {
    /// Takes as many bytes as fit and says how many.
    ///
    /// Never leaves the caller with exactly one byte: a line feed left over from a longer write
    /// would look like one that was written alone.
    pub(super) fn write(&mut self, data: &[u8]) -> usize {
        let room = MAX_BYTES.saturating_sub(self.bytes).min(data.len());
        let leaves_one = data.len().saturating_sub(room) == 1;
        let taken = if leaves_one {
            room.saturating_sub(1)
        } else {
            room
        };
        self.refused = taken < data.len();
        let Some(piece) = data.get(..taken).filter(|piece| !piece.is_empty()) else {
            return 0;
        };
        self.push(Bytes::copy_from_slice(piece), self.refused);
        taken
    }

    /// Takes a few bytes of the protocol's own, whatever the bound.
    pub(super) fn append(&mut self, data: &'static [u8]) {
        self.push(Bytes::from_static(data), false);
    }

    fn push(&mut self, rest: Bytes, cut: bool) {
        self.bytes = self.bytes.saturating_add(rest.len());
        self.writes.push_back(Write { rest, cut });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The next piece for the stream.
    pub(super) fn next_chunk(&mut self) -> Option<Chunk> {
        let write = self.writes.front_mut()?;
        let lone_line_feed = !write.cut && write.rest.as_ref() == b"\n";
        let data = write.rest.split_to(write.rest.len().min(PAYLOAD));
        write.cut = true;
        if write.rest.is_empty() {
            self.writes.pop_front();
        }
        self.bytes = self.bytes.saturating_sub(data.len());
        Some(Chunk {
            data,
            lone_line_feed,
        })
    }

    /// Whether a writer was refused and has room by now; says so once.
    pub(super) fn became_writable(&mut self) -> bool {
        let writable = self.refused && self.bytes <= MAX_BYTES / 2;
        self.refused &= !writable;
        writable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(queue: &mut InputQueue) -> Vec<Chunk> {
        std::iter::from_fn(|| queue.next_chunk()).collect()
    }

    #[test]
    fn a_line_feed_is_lone_only_if_it_was_written_alone() {
        let mut queue = InputQueue::default();
        let mut long = vec![b'x'; PAYLOAD];
        long.push(b'\n');
        queue.write(&long);
        queue.write(b"\n");
        queue.write(b"\n\n");
        let lone: Vec<_> = chunks(&mut queue)
            .iter()
            .map(|chunk| chunk.lone_line_feed)
            .collect();
        assert_eq!(lone, [false, false, true, false]);
    }

    #[test]
    fn a_full_queue_refuses_and_says_when_there_is_room() {
        let mut queue = InputQueue::default();
        assert_eq!(queue.write(&vec![0; 2 * MAX_BYTES]), MAX_BYTES);
        assert_eq!(queue.write(b"xy"), 0);
        assert!(!queue.became_writable());
        while queue.bytes > MAX_BYTES / 2 {
            queue.next_chunk();
        }
        assert!(queue.became_writable());
        assert!(!queue.became_writable(), "said once");
    }

    #[test]
    fn a_writer_is_never_left_with_one_byte() {
        let mut queue = InputQueue::default();
        assert_eq!(queue.write(&vec![0; MAX_BYTES + 1]), MAX_BYTES - 1);
        assert_eq!(queue.write(b"xy"), 0);
        assert_eq!(queue.write(b"x"), 1);
    }

    #[test]
    fn every_byte_comes_out_in_order() {
        let mut queue = InputQueue::default();
        let data: Vec<u8> = (0..=255).cycle().take(5000).collect();
        assert_eq!(queue.write(&data), data.len());
        let out: Vec<u8> = chunks(&mut queue)
            .iter()
            .flat_map(|c| c.data.to_vec())
            .collect();
        assert_eq!(out, data);
        assert!(queue.is_empty());
    }
}
