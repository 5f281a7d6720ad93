//! JSON and other bodies, in either end of a recorded session that was brought up to any point,
//! and alone.

use std::sync::LazyLock;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ssm_session_proto::Acknowledge;
use ssm_session_proto::ChannelClosed;
use ssm_session_proto::Established;
use ssm_session_proto::Frame;
use ssm_session_proto::LocalEnd;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::OpenDataChannel;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SessionState;
use ssm_session_proto::SessionType;
use ssm_session_proto::TerminalSize;
use ssm_session_proto::Version;

use super::choices::Choices;
use crate::hostile::subject::Agent;
use crate::hostile::subject::Client;
use crate::hostile::subject::Subject;
use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::memory::live;
use crate::support::recording;
use crate::support::recording::Recording;
use crate::support::recording::decoded;
use crate::support::wire;

static RECORDINGS: LazyLock<Vec<Recording>> = LazyLock::new(recording::all);

/// Bad messages of one input.
const MESSAGES: usize = 24;
/// What a session may hold beside messages that came early.
const MAX_BYTES: usize = 64 * 1024;
/// Numbers of damaged messages: those that the recordings have, and such as nothing follows.
const FAR: [i64; 6] = [i64::MIN, -1, 99_998, 100_000, i64::MAX - 1, i64::MAX];
/// Below it are the recordings and what [`Subject::check_works`] counts through.
const NEAR: i64 = 40;

/// The first byte says which recording and end, the second how many of its good messages come
/// first, and the rest are bad messages. All of it is taken for a body, too.
pub(crate) fn run(data: &[u8]) {
    alone(data);
    let mut choices = Choices::new(data);
    let which = usize::from(choices.byte());
    let recording = &RECORDINGS[which / 2 % RECORDINGS.len()];
    match which % 2 {
        0 => session::<Client>(recording, choices, data),
        _ => session::<Agent>(recording, choices, data),
    }
}

fn session<S: Subject>(recording: &Recording, mut choices: Choices<'_>, data: &[u8]) {
    let peer = recording.frames.iter().filter(|(from, _)| *from == S::PEER);
    let good: Vec<Message> = peer.filter_map(|(_, frame)| decoded(frame)).collect();
    let before = live();
    let mut subject = S::new(recording, [7; 32]);
    let mut now = epoch();
    for message in &good[..choices.below(good.len() + 1)] {
        now += MS;
        let message = subject.adapt(message.clone());
        subject.feed(&Frame::Binary(message.encode()), now);
    }
    let mut fed = 0;
    for _ in 0..MESSAGES {
        if choices.is_done() {
            break;
        }
        now += MS * u32::from(choices.byte());
        let Some(frame) = bad(&subject, &good, &mut choices) else {
            continue;
        };
        fed += frame.as_bytes().len();
        subject.feed(&frame, now);
    }
    let held = live() - before;
    assert!(held <= MAX_BYTES + 2 * fed, "{held} bytes are held");
    if !subject.is_over() {
        subject.check_works(now);
    }
    // Whatever came before, the service has the last word.
    let body = Bytes::copy_from_slice(data);
    subject.feed(&wire::aside(MessageType::CHANNEL_CLOSED, body), now);
    subject.feed(&Frame::Binary(good[0].encode()), now);
    drop(subject);
    assert_eq!(live(), before, "bytes stay behind");
}

/// A message with something wrong about it, or none if it would confuse the test itself.
fn bad<S: Subject>(subject: &S, good: &[Message], choices: &mut Choices<'_>) -> Option<Frame> {
    let form = choices.byte();
    let recorded = good[choices.below(good.len())].clone();
    let message = match form % 4 {
        0 => {
            let kinds = [
                S::PEERS_DATA,
                MessageType::ACKNOWLEDGE,
                MessageType::START_PUBLICATION,
                MessageType::PAUSE_PUBLICATION,
                MessageType::AGENT_SESSION_STATE,
                MessageType::OUTPUT_STREAM_DATA,
                MessageType::INPUT_STREAM_DATA,
            ];
            let kind = choices.of(&kinds);
            let number = choices.byte();
            let number = FAR.get(usize::from(number).wrapping_sub(250));
            let near = i64::from(form / 4) % NEAR;
            let payload_type = PayloadType(u32::from(choices.byte()) % 16);
            let payload = payload(choices);
            wire::message(kind, *number.unwrap_or(&near), payload_type, payload)
        }
        1 => Message {
            payload: payload(choices),
            ..recorded
        },
        2 => {
            let mut bytes = recorded.payload.to_vec();
            let at = usize::from(choices.word()) % (bytes.len() + 1);
            let until = (at + choices.below(32)).min(bytes.len());
            bytes.splice(at..until, payload(choices));
            Message {
                payload: bytes.into(),
                ..subject.adapt(recorded)
            }
        }
        _ => {
            let length = usize::from(choices.word());
            let bytes = Bytes::copy_from_slice(choices.take(length));
            let message = Message::decode_undigested(&bytes);
            let number = message.map_or(0, |message| message.sequence_number.0);
            let harmless = !(NEAR..=1000).contains(&number);
            return harmless.then_some(Frame::Binary(bytes));
        }
    };
    Some(Frame::Binary(message.encode()))
}

fn payload(choices: &mut Choices<'_>) -> Bytes {
    let length = usize::from(choices.word() % 2048);
    Bytes::copy_from_slice(choices.take(length))
}

/// Each body that is public, by itself: what is read is written and read alike.
fn alone(text: &[u8]) {
    if let Ok(open) = OpenDataChannel::from_json(text) {
        assert_eq!(OpenDataChannel::from_json(&open.to_json()).unwrap(), open);
    }
    if let Ok(acknowledge) = Acknowledge::from_json(text) {
        let again = Acknowledge::from_json(&acknowledge.to_json()).unwrap();
        assert_eq!(again, acknowledge);
    }
    round_trip::<ChannelClosed>(text);
    round_trip::<SessionState>(text);
    round_trip::<TerminalSize>(text);
    if let Ok(properties) = serde_json::from_slice::<Value>(text) {
        if let Err(error) = LocalEnd::from_properties(&properties) {
            assert!(!error.to_string().is_empty());
        }
        let version = properties.get("AgentVersion").and_then(Value::as_str);
        let established = Established {
            session_type: SessionType::PORT,
            agent_version: version.map(Version::new),
            customer_message: String::new(),
            encrypted: false,
            properties,
        };
        assert!(established.port_form().is_some());
    }
}

fn round_trip<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(text: &[u8]) {
    if let Ok(body) = serde_json::from_slice::<T>(text) {
        let again = serde_json::to_vec(&body).unwrap();
        assert_eq!(serde_json::from_slice::<T>(&again).unwrap(), body);
    }
}
