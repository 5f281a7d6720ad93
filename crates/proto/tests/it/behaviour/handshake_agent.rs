//! The handshake at the agent: what it waits for, and how it fails.

use std::time::Duration;

use serde_json::json;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::DataKey;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SessionType;

use super::fixture::Agent;
use super::fixture::challenge;
use super::fixture::challenge_body;
use super::fixture::encrypted;
use super::fixture::key;
use super::fixture::response_with_key;
use crate::support::ends;
use crate::support::seal;
use crate::support::seal::Direction;

fn port() -> Agent {
    let mut agent = Agent::connected(AgentConfig {
        session_type: SessionType::PORT,
        ..ends::agent_config()
    });
    assert_eq!(agent.sent().len(), 1);
    agent.acknowledge(0);
    agent
}

/// The agent's words for the service; nothing else may have happened.
fn failure(agent: &mut Agent) -> String {
    let mut events = agent.events();
    let text = match (events.pop(), events.is_empty()) {
        (Some(AgentEvent::Failed(text)), true) => text,
        other => panic!("{other:?} after {events:?}"),
    };
    let frame = "\n----------ERROR-------\nEncountered error while initiating handshake. ";
    text.strip_prefix(frame).unwrap().to_owned()
}

#[test]
fn a_client_has_fifteen_seconds_to_respond() {
    let mut agent = port();
    agent.pass(Duration::from_millis(14_999));
    assert_eq!(agent.events(), []);
    agent.pass(Duration::from_millis(1));
    let expected = "Handshake timed out. Please ensure that you have the latest version of the \
                    session manager plugin.";
    assert_eq!(failure(&mut agent), expected);
    assert_eq!(agent.session.poll_timeout(), None);
}

#[test]
fn a_client_has_fifteen_seconds_to_answer_the_challenge() {
    let mut agent = Agent::opening_key();
    agent.pass(Duration::from_secs(10));
    agent.session.handle_data_key(Ok(key()), agent.now);
    agent.sent();
    agent.acknowledge(1);
    agent.pass(Duration::from_millis(14_999));
    assert_eq!(agent.events(), []);
    agent.pass(Duration::from_millis(1));
    let expected = "Timed out waiting for encryption challenge.";
    assert_eq!(failure(&mut agent), expected);
}

#[test]
fn an_action_that_failed_on_the_client_ends_the_session_in_its_words() {
    let mut agent = port();
    let body = json!({"ClientVersion": "1.2.764.0", "ProcessedClientActions": [
        {"ActionType": "SessionType", "ActionStatus": 3, "Error": "never heard of it"}]});
    agent.json(PayloadType::HANDSHAKE_RESPONSE, &body);
    assert_eq!(
        failure(&mut agent),
        "SessionType failed on client with status 3 error: never heard of it"
    );
    assert_eq!(agent.acknowledged(), [0]);
}

#[test]
fn a_response_that_cannot_be_read_is_not_acknowledged_and_a_good_one_takes_its_number() {
    let mut agent = port();
    let strange = r#"{"ProcessedClientActions":[{"ActionType":"KMSEncryption","ActionStatus":1}]}"#;
    for bad in ["[", strange] {
        agent.numbered(0, PayloadType::HANDSHAKE_RESPONSE, bad);
    }
    assert_eq!((agent.events(), agent.acknowledged()), (vec![], vec![]));
    agent.json(PayloadType::HANDSHAKE_RESPONSE, &json!({}));
    assert!(matches!(
        agent.events()[..],
        [AgentEvent::Started {
            client_version: None
        }]
    ));
    assert_eq!(agent.acknowledged(), [0]);
}

#[test]
fn a_response_is_not_acknowledged_before_kms_has_opened_its_key() {
    let mut agent = Agent::opening_key();
    agent.numbered(
        0,
        PayloadType::HANDSHAKE_RESPONSE,
        response_with_key().to_string(),
    );
    assert_eq!((agent.events(), agent.acknowledged()), (vec![], vec![]));
    agent.session.handle_data_key(Ok(key()), agent.now);
    assert_eq!(agent.acknowledged(), [0]);
    agent.sent_json(PayloadType::ENCRYPTION_CHALLENGE_REQUEST);
}

#[test]
fn another_message_of_the_number_that_waits_for_kms_costs_no_number() {
    let mut agent = Agent::opening_key();
    agent.numbered(0, PayloadType(99), "in the meantime");
    agent.session.handle_data_key(Ok(key()), agent.now);
    let asked = agent.sent_json(PayloadType::ENCRYPTION_CHALLENGE_REQUEST);
    let bytes = seal::open(&key().plaintext, Direction::FromAgent, &challenge(&asked)).unwrap();
    let answer = seal::seal(&key().plaintext, Direction::FromClient, &bytes);
    agent.json(
        PayloadType::ENCRYPTION_CHALLENGE_RESPONSE,
        &challenge_body(&answer),
    );
    assert!(matches!(agent.events()[..], [AgentEvent::Started { .. }]));
}

#[test]
fn what_kms_says_against_the_key_ends_the_session() {
    let mut agent = Agent::opening_key();
    let reason = "AccessDeniedException: no".to_owned();
    agent.session.handle_data_key(Err(reason), agent.now);
    assert_eq!(
        failure(&mut agent),
        "Fetching data key failed: Unable to retrieve data key, AccessDeniedException: no"
    );
    assert_eq!(agent.acknowledged(), [0]);

    let mut agent = Agent::opening_key();
    let short = DataKey {
        plaintext: vec![0; 8].into(),
        ..key()
    };
    agent.session.handle_data_key(Ok(short), agent.now);
    let text = failure(&mut agent);
    assert!(text.contains("8 bytes instead of 64"), "{text}");
}

#[test]
fn a_data_key_that_was_not_asked_for_is_ignored() {
    let mut agent = Agent::running();
    agent.session.handle_data_key(Ok(key()), agent.now);
    assert_eq!((agent.events(), agent.sent()), (vec![], vec![]));
    agent.message(PayloadType::OUTPUT, "in clear");
    assert_eq!(agent.events(), [AgentEvent::Input("in clear".into())]);
}

#[test]
fn a_client_that_does_not_acknowledge_a_required_challenge_is_refused() {
    let mut agent = Agent::connected(encrypted(ChallengeMode::Required));
    agent.json(PayloadType::HANDSHAKE_RESPONSE, &response_with_key());
    assert_eq!(
        failure(&mut agent),
        "client does not support required encryption context random challenge"
    );
}

#[test]
fn a_key_that_is_not_base64_is_refused() {
    let mut agent = Agent::connected(encrypted(ChallengeMode::Absent));
    let body = json!({"ProcessedClientActions": [{"ActionType": "KMSEncryption",
        "ActionStatus": 1, "ActionResult": {"KMSCipherTextKey": "?"}}]});
    agent.json(PayloadType::HANDSHAKE_RESPONSE, &body);
    let text = failure(&mut agent);
    assert!(text.contains("base64"), "{text}");
}

#[test]
fn a_wrong_answer_to_the_challenge_is_not_acknowledged_and_the_right_one_takes_its_number() {
    let mut agent = Agent::opening_key();
    agent.session.handle_data_key(Ok(key()), agent.now);
    let asked = agent.sent_json(PayloadType::ENCRYPTION_CHALLENGE_REQUEST);
    let kind = PayloadType::ENCRYPTION_CHALLENGE_RESPONSE;
    let other = seal::seal(&key().plaintext, Direction::FromClient, &[0; 64]);
    for wrong in [
        asked.clone(),
        challenge_body(&other),
        json!({"Challenge": "?"}),
        json!([]),
    ] {
        agent.numbered(1, kind, wrong.to_string());
    }
    assert_eq!((agent.events(), agent.acknowledged()), (vec![], vec![0]));
    let bytes = seal::open(&key().plaintext, Direction::FromAgent, &challenge(&asked)).unwrap();
    let answer = seal::seal(&key().plaintext, Direction::FromClient, &bytes);
    agent.json(kind, &challenge_body(&answer));
    assert_eq!(agent.acknowledged(), [1]);
    assert!(matches!(agent.events()[..], [AgentEvent::Started { .. }]));
    let complete = agent.sent_json(PayloadType::HANDSHAKE_COMPLETE);
    assert_eq!(
        complete["CustomerMessage"],
        "This session is encrypted using AWS KMS."
    );
}

/// The real agent is deaf from here on (docs/PROTOCOL.md 5).
#[test]
fn answers_that_are_not_due_are_acknowledged_and_ignored() {
    let mut agent = port();
    agent.json(PayloadType::ENCRYPTION_CHALLENGE_RESPONSE, &json!({}));
    agent.json(PayloadType::HANDSHAKE_RESPONSE, &json!({}));
    assert_eq!(agent.events().len(), 1);
    agent.json(PayloadType::HANDSHAKE_RESPONSE, &json!({}));
    assert_eq!(agent.acknowledged(), [0, 1, 2]);
    assert_eq!(agent.events(), []);
    assert_eq!(agent.sent().len(), 1, "one end of the handshake");
}

#[test]
fn input_before_the_end_of_the_handshake_is_acknowledged_and_thrown_away() {
    let mut agent = port();
    agent.session.accept_input();
    agent.message(PayloadType::OUTPUT, "lost");
    agent.json(PayloadType::HANDSHAKE_RESPONSE, &json!({}));
    agent.message(PayloadType::OUTPUT, "kept");
    assert_eq!(agent.acknowledged(), [0, 1, 2]);
    assert_eq!(agent.events()[1..], [AgentEvent::Input("kept".into())]);
}

#[test]
fn a_port_session_is_not_encrypted_even_if_a_key_is_named() {
    let mut agent = Agent::connected(AgentConfig {
        session_type: SessionType::PORT,
        ..encrypted(ChallengeMode::Required)
    });
    let request = agent.sent_json(PayloadType::HANDSHAKE_REQUEST);
    let actions = request["RequestedClientActions"].as_array().unwrap();
    assert_eq!(actions.len(), 1, "{request}");
}

/// It may have got the acknowledgement it repeats itself for, and no request all the same.
#[test]
fn a_client_that_repeats_itself_is_asked_for_the_handshake_again() {
    let mut agent = Agent::connected(encrypted(ChallengeMode::Offered));
    let request = agent.payloads();
    assert_eq!(request.len(), 1);
    for _ in 0..3 {
        agent.numbered(0, PayloadType::SIZE, r#"{"cols":80,"rows":24}"#);
        assert_eq!(agent.payloads(), request);
        assert_eq!(agent.acknowledged(), [0]);
    }
}
