//! Port sessions of old agents: one connection after the other.

use bytes::Bytes;
use ssm_session_proto::Event;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;
use ssm_session_proto::PortForm;

use super::fixture::Client;

const DISCONNECT: &[u8] = &[0, 0, 0, 1];
const TERMINATE: &[u8] = &[0, 0, 0, 2];

fn connected() -> Client {
    Client::in_port_session(PortForm::Basic)
}

fn output(data: &'static [u8]) -> Event {
    Event::Output {
        stream: OutputStream::Stdout,
        data: Bytes::from_static(data),
    }
}

fn flag(number: &'static [u8]) -> (PayloadType, Bytes) {
    (PayloadType::FLAG, Bytes::from_static(number))
}

fn data(data: &'static [u8]) -> (PayloadType, Bytes) {
    (PayloadType::OUTPUT, Bytes::from_static(data))
}

#[test]
fn a_connection_ends_behind_what_was_written_and_the_next_begins_with_a_write() {
    let mut client = connected();
    client.write(b"first");
    client.session.disconnect_port(client.now);
    assert_eq!(client.payloads(), [data(b"first"), flag(DISCONNECT)]);
    client.acknowledge(2);
    assert_eq!(client.events(), [], "what was written has yet to arrive");
    client.acknowledge(1);
    assert_eq!(client.events(), [Event::PortDisconnected]);
    client.write(b"second");
    assert_eq!(client.payloads(), [data(b"second")]);
    client.message(PayloadType::OUTPUT, "answer");
    assert_eq!(client.events(), [output(b"answer")]);
}

#[test]
fn what_comes_late_from_a_connection_is_for_nobody() {
    let mut client = connected();
    client.write(b"first");
    client.message(PayloadType::OUTPUT, "in time");
    assert_eq!(client.events(), [output(b"in time")]);
    client.session.disconnect_port(client.now);
    client.message(PayloadType::OUTPUT, "while it closes");
    client.sent();
    client.acknowledge(1);
    client.acknowledge(2);
    client.message(PayloadType::OUTPUT, "after it closed");
    assert_eq!(client.events(), [Event::PortDisconnected]);
    assert_eq!(client.acknowledged().len(), 3, "all of it is acknowledged");
    client.write(b"second");
    client.message(PayloadType::OUTPUT, "of the second");
    assert_eq!(client.events(), [output(b"of the second")]);
}

#[test]
fn a_connection_is_ended_once() {
    let mut client = connected();
    for _ in 0..3 {
        client.session.disconnect_port(client.now);
    }
    assert_eq!(client.payloads(), [flag(DISCONNECT)]);
    client.acknowledge(1);
    assert_eq!(client.events(), [Event::PortDisconnected]);
    client.session.disconnect_port(client.now);
    assert_eq!(client.payloads(), [], "there is none");
}

#[test]
fn a_flag_waits_behind_bytes_there_was_no_room_for() {
    let mut client = connected();
    let long: Vec<u8> = (0..=250_u8).cycle().take(1_000_000).collect();
    let taken = client.fill(&long);
    assert!(taken < long.len());
    client.session.disconnect_port(client.now);
    let (mut arrived, mut flags) = (Vec::new(), 0);
    loop {
        let sent = client.sent();
        if sent.is_empty() {
            break;
        }
        for message in sent {
            assert_eq!(flags, 0, "nothing comes behind the flag");
            match message.payload_type {
                PayloadType::OUTPUT => arrived.extend_from_slice(&message.payload),
                PayloadType::FLAG => flags += 1,
                PayloadType::SIZE => {} // A larger payload is tried out.
                other => panic!("{other:?}"),
            }
            client.acknowledge(message.sequence_number.0);
        }
    }
    assert_eq!(flags, 1);
    assert!(arrived == long[..taken], "{} of {taken}", arrived.len());
    assert!(client.events().contains(&Event::PortDisconnected));
}

#[test]
fn a_session_can_end_while_a_connection_does() {
    let mut client = connected();
    client.write(b"first");
    client.session.disconnect_port(client.now);
    client.session.terminate(client.now);
    let expected = [data(b"first"), flag(DISCONNECT), flag(TERMINATE)];
    assert_eq!(client.payloads(), expected);
}

#[test]
fn a_connection_that_ends_survives_a_new_web_socket() {
    let mut client = connected();
    client.write(b"first");
    client.session.disconnect_port(client.now);
    let before = client.sent();
    client.session.handle_disconnected(client.now);
    client.message(PayloadType::OUTPUT, "late");
    let token = ssm_session_proto::Secret::new("next");
    client.session.handle_connected(&token, client.now);
    assert_eq!(client.sent(), before, "both again");
    client.acknowledge(1);
    client.acknowledge(2);
    assert_eq!(client.events(), [Event::PortDisconnected]);
}

#[test]
fn other_forms_have_no_connection_to_end() {
    for form in [PortForm::Stdio, PortForm::Multiplexed] {
        let mut client = Client::in_port_session(form);
        client.session.disconnect_port(client.now);
        assert_eq!((client.payloads(), client.events()), (vec![], vec![]));
    }
    let mut client = Client::in_shell();
    client.session.disconnect_port(client.now);
    assert_eq!((client.payloads(), client.events()), (vec![], vec![]));
}
