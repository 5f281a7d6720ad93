//! Messages as the other end would make them.

use bytes::Bytes;
use ssm_session_proto::Flags;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SequenceNumber;
use ssm_session_proto::UnixMillis;
use uuid::Uuid;

pub(crate) fn message(
    message_type: MessageType,
    number: i64,
    payload_type: PayloadType,
    payload: impl Into<Bytes>,
) -> Message {
    Message {
        message_type,
        schema_version: 1,
        created: UnixMillis(1_700_000_000_000),
        sequence_number: SequenceNumber(number),
        flags: Flags::NONE,
        id: Uuid::from_u64_pair(u64::from(payload_type.0), number.cast_unsigned()),
        payload_type,
        payload: payload.into(),
    }
}

pub(crate) fn frame(
    message_type: MessageType,
    number: i64,
    payload_type: PayloadType,
    payload: impl Into<Bytes>,
) -> Frame {
    Frame::Binary(message(message_type, number, payload_type, payload).encode())
}

/// A message outside the streams.
pub(crate) fn aside(message_type: MessageType, payload: impl Into<Bytes>) -> Frame {
    frame(message_type, 0, PayloadType::NONE, payload)
}
