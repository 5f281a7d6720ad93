//! What the service itself says on a data channel, for emulators (docs/PROTOCOL.md 3.4, 4.3).

use bytes::Bytes;
use uuid::Uuid;

use crate::message::ChannelClosed;
use crate::message::Message;
use crate::message::MessageType;
use crate::session::Frame;
use crate::time::UnixMillis;

/// Tells an end that its peer is there.
pub fn start_publication(id: Uuid, created: UnixMillis) -> Frame {
    frame(MessageType::START_PUBLICATION, Bytes::new(), id, created)
}

/// Tells an end that its peer is away.
pub fn pause_publication(id: Uuid, created: UnixMillis) -> Frame {
    frame(MessageType::PAUSE_PUBLICATION, Bytes::new(), id, created)
}

/// Tells an end that the session is over, and why; `output` may be empty.
pub fn channel_closed(session_id: &str, output: &str, id: Uuid, created: UnixMillis) -> Frame {
    let body = ChannelClosed {
        message_type: MessageType::CHANNEL_CLOSED.as_str().to_owned(),
        message_id: id.hyphenated().to_string(),
        destination_id: session_id.to_owned(),
        session_id: session_id.to_owned(),
        schema_version: 1,
        created_date: created.0.to_string(),
        output: output.to_owned(),
    };
    frame(
        MessageType::CHANNEL_CLOSED,
        crate::json::to_vec(&body).into(),
        id,
        created,
    )
}

fn frame(message_type: MessageType, payload: Bytes, id: Uuid, created: UnixMillis) -> Frame {
    Frame::Binary(Message::aside(message_type, payload, id, created).encode())
}
