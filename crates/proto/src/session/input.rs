//! What the user wrote and the stream has no room for yet.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::message::ControlFlag;

/// Most bytes kept here.
const MAX_BYTES: usize = 64 * 1024;

/// Writes in order, each remembered as one, because a line feed means something else when it
/// was written alone.
#[derive(Default)]
pub(super) struct InputQueue {
    entries: VecDeque<Entry>,
    bytes: usize,
    refused: bool,
}

enum Entry {
    Write {
        rest: Bytes,
        /// Whether a chunk was taken from it.
        cut: bool,
    },
    Flag(ControlFlag),
}

/// What goes into one payload.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// A piece of input.
    Data(Bytes),
    /// A write of one line feed and nothing else.
    LoneLineFeed,
    /// A flag, behind what was written before it.
    Flag(ControlFlag),
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

    /// Has a flag follow what was written.
    pub(super) fn append_flag(&mut self, flag: ControlFlag) {
        self.entries.push_back(Entry::Flag(flag));
    }

    fn push(&mut self, rest: Bytes, cut: bool) {
        self.bytes = self.bytes.saturating_add(rest.len());
        self.entries.push_back(Entry::Write { rest, cut });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether bytes wait, and not flags alone.
    pub(super) fn has_bytes(&self) -> bool {
        self.bytes > 0
    }

    /// What comes next, with at most `limit` bytes.
    pub(super) fn next_chunk(&mut self, limit: usize) -> Option<Chunk> {
        let (chunk, left) = match self.entries.front_mut()? {
            Entry::Flag(flag) => (Chunk::Flag(*flag), false),
            Entry::Write { rest, cut: false } if rest.as_ref() == b"\n" => {
                self.bytes = self.bytes.saturating_sub(1);
                (Chunk::LoneLineFeed, false)
            }
            Entry::Write { rest, cut } => {
                let data = rest.split_to(rest.len().min(limit));
                *cut = true;
                self.bytes = self.bytes.saturating_sub(data.len());
                (Chunk::Data(data), !rest.is_empty())
            }
        };
        if !left {
            self.entries.pop_front();
        }
        Some(chunk)
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

    const PAYLOAD: usize = 1024;

    fn chunks(queue: &mut InputQueue) -> Vec<Chunk> {
        std::iter::from_fn(|| queue.next_chunk(PAYLOAD)).collect()
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
            .map(|chunk| *chunk == Chunk::LoneLineFeed)
            .collect();
        assert_eq!(lone, [false, false, true, false]);
    }

    #[test]
    fn a_flag_comes_behind_what_was_written_before_it() {
        let mut queue = InputQueue::default();
        queue.write(b"before");
        queue.append_flag(ControlFlag::DISCONNECT_TO_PORT);
        queue.write(b"after");
        assert_eq!(
            chunks(&mut queue),
            [
                Chunk::Data(Bytes::from_static(b"before")),
                Chunk::Flag(ControlFlag::DISCONNECT_TO_PORT),
                Chunk::Data(Bytes::from_static(b"after")),
            ]
        );
    }

    #[test]
    fn a_full_queue_refuses_and_says_when_there_is_room() {
        let mut queue = InputQueue::default();
        assert_eq!(queue.write(&vec![0; 2 * MAX_BYTES]), MAX_BYTES);
        assert_eq!(queue.write(b"xy"), 0);
        assert!(!queue.became_writable());
        while queue.bytes > MAX_BYTES / 2 {
            queue.next_chunk(PAYLOAD);
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
        let mut out = Vec::new();
        for chunk in chunks(&mut queue) {
            let Chunk::Data(data) = chunk else { panic!() };
            out.extend(data);
        }
        assert_eq!(out, data);
        assert!(queue.is_empty());
    }
}
