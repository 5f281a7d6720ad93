//! The handshake at the client: what it waits for, and how it fails.

use std::time::Duration;

use serde_json::json;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::ClientConfig;
use ssm_session_proto::ClientSession;
use ssm_session_proto::CloseReason;
use ssm_session_proto::DataKey;
use ssm_session_proto::Event;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Secret;

use super::fixture::Agent;
use super::fixture::Client;
use super::fixture::SIZE;
use super::fixture::challenge_body;
use super::fixture::encrypted;
use super::fixture::encryption_request;
use super::fixture::key;
use super::fixture::request;
use crate::support::clock::clock;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::seal;
use crate::support::seal::Direction;
use crate::support::wire;

/// Why the handshake failed; nothing else may have happened.
fn failure(client: &mut Client) -> String {
    let mut events = client.events();
    match (events.pop(), events.is_empty()) {
        (Some(Event::Closed(CloseReason::HandshakeFailed(reason))), true) => reason,
        other => panic!("{other:?} after {events:?}"),
    }
}

#[test]
fn an_agent_has_thirty_seconds_for_each_of_its_steps() {
    let mut client = Client::connected();
    client.json(PayloadType::HANDSHAKE_REQUEST, &request("Port"));
    client.sent();
    client.acknowledge(0);
    client.pass(Duration::from_millis(29_999));
    assert_eq!(client.events(), []);
    client.pass(Duration::from_millis(1));
    let reason = failure(&mut client);
    assert!(reason.contains("30 seconds"), "{reason}");
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn a_data_key_may_take_as_long_as_it_takes() {
    let mut client = Client::asking_for_key();
    assert_eq!(client.session.poll_timeout(), None);
    client.pass(Duration::from_secs(3600));
    client.session.handle_data_key(Ok(key()), client.now);
    client.sent_json(PayloadType::HANDSHAKE_RESPONSE);
    assert_eq!(client.events(), []);
}

#[test]
fn the_reason_for_having_no_data_key_reaches_the_agent_and_the_user() {
    let mut client = Client::asking_for_key();
    let reason = "AccessDeniedException: no".to_owned();
    client.session.handle_data_key(Err(reason), client.now);
    let body = client.sent_json(PayloadType::HANDSHAKE_RESPONSE);
    let actions = &body["ProcessedClientActions"];
    assert_eq!(actions[0]["ActionStatus"], 1);
    let refused = json!({
        "ActionType": "KMSEncryption", "ActionStatus": 2, "ActionResult": null,
        "Error": "Failed to process action KMSEncryption: AccessDeniedException: no",
    });
    assert_eq!(actions[1], refused);
    assert_eq!(client.events(), [], "the service may have something to say");
    let output = r#"{"Output":"----------ERROR-------"}"#;
    client.aside(MessageType::CHANNEL_CLOSED, output);
    assert_eq!(failure(&mut client), "AccessDeniedException: no");
}

#[test]
fn a_service_that_says_nothing_to_a_failed_handshake_is_not_waited_for() {
    let mut client = Client::asking_for_key();
    let reason = "AccessDeniedException: no".to_owned();
    client.session.handle_data_key(Err(reason), client.now);
    client.sent();
    client.acknowledge(0);
    client.pass(Duration::from_millis(2_999));
    assert_eq!(client.events(), []);
    client.pass(Duration::from_millis(1));
    assert_eq!(failure(&mut client), "AccessDeniedException: no");
}

#[test]
fn a_data_key_of_another_length_is_refused() {
    let mut client = Client::asking_for_key();
    let short = DataKey {
        plaintext: vec![0; 32].into(),
        ..key()
    };
    client.session.handle_data_key(Ok(short), client.now);
    let body = client.sent_json(PayloadType::HANDSHAKE_RESPONSE);
    assert_eq!(body["ProcessedClientActions"][1]["ActionStatus"], 2);
    client.aside(MessageType::CHANNEL_CLOSED, "{}");
    let reason = failure(&mut client);
    assert!(reason.contains("32 bytes instead of 64"), "{reason}");
}

#[test]
fn a_client_that_does_not_know_its_target_leaves_it_open_in_the_encryption_context() {
    let config = ClientConfig {
        client_id: uuid::Uuid::nil(),
        session_id: ends::SESSION.to_owned(),
        target: None,
    };
    let mut session = ClientSession::new(config, clock(), [9; 32]);
    session.handle_connected(&Secret::new("token"), epoch());
    let body = encryption_request().to_string();
    let data = MessageType::OUTPUT_STREAM_DATA;
    let frame = wire::frame(data, 0, PayloadType::HANDSHAKE_REQUEST, body);
    session.handle_frame(&frame, epoch());
    let events = ends::events(&mut session);
    let [Event::DataKeyNeeded(request)] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(request.needs_target());
    let request = request.clone().with_target("i-1");
    assert!(!request.needs_target());
    let context = request.encryption_context;
    assert_eq!(context["aws:ssm:TargetId"], "i-1");
    assert_eq!(context["aws:ssm:SessionId"], ends::SESSION);
}

#[test]
fn a_data_key_that_was_not_asked_for_is_ignored() {
    let mut client = Client::in_session_of("Port");
    client.session.handle_data_key(Ok(key()), client.now);
    client.write(b"in clear");
    let sent = client.payloads();
    assert_eq!(sent, [(PayloadType::OUTPUT, "in clear".into())]);
}

#[test]
fn a_second_request_is_acknowledged_and_not_answered() {
    let mut client = Client::connected();
    for _ in 0..2 {
        client.json(PayloadType::HANDSHAKE_REQUEST, &request("Port"));
    }
    assert_eq!(client.sent().len(), 1);
    assert_eq!(client.acknowledged(), [0, 1]);
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    client.json(PayloadType::HANDSHAKE_REQUEST, &request("Port"));
    assert_eq!(client.sent(), []);
    assert!(client.session.is_established());
}

#[test]
fn an_action_nobody_knows_is_answered_as_unsupported_and_the_handshake_goes_on() {
    let mut client = Client::connected();
    let mut request = request("Port");
    let actions = request["RequestedClientActions"].as_array_mut().unwrap();
    actions.push(json!({"ActionType": "Dance", "ActionParameters": {"Steps": 3}}));
    client.json(PayloadType::HANDSHAKE_REQUEST, &request);
    let body = client.sent_json(PayloadType::HANDSHAKE_RESPONSE);
    let answers = body["ProcessedClientActions"].as_array().unwrap();
    assert_eq!(answers[1]["ActionType"], "Dance");
    assert_eq!(answers[1]["ActionStatus"], 3);
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    assert!(client.session.is_established());
}

#[test]
fn steps_that_are_not_due_are_acknowledged_and_ignored() {
    let mut client = Client::connected();
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    client.json(
        PayloadType::ENCRYPTION_CHALLENGE_REQUEST,
        &challenge_body(&[0; 92]),
    );
    assert_eq!(client.acknowledged(), [0, 1]);
    assert_eq!((client.events(), client.sent()), (vec![], vec![]));
    client.json(PayloadType::HANDSHAKE_REQUEST, &request("Port"));
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    assert!(client.session.is_established());
}

#[test]
fn output_in_the_middle_of_a_handshake_waits_for_its_end() {
    let mut client = Client::connected();
    client.json(PayloadType::HANDSHAKE_REQUEST, &request("Port"));
    client.numbered(1, PayloadType::OUTPUT, "early");
    assert_eq!(client.acknowledged(), [0]);
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    client.message(PayloadType::OUTPUT, "early");
    assert_eq!(client.acknowledged(), [1, 2]);
    assert_eq!(client.events().len(), 2);
}

#[test]
fn bodies_that_cannot_be_read_end_the_handshake_with_a_reason() {
    let mut client = Client::connected();
    client.message(PayloadType::HANDSHAKE_REQUEST, "[]");
    let reason = failure(&mut client);
    assert!(reason.contains("handshake request"), "{reason}");

    let mut client = Client::connected();
    let request_without = json!({"AgentVersion": "3.3.0.0", "RequestedClientActions": []});
    client.json(PayloadType::HANDSHAKE_REQUEST, &request_without);
    let reason = failure(&mut client);
    assert!(reason.contains("session type"), "{reason}");

    let mut client = Client::connected();
    client.json(PayloadType::HANDSHAKE_REQUEST, &request("Port"));
    client.message(PayloadType::HANDSHAKE_COMPLETE, "complete!");
    let reason = failure(&mut client);
    assert!(reason.contains("complete"), "{reason}");
}

#[test]
fn a_challenge_that_cannot_be_answered_ends_the_handshake_with_a_reason() {
    let foreign = seal::seal(&[1; 64], Direction::FromAgent, &[9; 64]);
    for body in [
        json!([]),
        json!({"Challenge": "not base64"}),
        challenge_body(b"short"),
        challenge_body(&foreign),
    ] {
        let mut client = Client::asking_for_key();
        client.session.handle_data_key(Ok(key()), client.now);
        client.json(PayloadType::ENCRYPTION_CHALLENGE_REQUEST, &body);
        let reason = failure(&mut client);
        assert!(reason.contains("challenge"), "{reason}");
    }
}

#[test]
fn a_challenge_is_answered_once() {
    let mut client = Client::asking_for_key();
    client.session.handle_data_key(Ok(key()), client.now);
    client.sent();
    let bytes = seal::seal(&key().plaintext, Direction::FromAgent, &[9; 64]);
    for _ in 0..2 {
        let kind = PayloadType::ENCRYPTION_CHALLENGE_REQUEST;
        client.json(kind, &challenge_body(&bytes));
    }
    client.sent_json(PayloadType::ENCRYPTION_CHALLENGE_RESPONSE);
    assert_eq!(client.acknowledged(), [0, 1, 2][1..]);
}

/// The service drops what an agent says before its client is there. A client that comes late
/// must hear of the handshake before it takes the session for one without: what is typed into
/// that is in clear, and an agent in a handshake throws it away.
#[test]
fn a_client_that_comes_late_is_asked_for_the_handshake_before_it_goes_on_without() {
    let mut agent = Agent::connected(encrypted(ChallengeMode::Offered));
    agent.pass(Duration::from_millis(1500));
    agent.sent();
    let mut client = Client::connected();
    client.now = agent.now;
    client.session.resize(SIZE, client.now);
    client.write(b"secret\r");
    for _ in 0..1000 {
        while let Some(frame) = client.session.poll_transmit(client.now) {
            agent.frame(&frame);
        }
        while let Some(frame) = agent.session.poll_transmit(agent.now) {
            client.frame(&frame);
        }
        if let Some(event) = client.events().first() {
            return assert!(matches!(event, Event::DataKeyNeeded(_)), "{event:?}");
        }
        client.now += Duration::from_millis(10);
        agent.now = client.now;
        client.session.handle_timeout(client.now);
        agent.session.handle_timeout(agent.now);
    }
    panic!("the agent never asked");
}
