//! The 120-byte frame that carries everything but the opening text (docs/PROTOCOL.md 3.1).
//!
//! All integers are big-endian.
//!
//! | offset | length | field | value |
//! |---:|---:|---|---|
//! | 0 | 4 | header length | 116: where the payload length stands |
//! | 4 | 32 | message type | ASCII, padded with spaces |
//! | 36 | 4 | schema version | 1 |
//! | 40 | 8 | created | milliseconds since the Unix epoch |
//! | 48 | 8 | sequence number | signed |
//! | 56 | 8 | flags | bit 0 SYN, bit 1 FIN |
//! | 64 | 16 | message id | UUID, its last eight bytes first |
//! | 80 | 32 | payload digest | SHA-256 |
//! | 112 | 4 | payload type | |
//! | 116 | 4 | payload length | |
//! | 120 | n | payload | |

mod acknowledge;
mod channel;
mod kind;

pub use acknowledge::Acknowledge;
pub use channel::ChannelClosed;
pub use channel::OpenDataChannel;
pub use channel::SessionState;
pub use kind::ControlFlag;
pub use kind::Flags;
pub use kind::MessageType;
pub use kind::PayloadType;
pub use kind::SequenceNumber;

use std::fmt;

use bytes::BufMut as _;
use bytes::Bytes;
use bytes::BytesMut;
use sha2::Digest as _;
use sha2::Sha256;
use uuid::Uuid;

use crate::secret::Hidden;
use crate::time::UnixMillis;

/// Length in bytes of header and payload length together.
pub const OVERHEAD: usize = 120;
/// Largest WebSocket message taken from a peer, in bytes.
///
/// Agents send at most 1055 and have been seen to take 1.9 million (docs/PROTOCOL.md 9).
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

const HEADER_LENGTH: u32 = 116;
const SCHEMA_VERSION: u32 = 1;

/// One message of the data channel. Its `Debug` does not show the payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What the message is.
    pub message_type: MessageType,
    /// Version of the layout; 1 everywhere.
    pub schema_version: u32,
    /// When the sender made the message.
    pub created: UnixMillis,
    /// Place in the stream, for stream data; 0 otherwise.
    pub sequence_number: SequenceNumber,
    /// SYN and FIN bits; no known receiver reads them.
    pub flags: Flags,
    /// The identity that acknowledgements repeat.
    pub id: Uuid,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// The payload as it is on the wire, after encryption.
    pub payload: Bytes,
}

impl Message {
    /// Writes the message as one WebSocket binary message.
    pub fn encode(&self) -> Bytes {
        let mut frame = BytesMut::with_capacity(OVERHEAD.saturating_add(self.payload.len()));
        frame.put_u32(HEADER_LENGTH);
        frame.put_slice(self.message_type.as_padded());
        frame.put_u32(self.schema_version);
        frame.put_u64(self.created.0);
        frame.put_i64(self.sequence_number.0);
        frame.put_u64(self.flags.0);
        frame.put_slice(&swap_halves(*self.id.as_bytes()));
        frame.put_slice(&Sha256::digest(&self.payload));
        frame.put_u32(self.payload_type.0);
        frame.put_u32(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
        frame.put_slice(&self.payload);
        frame.freeze()
    }

    /// Reads a message and checks its digest, as a client does (docs/PROTOCOL.md 3.5).
    ///
    /// The payload is everything behind the header, whatever the payload length says; the digest
    /// covers it, unless it is empty. Publication messages are exempt from the checks of time and
    /// digest.
    ///
    /// # Errors
    /// The first thing found wrong, without a guess at what was meant.
    pub fn decode(frame: &Bytes) -> Result<Self, DecodeError> {
        let (message, digest) = Self::decode_parts(frame)?;
        if message.message_type.is_publication() {
            return Ok(message);
        }
        message.check_created()?;
        if !message.payload.is_empty() && digest != Sha256::digest(&message.payload)[..] {
            return Err(DecodeError::Digest);
        }
        Ok(message)
    }

    /// Reads a message as the agent does: the digest is not looked at (docs/PROTOCOL.md 3.5).
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn decode_undigested(frame: &Bytes) -> Result<Self, DecodeError> {
        let (message, _) = Self::decode_parts(frame)?;
        message.check_created()?;
        Ok(message)
    }

    fn check_created(&self) -> Result<(), DecodeError> {
        if self.created.0 == 0 {
            return Err(DecodeError::Created);
        }
        Ok(())
    }

    fn decode_parts(frame: &Bytes) -> Result<(Self, [u8; 32]), DecodeError> {
        if frame.len() > MAX_FRAME {
            return Err(DecodeError::TooLong(frame.len()));
        }
        let header_length = u32::from_be_bytes(field(frame, 0)?);
        if header_length < HEADER_LENGTH {
            return Err(DecodeError::HeaderLength(header_length));
        }
        let payload_at = usize::try_from(header_length)
            .ok()
            .and_then(|length| length.checked_add(4))
            .filter(|&at| at <= frame.len())
            .ok_or(DecodeError::HeaderLength(header_length))?;
        let message = Self {
            message_type: MessageType::decode(field(frame, 4)?)?,
            schema_version: u32::from_be_bytes(field(frame, 36)?),
            created: UnixMillis(u64::from_be_bytes(field(frame, 40)?)),
            sequence_number: SequenceNumber(i64::from_be_bytes(field(frame, 48)?)),
            flags: Flags(u64::from_be_bytes(field(frame, 56)?)),
            id: Uuid::from_bytes(swap_halves(field(frame, 64)?)),
            payload_type: PayloadType(u32::from_be_bytes(field(frame, 112)?)),
            // A slice keeps the whole frame alive, which is as it should be behind our own header.
            payload: match payload_at {
                OVERHEAD => frame.slice(payload_at..),
                _ => Bytes::copy_from_slice(frame.get(payload_at..).unwrap_or_default()),
            },
        };
        Ok((message, field(frame, 80)?))
    }

    /// A message outside the streams: acknowledgement, session state, or the service's word.
    pub(crate) fn aside(
        message_type: MessageType,
        payload: Bytes,
        id: Uuid,
        created: UnixMillis,
    ) -> Self {
        Self {
            message_type,
            schema_version: SCHEMA_VERSION,
            created,
            sequence_number: SequenceNumber::FIRST,
            flags: Flags::SYN_FIN,
            id,
            payload_type: PayloadType::NONE,
            payload,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("message_type", &self.message_type)
            .field("created", &self.created)
            .field("sequence_number", &self.sequence_number)
            .field("flags", &self.flags)
            .field("id", &self.id)
            .field("payload_type", &self.payload_type)
            .field("payload", &Hidden(&self.payload))
            .finish_non_exhaustive()
    }
}

/// Why a frame is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame ends inside the header.
    #[error("the frame ends at byte {0}, inside its header")]
    UnexpectedEnd(usize),
    /// The frame is longer than [`MAX_FRAME`].
    #[error("the frame has {0} bytes, more than {MAX_FRAME}")]
    TooLong(usize),
    /// The header length is shorter than the header or points beyond the frame.
    #[error("header length {0} does not fit the frame")]
    HeaderLength(u32),
    /// The message type is empty or not UTF-8.
    #[error("the message type is empty or not text")]
    MessageType,
    /// The time of creation is zero.
    #[error("the message has no time of creation")]
    Created,
    /// The payload is not the one that was digested.
    #[error("the payload does not match its digest")]
    Digest,
}

fn field<const N: usize>(frame: &[u8], at: usize) -> Result<[u8; N], DecodeError> {
    frame
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .ok_or(DecodeError::UnexpectedEnd(frame.len()))
}

/// The message id travels with its two eight-byte halves exchanged; its own inverse.
fn swap_halves(id: [u8; 16]) -> [u8; 16] {
    u128::from_be_bytes(id).rotate_left(64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first vector of docs/PROTOCOL.md 3.1, made by neither end of this crate.
    const INPUT_VECTOR: [u8; 123] = *b"\
        \x00\x00\x00\x74input_stream_data               \x00\x00\x00\x01\
        \x00\x00\x01\x8b\xcf\xe5\x68\x00\x00\x00\x00\x00\x00\x00\x00\x07\
        \x00\x00\x00\x00\x00\x00\x00\x00\xfe\xdc\xba\x98\x76\x54\x32\x10\
        \x01\x23\x45\x67\x89\xab\xcd\xef\x1d\x88\x7c\xe0\xf8\x67\x2e\x49\
        \x14\xd9\x00\x0e\x80\x1c\xd7\x4e\xcd\x80\x5d\xd9\x36\x6c\x0b\xc4\
        \x2d\xc1\x6a\xdc\x01\x97\xdc\x2f\x00\x00\x00\x01\x00\x00\x00\x03ls\x0d";

    fn input() -> Message {
        Message {
            message_type: MessageType::INPUT_STREAM_DATA,
            schema_version: 1,
            created: UnixMillis(1_700_000_000_000),
            sequence_number: SequenceNumber(7),
            flags: Flags::NONE,
            id: Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210),
            payload_type: PayloadType::OUTPUT,
            payload: Bytes::from_static(b"ls\r"),
        }
    }

    fn with(at: usize, bytes: &[u8]) -> Bytes {
        let mut frame = INPUT_VECTOR.to_vec();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame.into()
    }

    #[test]
    fn the_documented_vector_is_written_and_read() {
        assert_eq!(input().encode(), &INPUT_VECTOR[..]);
        assert_eq!(
            Message::decode(&Bytes::from_static(&INPUT_VECTOR)),
            Ok(input())
        );
    }

    #[test]
    fn every_truncation_is_refused() {
        for length in 0..OVERHEAD {
            let frame = Bytes::copy_from_slice(&INPUT_VECTOR[..length]);
            assert!(Message::decode(&frame).is_err(), "{length} bytes");
            assert!(
                Message::decode_undigested(&frame).is_err(),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn a_header_length_beyond_the_frame_is_refused() {
        for length in [0, 115, 120, u32::MAX] {
            let error = Message::decode(&with(0, &length.to_be_bytes())).unwrap_err();
            assert_eq!(error, DecodeError::HeaderLength(length));
        }
    }

    #[test]
    fn a_longer_header_moves_the_payload() {
        let mut message = input();
        message.payload = Bytes::from_static(b"\x00\x00\x00\x03ls\r");
        let mut frame = message.encode().to_vec();
        frame[..4].copy_from_slice(&120_u32.to_be_bytes());
        frame[80..112].copy_from_slice(&Sha256::digest(b"ls\r"));
        assert_eq!(
            Message::decode(&frame.into()).unwrap().payload,
            &b"ls\r"[..]
        );
    }

    #[test]
    fn only_the_agent_takes_a_wrong_digest() {
        let frame = with(120, b"xy");
        assert_eq!(Message::decode(&frame), Err(DecodeError::Digest));
        assert_eq!(
            Message::decode_undigested(&frame).unwrap().payload,
            &b"xy\r"[..]
        );
    }

    #[test]
    fn a_message_without_time_is_refused_unless_it_is_a_publication() {
        assert_eq!(
            Message::decode(&with(40, &[0; 8])),
            Err(DecodeError::Created)
        );
        let mut publication = Message {
            message_type: MessageType::START_PUBLICATION,
            ..input()
        };
        publication.created = UnixMillis(0);
        assert!(Message::decode(&publication.encode()).is_ok());
        assert_eq!(
            Message::decode_undigested(&publication.encode()),
            Err(DecodeError::Created)
        );
    }

    #[test]
    fn an_empty_message_type_is_refused() {
        assert_eq!(
            Message::decode(&with(4, &[b' '; 32])),
            Err(DecodeError::MessageType)
        );
        assert_eq!(
            Message::decode(&with(4, &[0xff; 32])),
            Err(DecodeError::MessageType)
        );
    }

    #[test]
    fn a_message_type_padded_with_nul_bytes_is_the_same() {
        let mut padded = [0; 32];
        padded[..17].copy_from_slice(b"input_stream_data");
        assert_eq!(Message::decode(&with(4, &padded)), Ok(input()));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused() {
        let length = MAX_FRAME + 1;
        assert_eq!(
            Message::decode(&vec![0; length].into()),
            Err(DecodeError::TooLong(length))
        );
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(
            kind in "[a-z_]{1,32}",
            numbers: (u32, u64, i64, u64, u128, u32),
            payload: Vec<u8>,
        ) {
            let message = Message {
                message_type: MessageType::new(&kind).unwrap(),
                schema_version: numbers.0,
                created: UnixMillis(numbers.1.max(1)),
                sequence_number: SequenceNumber(numbers.2),
                flags: Flags(numbers.3),
                id: Uuid::from_u128(numbers.4),
                payload_type: PayloadType(numbers.5),
                payload: payload.into(),
            };
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ignored = Message::decode(&bytes.into()).is_ok();
        }
    }
}
