//! What `Debug` and `Display` tell: enough for a log, and nothing that is the user's alone.

use serde_json::json;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::CloseReason;
use ssm_session_proto::ControlFlag;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::MessageType;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Secret;
use ssm_session_proto::SessionType;
use ssm_session_proto::Version;

use super::fixture::Agent;
use super::fixture::Client;
use super::fixture::SIZE;
use super::fixture::key;
use crate::support::wire;

#[test]
fn neither_tokens_nor_keys_are_shown() {
    let mut client = Client::asking_for_key();
    client.session.handle_data_key(Ok(key()), client.now);
    let token = Secret::new("hush");
    client.session.handle_connected(&token, client.now);
    let shown = format!("{:?} {token:?}", client.session);
    assert!(!shown.contains("hush"), "{shown}");
    assert!(!shown.contains("0, 1, 2, 3"), "{shown}");
    let opening = client.session.poll_transmit(client.now).unwrap();
    assert!(matches!(&opening, Frame::Text(_)));
    assert!(!format!("{opening:?}").contains("hush"));
}

#[test]
fn what_the_user_types_and_sees_is_not_shown() {
    let mut client = Client::in_shell();
    client.write(b"hush");
    let mut agent = Agent::running();
    agent
        .session
        .write(OutputStream::Stdout, b"hush", agent.now);
    let message = wire::message(
        MessageType::INPUT_STREAM_DATA,
        7,
        PayloadType::OUTPUT,
        "hush",
    );
    let input = AgentEvent::Input("hush".into());
    let output = Event::Output {
        stream: OutputStream::Stderr,
        data: "hush".into(),
    };
    let shown = [
        format!("{:?}", client.session),
        format!("{:?}", agent.session),
        format!("{message:?}"),
        format!("{:?}", Frame::Binary(message.encode())),
        format!("{input:?}"),
        format!("{output:?}"),
    ];
    for shown in shown {
        assert!(!shown.contains("hush"), "{shown}");
        assert!(!shown.contains("104, 117, 115, 104"), "{shown}");
    }
    assert!(format!("{message:?}").contains("input_stream_data"));
}

#[test]
fn every_event_tells_itself_from_the_others() {
    let client = [
        format!("{:?}", Event::ExitCode(3)),
        format!("{:?}", Event::Writable),
        format!("{:?}", Event::Closed(CloseReason::Terminated)),
    ];
    assert_eq!(client, ["ExitCode(3)", "Writable", "Closed(Terminated)"]);
    let version = Some(Version::new("1.2.764.0"));
    let agent = [
        AgentEvent::Started {
            client_version: version,
        },
        AgentEvent::DataKeyNeeded {
            ciphertext: b"hush".to_vec(),
            key_id: "alias/session".to_owned(),
            encryption_context: [("name".to_owned(), "value".to_owned())].into(),
        },
        AgentEvent::Resize(SIZE),
        AgentEvent::Flag(ControlFlag::TERMINATE_SESSION.0),
        AgentEvent::Writable,
        AgentEvent::Failed("timed out".to_owned()),
        AgentEvent::ChannelClosed,
        AgentEvent::Drained,
    ];
    let shown = agent.map(|event| format!("{event:?}"));
    for (shown, word) in shown.iter().zip([
        "1.2.764.0",
        "alias/session",
        "80",
        "Flag(2)",
        "Writable",
        "timed out",
        "ChannelClosed",
        "Drained",
    ]) {
        assert!(shown.contains(word), "{shown}");
    }
}

#[test]
fn names_of_the_peer_reach_a_log_without_control_characters() {
    let strange = MessageType::new("a\u{1b}[2Jb").unwrap();
    assert_eq!(strange.to_string(), "a\\u{1b}[2Jb");
    assert!(!format!("{strange:?}").contains('\u{1b}'));
    assert_eq!(MessageType::ACKNOWLEDGE.to_string(), "acknowledge");
    assert_eq!(
        SessionType::new("Standard_Stream").to_string(),
        "Standard_Stream"
    );
    assert_eq!(Version::new("3.3.0.0").to_string(), "3.3.0.0");
}

#[test]
fn a_body_may_hold_anything_as_properties() {
    let mut client = Client::connected();
    let mut request = super::fixture::request("Port");
    let parameters = &mut request["RequestedClientActions"][0]["ActionParameters"];
    parameters["Properties"] = json!({"portNumber": "22", "new": [1, {"deep": null}]});
    let expected = parameters["Properties"].clone();
    client.json(PayloadType::HANDSHAKE_REQUEST, &request);
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    let events = client.events();
    let [Event::Established(established)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(established.properties, expected);
    assert!(!format!("{established:?}").contains("deep"));
}
