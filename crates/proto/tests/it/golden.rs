//! Sessions recorded between AWS's plugin and the real agent (`tests/golden`): facts that
//! neither end of this crate had a hand in.

mod agent;
mod client;
mod streams;

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;
use ssm_session_proto::Flags;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::OpenDataChannel;
use ssm_session_proto::PayloadType;

use crate::support::recording;
use crate::support::recording::Recording;
use crate::support::recording::Sender;
use crate::support::recording::decoded;
use crate::support::seal;
use crate::support::seal::Direction;

#[test]
fn every_recorded_message_is_read_and_written_again_byte_for_byte() {
    let mut messages = 0;
    for recording in recording::all() {
        for (_, frame) in &recording.frames {
            if let Frame::Binary(bytes) = frame {
                let message = Message::decode(bytes).unwrap();
                assert_eq!(message.encode(), bytes, "{}: {message:?}", recording.name);
                assert_eq!(Message::decode_undigested(bytes), Ok(message));
                messages += 1;
            }
        }
    }
    assert!(messages > 100, "{messages} messages were found");
}

#[test]
fn every_recorded_opening_is_read_and_written_again_byte_for_byte() {
    let mut openings = 0;
    for recording in recording::all() {
        for (_, frame) in &recording.frames {
            if let Frame::Text(text) = frame {
                let opening = OpenDataChannel::from_json(text).unwrap();
                assert_eq!(opening.to_json(), text[..], "{}", recording.name);
                openings += 1;
            }
        }
    }
    assert!(openings > 10, "{openings} openings were found");
}

/// The ids and numbers in them were written by the ends that read the messages, so that they
/// show whether we read both as those did.
#[test]
fn every_recorded_acknowledgement_names_a_message_of_the_other_end() {
    let mut acknowledgements = 0;
    for recording in recording::all() {
        for (sender, other) in [
            (Sender::Client, Sender::Agent),
            (Sender::Agent, Sender::Client),
        ] {
            let known: BTreeSet<_> = stream(&recording, other).iter().map(identity).collect();
            let frames = recording.frames.iter().filter(|(from, _)| *from == sender);
            for message in frames.filter_map(|(_, frame)| decoded(frame)) {
                if message.message_type == MessageType::ACKNOWLEDGE {
                    let body: Value = serde_json::from_slice(&message.payload).unwrap();
                    let id = body["AcknowledgedMessageId"].as_str().unwrap().to_owned();
                    let number = body["AcknowledgedMessageSequenceNumber"].as_i64().unwrap();
                    assert!(known.contains(&(id, number)), "{}: {body}", recording.name);
                    acknowledgements += 1;
                }
            }
        }
    }
    assert!(acknowledgements > 50, "{acknowledgements} were found");
}

/// Id and number of a message, as an acknowledgement names them.
fn identity(message: &Message) -> (String, i64) {
    let id = message.id.hyphenated().to_string();
    (id, message.sequence_number.0)
}

/// The stream messages of one end, each once.
fn stream(recording: &Recording, sender: Sender) -> Vec<Message> {
    let mut seen = BTreeSet::new();
    let frames = recording.frames.iter().filter(|(from, _)| *from == sender);
    frames
        .filter_map(|(_, frame)| decoded(frame))
        .filter(|message| message.message_type.is_stream_data())
        .filter(|message| seen.insert(message.sequence_number))
        .collect()
}

/// What the sender of a stream message put in.
fn plaintext(recording: &Recording, sender: Sender, message: &Message) -> Bytes {
    match recording.data_key() {
        Some(key) if message.payload_type.is_encrypted() => {
            let direction = match sender {
                Sender::Agent => Direction::FromAgent,
                Sender::Client => Direction::FromClient,
            };
            let opened = seal::open(&key.plaintext, direction, &message.payload);
            opened.unwrap().into()
        }
        _ => message.payload.clone(),
    }
}

/// Payload types in order and flags, with neighbouring payloads of streams taken together: how
/// those are cut means nothing.
fn outline(recording: &Recording, messages: &[Message]) -> Vec<(MessageType, PayloadType, Flags)> {
    for (number, message) in (0_i64..).zip(messages) {
        assert_eq!(message.sequence_number.0, number, "{}", recording.name);
    }
    let outline = messages
        .iter()
        .map(|m| (m.message_type, m.payload_type, m.flags));
    let mut outline: Vec<_> = outline.collect();
    if streams::is_multiplexed(recording) {
        outline.dedup();
    }
    outline
}

/// Those of one payload type, opened; those of streams as the bytes they are.
fn opened_or_joined(
    recording: &Recording,
    sender: Sender,
    messages: &[Message],
    kind: PayloadType,
) -> Vec<Bytes> {
    let payloads = opened(recording, sender, messages, kind);
    if streams::is_multiplexed(recording) && kind == PayloadType::OUTPUT {
        vec![payloads.concat().into()]
    } else {
        payloads
    }
}

/// Those of one payload type, opened.
fn opened(
    recording: &Recording,
    sender: Sender,
    messages: &[Message],
    kind: PayloadType,
) -> Vec<Bytes> {
    let messages = messages.iter().filter(|m| m.payload_type == kind);
    messages
        .map(|message| plaintext(recording, sender, message))
        .collect()
}
