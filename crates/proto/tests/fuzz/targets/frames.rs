//! Any bytes as a frame: what is read is written again and read alike, and both ends stand it.

use std::ops::Range;

use bytes::Bytes;
use ssm_session_proto::DecodeError;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::OVERHEAD;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Secret;

use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::ends::End;
use crate::support::ends::Sent;
use crate::support::wire;

/// Where the digest is, and the lengths (docs/PROTOCOL.md 3.1).
const DIGEST: Range<usize> = 80..112;
const HEADER_LENGTH: Range<usize> = 0..4;
const PAYLOAD_LENGTH: Range<usize> = 116..120;

/// The input is a frame, as it is and with a digest and lengths that fit.
pub(crate) fn run(data: &[u8]) {
    let mut frames = vec![Bytes::copy_from_slice(data)];
    frames.extend(with_fitting_digest(data));
    for frame in &frames {
        check(frame);
    }
    let mut client = ends::client(ends::SESSION, [1; 32]);
    client.handle_connected(&Secret::new("token"), epoch());
    feed(&mut client, &frames);
    let mut agent = ends::agent(ends::agent_config(), [2; 32]);
    agent.handle_connected(&Secret::new("token"), epoch());
    agent.accept_input();
    feed(&mut agent, &frames);
}

fn with_fitting_digest(data: &[u8]) -> Option<Bytes> {
    let payload = data.get(OVERHEAD..)?.to_vec();
    let fitting = wire::message(MessageType::ACKNOWLEDGE, 0, PayloadType::NONE, payload);
    let fitting = fitting.encode();
    let mut frame = data.to_vec();
    for part in [DIGEST, HEADER_LENGTH, PAYLOAD_LENGTH] {
        frame[part.clone()].copy_from_slice(&fitting[part]);
    }
    Some(frame.into())
}

fn check(frame: &Bytes) {
    let strict = Message::decode(frame);
    let lax = Message::decode_undigested(frame);
    if let Ok(message) = &strict {
        let kind = message.message_type;
        let publication = [
            MessageType::START_PUBLICATION,
            MessageType::PAUSE_PUBLICATION,
        ]
        .contains(&kind);
        match &lax {
            Ok(other) => assert_eq!(other, message),
            Err(error) => assert!(publication && *error == DecodeError::Created, "{error}"),
        }
        check_again(message, frame);
    }
    if let Ok(message) = &lax {
        check_again(message, frame);
    }
}

/// What was read is written so that both ends read it alike, and byte for byte as it came if it
/// came in the one form that is written.
fn check_again(message: &Message, frame: &Bytes) {
    let again = message.encode();
    assert_eq!(Message::decode(&again).as_ref(), Ok(message));
    if message.created.0 != 0 {
        assert_eq!(Message::decode_undigested(&again).as_ref(), Ok(message));
    }
    let name = message.message_type;
    assert_eq!(MessageType::new(name.as_str()), Ok(name));
    let as_written = |part: &Range<usize>| frame[part.clone()] == again[part.clone()];
    let type_name = 4..36;
    if [HEADER_LENGTH, PAYLOAD_LENGTH, DIGEST, type_name]
        .iter()
        .all(as_written)
    {
        assert_eq!(again, frame);
    }
}

fn feed(end: &mut impl End, frames: &[Bytes]) {
    for frame in frames {
        for frame in [Frame::Binary(frame.clone()), Frame::Text(frame.clone())] {
            end.frame(&frame, epoch());
            Sent::default().drain(end, epoch());
            assert!(ends::events(end).len() <= 2);
        }
    }
}
