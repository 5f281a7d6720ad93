//! Our client in the place of AWS's plugin: it is handed what the real agent sent, does what the
//! recorded user did, and must say what the agent needed to hear.

mod replay;

use bytes::Bytes;
use serde_json::Value;
use ssm_session_proto::PayloadType;
use ssm_session_proto::PortForm;

use self::replay::Replay;
use super::identity;
use super::outline;
use super::stream;
use super::streams;
use crate::support::recording;
use crate::support::recording::Sender;
use crate::support::seal;
use crate::support::seal::Direction;

#[test]
fn every_message_of_the_agent_is_acknowledged_and_so_is_every_repetition() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let expected: Vec<_> = replay.fed.iter().map(identity).collect();
        assert_eq!(replay.sent.acknowledged, expected, "{}", recording.name);
    }
}

#[test]
fn output_arrives_once_and_in_order_on_its_stream() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let recorded = |kind| replay.recorded(Sender::Agent, kind).concat();
        let name = recording.name;
        let expected = streams::recorded(&recording, Sender::Agent);
        assert_eq!(replay.streams, expected, "{name}");
        if expected.is_empty() {
            assert_eq!(replay.stdout, recorded(PayloadType::OUTPUT), "{name}");
        } else {
            assert_eq!(replay.stdout, b"", "{name}");
        }
        assert_eq!(replay.stderr, recorded(PayloadType::STDERR), "{name}");
        let codes = replay.exit_codes.iter().map(|c| format!("EXIT_CODE: {c}"));
        let codes: String = codes.collect();
        assert_eq!(codes.as_bytes(), recorded(PayloadType::EXIT_CODE), "{name}");
    }
}

#[test]
fn a_refused_connection_is_told_and_the_stream_ends_and_is_forgotten() {
    for recording in recording::all() {
        let mut replay = Replay::run(&recording);
        let refused = usize::from(recording.name == "port-mux-refused");
        assert_eq!(replay.refusals, refused, "{}", recording.name);
        let streams = replay.client.streams().map(|mux| mux.open_streams());
        let multiplexed = streams::is_multiplexed(&recording);
        assert_eq!(streams, multiplexed.then_some(0), "{}", recording.name);
    }
}

#[test]
fn the_client_numbers_and_sends_what_the_recorded_one_sent() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let name = recording.name;
        assert_eq!(
            outline(&recording, &replay.sent.stream),
            outline(&recording, &stream(&recording, Sender::Client)),
            "{name}"
        );
        for kind in [PayloadType::OUTPUT, PayloadType::SIZE, PayloadType::FLAG] {
            let recorded = replay.recorded(Sender::Client, kind);
            assert_eq!(replay.ours(kind), recorded, "{name} {kind:?}");
        }
        assert_eq!(replay.client.poll_timeout(), None, "{name}: all arrived");
        assert_eq!(replay.sent.openings, 1, "{name}");
    }
}

/// The bodies are the recorded ones but for two things. Our version is our own. And we
/// acknowledge the challenge that newer agents send for the encryption context, which the
/// recorded plugin is too old to know: agents that require it refuse those who do not.
#[test]
fn the_handshake_response_is_the_recorded_one_but_for_version_and_challenge() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let bodies = |bodies: Vec<Bytes>| -> Vec<Value> {
            let bodies = bodies.iter().map(|b| serde_json::from_slice(b).unwrap());
            bodies.collect()
        };
        let mut ours = bodies(replay.ours(PayloadType::HANDSHAKE_RESPONSE));
        for body in &mut ours {
            assert_eq!(body["ClientVersion"], "1.2.764.0");
            body["ClientVersion"] = "1.2.0.0".into();
            if recording.kms.is_some() {
                let result = &mut body["ProcessedClientActions"][1]["ActionResult"];
                let result = result.as_object_mut().unwrap();
                assert_eq!(result.remove("ChallengeAcknowledgement"), Some(true.into()));
            }
        }
        let recorded = replay.recorded(Sender::Client, PayloadType::HANDSHAKE_RESPONSE);
        assert_eq!(ours, bodies(recorded), "{}", recording.name);
    }
}

#[test]
fn the_data_key_is_asked_for_with_the_recorded_context_and_the_challenge() {
    let recordings = recording::all();
    let recording = recordings.iter().find(|r| r.kms.is_some()).unwrap();
    let kms = recording.kms.as_ref().unwrap();
    let replay = Replay::run(recording);
    assert_eq!(replay.asked.len(), 1);
    let mut request = replay.asked[0].clone();
    assert_eq!(request.key_id, kms["key_id"]);
    let challenge = request.encryption_context.remove("aws:ssm:RandomChallenge");
    assert_eq!(challenge.as_deref(), Some("DIJZ1rUnM2o8sFAWOuAOtA=="));
    let context = serde_json::to_value(&request.encryption_context).unwrap();
    assert_eq!(context, kms["encryption_context"]);
}

#[test]
fn the_encryption_challenge_comes_back_under_the_clients_key() {
    let recordings = recording::all();
    let recording = recordings.iter().find(|r| r.kms.is_some()).unwrap();
    let replay = Replay::run(recording);
    let key = recording.data_key().unwrap().plaintext;
    let asked = replay.recorded(Sender::Agent, PayloadType::ENCRYPTION_CHALLENGE_REQUEST);
    let answer = replay.ours(PayloadType::ENCRYPTION_CHALLENGE_RESPONSE);
    let bytes = seal::open(&key, Direction::FromAgent, &challenge(&asked[0])).unwrap();
    assert_eq!(bytes.len(), 64);
    assert_eq!(answer.len(), 1);
    assert_eq!(
        seal::open(&key, Direction::FromClient, &challenge(&answer[0])),
        Some(bytes)
    );
}

/// The bytes in the body of a challenge or its answer.
pub(super) fn challenge(body: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let body: Value = serde_json::from_slice(body).unwrap();
    let text = body["Challenge"].as_str().unwrap();
    base64::prelude::BASE64_STANDARD.decode(text).unwrap()
}

#[test]
fn a_session_is_established_once_and_as_what_the_agent_called_it() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let expected = match recording.name {
            "shell" | "shell-encrypted" | "interactive-command" => "Standard_Stream",
            "noninteractive-command" | "noninteractive-separate-streams" => {
                "NonInteractiveCommands"
            }
            _ => "Port",
        };
        let [established] = &replay.established[..] else {
            panic!("{}: {:?}", recording.name, replay.established);
        };
        assert_eq!(established.session_type.as_str(), expected);
        assert_eq!(established.encrypted, recording.kms.is_some());
        let form = match recording.name {
            "port-mux" | "port-mux-refused" => Some(PortForm::Multiplexed),
            "port-stdio" => Some(PortForm::Stdio),
            _ => None,
        };
        assert_eq!(established.port_form(), form);
        let message = match recording.name {
            "shell-encrypted" => "This session is encrypted using AWS KMS.",
            "noninteractive-separate-streams" => {
                "Please update session manager plugin version (minimum required version \
                 1.2.312.0) for fully support of separate StdOut/StdErr output.\r\n"
            }
            _ => "",
        };
        assert_eq!(established.customer_message, message, "{}", recording.name);
        let version = established.agent_version.as_ref().map(|v| v.as_str());
        let handshake = !replay
            .recorded(Sender::Agent, PayloadType::HANDSHAKE_COMPLETE)
            .is_empty();
        assert_eq!(
            version,
            handshake.then_some("3.3.0.0"),
            "{}",
            recording.name
        );
        if recording.name == "port-mux-refused" {
            assert_eq!(established.properties["portNumber"], "1");
        }
    }
}
