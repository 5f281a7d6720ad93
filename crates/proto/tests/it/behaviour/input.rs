//! What the user types, and when it goes out.

use std::time::Duration;

use bytes::Bytes;
use ssm_session_proto::Event;
use ssm_session_proto::PayloadType;
use ssm_session_proto::TerminalSize;

use super::fixture::Client;
use super::fixture::SIZE;
use super::fixture::request;

fn typed(payloads: &[(PayloadType, Bytes)]) -> Vec<&[u8]> {
    let output = payloads.iter().filter(|(k, _)| *k == PayloadType::OUTPUT);
    output.map(|(_, payload)| &payload[..]).collect()
}

#[test]
fn a_line_feed_typed_alone_reaches_a_shell_as_a_carriage_return() {
    let mut client = Client::in_shell();
    for piece in ["ls", "\n", "\n\n", "a\n", "\r"] {
        assert_eq!(client.write(piece.as_bytes()), piece.len());
    }
    let expected: [&[u8]; 5] = [b"ls", b"\r", b"\n\n", b"a\n", b"\r"];
    assert_eq!(typed(&client.payloads()), expected);
}

#[test]
fn a_line_feed_written_alone_stays_one_where_there_is_no_terminal() {
    for session_type in ["Port", "NonInteractiveCommands"] {
        let mut client = Client::in_session_of(session_type);
        client.write(b"\n");
        assert_eq!(typed(&client.payloads()), [b"\n"], "{session_type}");
    }
}

#[test]
fn a_line_feed_typed_before_the_session_is_known_is_judged_by_what_it_turns_out_to_be() {
    for (session_type, expected) in [("Port", b"\n"), ("Standard_Stream", b"\r")] {
        let mut client = Client::connected();
        client.write(b"\n");
        client.json(PayloadType::HANDSHAKE_REQUEST, &request(session_type));
        client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
        assert_eq!(typed(&client.payloads()), [expected], "{session_type}");
    }
}

#[test]
fn input_is_held_until_the_handshake_is_complete() {
    let mut client = Client::connected();
    client.write(b"early");
    assert_eq!(client.payloads(), []);
    client.json(PayloadType::HANDSHAKE_REQUEST, &request("Port"));
    client.write(b"later");
    let sent = client.payloads();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, PayloadType::HANDSHAKE_RESPONSE);
    assert!(!client.session.is_established());
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    assert!(client.session.is_established());
    assert_eq!(typed(&client.payloads()).concat(), b"earlylater");
}

#[test]
fn a_size_sent_before_the_handshake_is_sent_again_after_it() {
    let mut client = Client::connected();
    client.session.resize(SIZE, client.now);
    assert_eq!(client.payloads()[0].0, PayloadType::SIZE);
    client.json(PayloadType::HANDSHAKE_REQUEST, &request("Standard_Stream"));
    let other = TerminalSize { cols: 1, rows: 2 };
    client.session.resize(other, client.now);
    assert_eq!(client.payloads().len(), 1, "the response alone");
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    let expected = Bytes::from_static(br#"{"cols":1,"rows":2}"#);
    assert_eq!(client.payloads(), [(PayloadType::SIZE, expected)]);
}

#[test]
fn a_size_goes_out_once_until_it_changes() {
    let mut client = Client::in_shell();
    for _ in 0..3 {
        client.session.resize(SIZE, client.now);
    }
    let expected = Bytes::from_static(br#"{"cols":80,"rows":24}"#);
    assert_eq!(client.payloads(), [(PayloadType::SIZE, expected)]);
}

/// A program may read before it says anything; its user must be able to type.
#[test]
fn a_silent_session_is_taken_for_a_shell_once_its_agent_was_there_for_a_second_and_asked_nothing() {
    let mut client = Client::connected();
    client.session.resize(SIZE, client.now);
    client.write(b"password\n");
    assert_eq!(client.payloads().len(), 1);
    client.pass(Duration::from_secs(60));
    client.acknowledge(0);
    assert_eq!(client.events(), [], "the agent is there, and may ask yet");
    client.sent();
    client.pass(Duration::from_millis(999));
    assert_eq!(client.payloads(), []);
    client.pass(Duration::from_millis(1));
    assert_eq!(client.payloads().len(), 1, "the size, to see it once more");
    client.acknowledge(1);
    client.pass(Duration::from_millis(299));
    assert_eq!(client.events(), []);
    client.pass(Duration::from_millis(1));
    assert!(matches!(client.events()[..], [Event::Established(_)]));
    assert_eq!(typed(&client.payloads()), [b"password\n"]);
}

/// It may have been away all that time, and its request is to come yet.
#[test]
fn an_agent_that_does_not_show_itself_again_at_once_has_another_second_to_ask() {
    let mut client = Client::connected();
    client.session.resize(SIZE, client.now);
    client.sent();
    client.acknowledge(0);
    client.pass(Duration::from_secs(1));
    client.sent();
    client.pass(Duration::from_secs(60));
    client.acknowledge(1);
    client.pass(Duration::from_millis(999));
    assert_eq!(client.events(), []);
    client.pass(Duration::from_millis(1));
    assert!(matches!(client.events()[..], [Event::Established(_)]));
}

#[test]
fn a_handshake_that_comes_after_a_session_was_taken_for_a_shell_is_taken_up() {
    let mut client = Client::in_shell();
    client.json(PayloadType::HANDSHAKE_REQUEST, &request("Port"));
    assert!(!client.session.is_established());
    client.sent_json(PayloadType::HANDSHAKE_RESPONSE);
    client.write(b"held");
    assert_eq!(client.payloads(), []);
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    let events = client.events();
    let [Event::Established(established)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(established.session_type.as_str(), "Port");
    assert_eq!(typed(&client.payloads()), [b"held"]);
}

#[test]
fn a_writer_that_was_refused_is_told_when_there_is_room_and_nothing_is_lost() {
    let mut client = Client::in_shell();
    let data: Vec<u8> = (0..=255_u8).cycle().take(6_000_000).collect();
    let mut written = client.fill(&data);
    assert!(written < data.len());
    client.events();
    let mut arrived = Vec::new();
    let mut number = 0;
    while arrived.len() < data.len() {
        let sent = client.sent();
        assert!(!sent.is_empty(), "stuck at {}", arrived.len());
        for message in sent {
            assert_eq!(message.sequence_number.0, number);
            assert!(message.payload.len() <= 1024);
            arrived.extend_from_slice(&message.payload);
            client.acknowledge(number);
            number += 1;
        }
        for event in client.events() {
            assert_eq!(event, Event::Writable);
            written += client.fill(&data[written..]);
        }
    }
    assert!(arrived == data, "other bytes arrived");
}

#[test]
fn what_is_written_after_the_end_is_swallowed() {
    let mut client = Client::in_shell();
    client.aside(ssm_session_proto::MessageType::CHANNEL_CLOSED, "{}");
    assert_eq!(client.write(b"typed on"), 8);
    assert_eq!(client.payloads(), []);
}
