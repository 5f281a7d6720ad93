//! Ways to damage a message.

use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use ssm_session_proto::Flags;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::OVERHEAD;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SequenceNumber;
use ssm_session_proto::UnixMillis;

use crate::support::random::Random;

/// Where the fields of the header begin and end (docs/PROTOCOL.md 3.1).
const FIELDS: [(usize, usize); 11] = [
    (0, 4),
    (4, 36),
    (36, 40),
    (40, 48),
    (48, 56),
    (56, 64),
    (64, 72),
    (72, 80),
    (80, 112),
    (112, 116),
    (116, 120),
];

/// A damaged copy: bytes altered under a digest that may no longer fit, or a field or the
/// payload under one that does.
pub(crate) fn damaged(message: &Message, random: &mut Random) -> Frame {
    let bytes = if random.chance(500) {
        damaged_bytes(message.encode().to_vec(), random).into()
    } else {
        damaged_message(message.clone(), random).encode()
    };
    if random.chance(50) {
        Frame::Text(bytes)
    } else {
        Frame::Binary(bytes)
    }
}

fn damaged_bytes(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    match random.below(5) {
        0 => {
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        1 => bytes.truncate(random.below(bytes.len())),
        2 => {
            let length = random.below(4096);
            bytes.extend(random.bytes(length));
        }
        3 => {
            let length = u32::try_from(bytes.len()).unwrap();
            let near = [
                0,
                1,
                115,
                117,
                120,
                length - 5,
                length - 4,
                length - 3,
                length,
                u32::MAX,
            ];
            let header = near[random.below(near.len())];
            bytes[..4].copy_from_slice(&header.to_be_bytes());
        }
        _ => {
            let [one, other] = [0, 1].map(|_| FIELDS[random.below(FIELDS.len())]);
            let (a, b) = (
                bytes[one.0..one.1].to_vec(),
                bytes[other.0..other.1].to_vec(),
            );
            let shorter = a.len().min(b.len());
            bytes[one.0..one.0 + shorter].copy_from_slice(&b[..shorter]);
            bytes[other.0..other.0 + shorter].copy_from_slice(&a[..shorter]);
        }
    }
    bytes
}

fn damaged_message(mut message: Message, random: &mut Random) -> Message {
    match random.below(7) {
        0 | 1 => message.payload = damaged_json(&message.payload, random),
        2 => {
            let here = message.sequence_number.0;
            let far = [i64::MIN, i64::MIN + 1, -1, i64::MAX - 1, i64::MAX];
            let near = [here + 1, here + 2, here + 99_999, here + 100_000];
            let numbers = [&far[..], &near[..]].concat();
            message.sequence_number = SequenceNumber(numbers[random.below(numbers.len())]);
        }
        // Sealed payloads take 28 bytes more than what is in them.
        3 => {
            let length = random.below(29);
            message.payload = random.bytes(length).into();
            let sealed = [1, 11, 12][random.below(3)];
            message.payload_type = PayloadType(sealed);
        }
        4 => {
            let types = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, u32::MAX];
            message.payload_type = PayloadType(types[random.below(types.len())]);
        }
        5 => {
            let types = [
                MessageType::INPUT_STREAM_DATA,
                MessageType::OUTPUT_STREAM_DATA,
                MessageType::ACKNOWLEDGE,
                MessageType::START_PUBLICATION,
                MessageType::PAUSE_PUBLICATION,
                MessageType::AGENT_SESSION_STATE,
                MessageType::new("interactive_shell").unwrap(),
            ];
            message.message_type = types[random.below(types.len())];
        }
        _ => {
            message.created = UnixMillis(random.next() * u64::from(random.chance(500)));
            message.flags = Flags(random.next());
            message.schema_version = 7;
        }
    }
    message
}

/// A payload that is still JSON, or no longer, or never was.
fn damaged_json(payload: &Bytes, random: &mut Random) -> Bytes {
    let body = serde_json::from_slice::<Value>(payload).ok();
    match body.filter(|_| random.chance(800)) {
        Some(mut body) => {
            replace_some_part(&mut body, random);
            body.to_string().into()
        }
        None => {
            let mut bytes = payload.to_vec();
            bytes.push(random.byte());
            let at = random.below(bytes.len());
            bytes[at] = random.byte();
            bytes.truncate(1 + random.below(bytes.len()));
            bytes.into()
        }
    }
}

fn replace_some_part(value: &mut Value, random: &mut Random) {
    let inside = random.chance(700);
    match value {
        Value::Object(map) if inside && !map.is_empty() => {
            let at = random.below(map.len());
            let name = map.keys().nth(at).unwrap().clone();
            if random.chance(200) {
                map.remove(&name);
            } else {
                replace_some_part(&mut map[&name], random);
            }
        }
        Value::Array(list) if inside && !list.is_empty() => {
            let at = random.below(list.len());
            if random.chance(200) {
                list.push(list[at].clone());
            }
            replace_some_part(&mut list[at], random);
        }
        _ => *value = something(random),
    }
}

fn something(random: &mut Random) -> Value {
    match random.below(9) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(i64::MIN),
        3 => json!(u64::MAX),
        4 => json!(1e300),
        5 => json!("x".repeat(random.below(2000))),
        6 => json!({"": [{}]}),
        7 => (0..200).fold(json!([]), |inner, _| json!([inner])),
        _ => json!("\u{0}\u{1b}]0;\u{7}="),
    }
}

/// That the table above says where fields end.
const _: () = assert!(FIELDS[FIELDS.len() - 1].1 == OVERHEAD);
