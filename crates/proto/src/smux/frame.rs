//! The 8-byte header of a frame, and how frames are found in a byte stream that is cut anywhere.

use std::fmt;

use bytes::Buf as _;
use bytes::Bytes;

use super::MuxError;

pub(super) const HEADER_LENGTH: usize = 8;
/// Most data in a frame we send, as the reference library has it. A length field could say up
/// to 65,535, and receivers take that.
pub(super) const MAX_DATA: usize = 32_768;

const VERSION: u8 = 1;

/// A stream of a multiplexed session. Those a client opens are 3, 5, 7 and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Opens a stream.
    Syn = 0,
    /// Ends a stream.
    Fin = 1,
    /// Carries data.
    Push = 2,
    /// Says that somebody is there.
    Nop = 3,
}

/// `version u8 | command u8 | length u16 | stream u32`, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) command: Command,
    pub(super) length: u16,
    pub(super) stream: StreamId,
}

impl Header {
    /// A frame without data.
    pub(super) fn bare(command: Command, stream: StreamId) -> Self {
        Self {
            command,
            length: 0,
            stream,
        }
    }

    pub(super) fn encode(self) -> [u8; HEADER_LENGTH] {
        let command = match self.command {
            Command::Syn => 0,
            Command::Fin => 1,
            Command::Push => 2,
            Command::Nop => 3,
        };
        let [l0, l1] = self.length.to_le_bytes();
        let [s0, s1, s2, s3] = self.stream.0.to_le_bytes();
        [VERSION, command, l0, l1, s0, s1, s2, s3]
    }

    pub(super) fn decode(bytes: [u8; HEADER_LENGTH]) -> Result<Self, MuxError> {
        let [version, command, l0, l1, s0, s1, s2, s3] = bytes;
        if version != VERSION {
            return Err(MuxError::Version(version));
        }
        let command = match command {
            0 => Command::Syn,
            1 => Command::Fin,
            2 => Command::Push,
            3 => Command::Nop,
            other => return Err(MuxError::Command(other)),
        };
        let header = Self {
            command,
            length: u16::from_le_bytes([l0, l1]),
            stream: StreamId(u32::from_le_bytes([s0, s1, s2, s3])),
        };
        // The reference library takes what follows for a header and dies of that.
        if command != Command::Push && header.length != 0 {
            return Err(MuxError::ControlData);
        }
        Ok(header)
    }
}

/// What comes out of the byte stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A frame without data, or the beginning of one with data.
    Header(Header),
    /// Data of a stream; a frame's data may come in several parts.
    Data(StreamId, Bytes),
}

/// Finds frames. Data is handed out as it comes, so that nothing of a frame is kept but an
/// incomplete header.
#[derive(Debug, Default)]
pub(super) struct Reader {
    header: [u8; HEADER_LENGTH],
    filled: usize,
    data: Option<(StreamId, usize)>,
}

impl Reader {
    /// The next part, taken from the front of `bytes`; nothing if all of them are used up.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Result<Option<Part>, MuxError> {
        if let Some((stream, missing)) = self.data.take() {
            if bytes.is_empty() {
                self.data = Some((stream, missing));
                return Ok(None);
            }
            let piece = bytes.split_to(missing.min(bytes.len()));
            let missing = missing.saturating_sub(piece.len());
            self.data = Some((stream, missing)).filter(|_| missing > 0);
            return Ok(Some(Part::Data(stream, piece)));
        }
        let space = self.header.get_mut(self.filled..).unwrap_or_default();
        let length = space.len().min(bytes.len());
        if let Some(space) = space.get_mut(..length) {
            bytes.copy_to_slice(space);
        }
        self.filled = self.filled.saturating_add(length);
        if self.filled < HEADER_LENGTH {
            return Ok(None);
        }
        self.filled = 0;
        let header = Header::decode(self.header)?;
        if header.command == Command::Push && header.length > 0 {
            self.data = Some((header.stream, usize::from(header.length)));
        }
        Ok(Some(Part::Header(header)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: Command, length: u16, stream: u32) -> Header {
        Header {
            command,
            length,
            stream: StreamId(stream),
        }
    }

    #[test]
    fn headers_are_as_documented() {
        for (header, bytes) in [
            (header(Command::Syn, 0, 3), [1, 0, 0, 0, 3, 0, 0, 0]),
            (header(Command::Push, 3, 3), [1, 2, 3, 0, 3, 0, 0, 0]),
            (header(Command::Fin, 0, 3), [1, 1, 0, 0, 3, 0, 0, 0]),
            (header(Command::Nop, 0, 0), [1, 3, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(header.encode(), bytes);
            assert_eq!(Header::decode(bytes), Ok(header));
        }
    }

    #[test]
    fn a_stream_is_shown_as_its_number() {
        assert_eq!(format!("{:>4}", StreamId(3)), "   3");
    }

    #[test]
    fn what_no_version_1_peer_sends_is_refused() {
        for (bytes, error) in [
            ([2, 0, 0, 0, 3, 0, 0, 0], MuxError::Version(2)),
            ([1, 4, 8, 0, 3, 0, 0, 0], MuxError::Command(4)),
            ([1, 0, 1, 0, 3, 0, 0, 0], MuxError::ControlData),
            ([1, 3, 0, 1, 0, 0, 0, 0], MuxError::ControlData),
        ] {
            assert_eq!(Header::decode(bytes), Err(error));
        }
    }

    fn read_all(pieces: impl IntoIterator<Item = Bytes>) -> Vec<(StreamId, Vec<u8>)> {
        let mut reader = Reader::default();
        let mut frames: Vec<(StreamId, Vec<u8>)> = Vec::new();
        for mut piece in pieces {
            while let Some(part) = reader.next(&mut piece).unwrap() {
                match part {
                    Part::Header(header) => frames.push((header.stream, Vec::new())),
                    Part::Data(_, data) => frames.last_mut().unwrap().1.extend(data),
                }
            }
            assert!(piece.is_empty());
        }
        frames
    }

    proptest! {
        #[test]
        fn frames_are_found_wherever_the_stream_is_cut(
            frames in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..300)), 1..8),
            cut in 1_usize..64,
        ) {
            let mut wire = Vec::new();
            for (stream, data) in &frames {
                wire.extend(header(Command::Push, u16::try_from(data.len()).unwrap(), *stream).encode());
                wire.extend(data);
            }
            let found = read_all(wire.chunks(cut).map(Bytes::copy_from_slice));
            let expected: Vec<_> = frames.into_iter().map(|(id, data)| (StreamId(id), data)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_largest_frame_a_peer_can_send_is_taken() {
        let mut wire = header(Command::Push, u16::MAX, 9).encode().to_vec();
        wire.extend(vec![7; usize::from(u16::MAX)]);
        let found = read_all([Bytes::from(wire)]);
        assert_eq!(found, [(StreamId(9), vec![7; usize::from(u16::MAX)])]);
    }
}
