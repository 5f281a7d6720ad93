//! Our agent in the place of the real one: it is handed what AWS's plugin sent and does what the
//! recorded command did.

mod replay;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use ssm_session_proto::TerminalSize;

use self::replay::Replay;
use super::identity;
use super::outline;
use super::stream;
use super::streams;
use crate::support::recording;
use crate::support::recording::Sender;
use crate::support::recording::decoded;

#[test]
fn every_message_of_the_client_is_acknowledged_and_so_is_every_repetition() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let expected: Vec<_> = replay.fed.iter().map(identity).collect();
        assert_eq!(replay.sent.acknowledged, expected, "{}", recording.name);
    }
}

#[test]
fn input_sizes_and_flags_arrive_once_and_in_order() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let recorded = |kind| replay.recorded(Sender::Client, kind);
        let name = recording.name;
        let input = recorded(PayloadType::OUTPUT).concat();
        assert_eq!(replay.input, input, "{name}");
        let sizes: Vec<TerminalSize> = recorded(PayloadType::SIZE)
            .iter()
            .map(|body| serde_json::from_slice(body).unwrap())
            .collect();
        assert_eq!(replay.sizes, sizes, "{name}");
        let flags: Vec<u32> = recorded(PayloadType::FLAG)
            .iter()
            .map(|body| u32::from_be_bytes(body[..].try_into().unwrap()))
            .collect();
        assert_eq!(replay.flags, flags, "{name}");
    }
}

#[test]
fn the_handshake_request_is_the_recorded_one_but_for_its_random_challenge() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let recorded = replay.recorded(Sender::Agent, PayloadType::HANDSHAKE_REQUEST);
        let ours = replay.ours(PayloadType::HANDSHAKE_REQUEST);
        assert_eq!(ours.len(), recorded.len(), "{}", recording.name);
        for (ours, recorded) in ours.iter().zip(&recorded) {
            let mut ours: Value = serde_json::from_slice(ours).unwrap();
            let recorded: Value = serde_json::from_slice(recorded).unwrap();
            let pointer = "/RequestedClientActions/1/ActionParameters/Challenge";
            if let Some(challenge) = ours.pointer_mut(pointer) {
                let bytes = BASE64_STANDARD.decode(challenge.as_str().unwrap());
                assert_eq!(bytes.unwrap().len(), 16);
                *challenge = recorded.pointer(pointer).unwrap().clone();
            }
            assert_eq!(ours, recorded, "{}", recording.name);
        }
    }
}

#[test]
fn the_end_of_the_handshake_says_what_the_recorded_one_said() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let messages = |bodies: Vec<Bytes>| -> Vec<Value> {
            let bodies = bodies.iter().map(|body| {
                let body: Value = serde_json::from_slice(body).unwrap();
                assert!(body["HandshakeTimeToComplete"].is_i64(), "{body}");
                body["CustomerMessage"].clone()
            });
            bodies.collect()
        };
        let recorded = messages(replay.recorded(Sender::Agent, PayloadType::HANDSHAKE_COMPLETE));
        let ours = messages(replay.ours(PayloadType::HANDSHAKE_COMPLETE));
        assert_eq!(ours, recorded, "{}", recording.name);
        let version = (!recorded.is_empty()).then(|| "1.2.0.0".to_owned());
        assert_eq!(replay.started, [version], "{}", recording.name);
    }
}

#[test]
fn the_data_key_is_opened_with_the_context_it_was_made_with() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let kms = recording.kms.as_ref();
        let recorded = kms.map(|kms| kms["encryption_context"].clone());
        assert_eq!(replay.contexts, Vec::from_iter(recorded));
    }
}

#[test]
fn the_agent_numbers_and_sends_what_the_recorded_one_sent() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        assert_eq!(
            outline(&recording, &replay.sent.stream),
            outline(&recording, &stream(&recording, Sender::Agent)),
            "{}",
            recording.name
        );
        for kind in [
            PayloadType::OUTPUT,
            PayloadType::STDERR,
            PayloadType::EXIT_CODE,
            PayloadType::FLAG,
        ] {
            let recorded = replay.recorded(Sender::Agent, kind);
            assert_eq!(replay.ours(kind), recorded, "{} {kind:?}", recording.name);
        }
    }
}

#[test]
fn streams_are_opened_heard_to_their_end_and_forgotten() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let expected = streams::recorded(&recording, Sender::Client);
        let opened: Vec<_> = expected.keys().map(|id| id.0).collect();
        assert_eq!(replay.opened, opened, "{}", recording.name);
        assert_eq!(replay.streams, expected, "{}", recording.name);
        let left = replay.mux.map(|mux| mux.open_streams());
        assert!(left.is_none_or(|left| left == 0), "{}", recording.name);
    }
}

#[test]
fn the_agent_tells_the_service_what_the_recorded_one_told_it() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let messages = recording.frames.iter().filter_map(|(_, f)| decoded(f));
        let recorded: Vec<Value> = messages
            .filter(|m| m.message_type == MessageType::AGENT_SESSION_STATE)
            .map(|m| serde_json::from_slice(&m.payload).unwrap())
            .collect();
        assert_eq!(replay.sent.states, recorded, "{}", recording.name);
        assert_eq!(replay.drained, recorded.len() == 2, "{}", recording.name);
        assert_eq!(replay.sent.openings, 1);
    }
}
