//! What port sessions of all forms have in common.

use bytes::Bytes;
use ssm_session_proto::CloseReason;
use ssm_session_proto::Event;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use ssm_session_proto::PortForm;

use super::fixture::Client;
use crate::support::smux;
use crate::support::smux::Command;

const FORMS: [PortForm; 3] = [PortForm::Stdio, PortForm::Basic, PortForm::Multiplexed];
const CONNECT_TO_PORT_ERROR: &[u8] = &[0, 0, 0, 3];

/// Hands bytes in as the form wants it.
fn write(client: &mut Client, form: PortForm, data: &[u8]) {
    if form == PortForm::Multiplexed {
        let streams = client.streams();
        let id = streams.open().unwrap();
        assert_eq!(streams.write(id, Bytes::copy_from_slice(data)), data.len());
    } else {
        assert_eq!(client.write(data), data.len());
    }
}

/// The user's bytes in what was sent.
fn carried(form: PortForm, payloads: &[(PayloadType, Bytes)]) -> Vec<u8> {
    let output = payloads.iter().filter(|(k, _)| *k == PayloadType::OUTPUT);
    let wire = output.map(|(_, payload)| &payload[..]).collect::<Vec<_>>();
    if form == PortForm::Multiplexed {
        let frames = smux::frames(&wire.concat());
        let data = frames.into_iter().flat_map(|frame| frame.data);
        return data.collect();
    }
    wire.concat()
}

#[test]
fn bytes_alone_and_in_pairs_pass_unchanged_in_every_form() {
    for form in FORMS {
        let mut client = Client::in_port_session(form);
        for first in 0..=u8::MAX {
            for data in [vec![first], vec![first, first ^ 0x07], vec![first, b'\n']] {
                write(&mut client, form, &data);
                let sent = client.sent();
                let payloads: Vec<_> = sent
                    .iter()
                    .map(|m| (m.payload_type, m.payload.clone()))
                    .collect();
                assert_eq!(carried(form, &payloads), data, "{form:?}");
                for message in sent {
                    client.acknowledge(message.sequence_number.0);
                }
            }
        }
    }
}

#[test]
fn output_of_every_byte_comes_out_unchanged_in_every_form() {
    let every: Vec<u8> = (0..=u8::MAX).collect();
    for form in [PortForm::Stdio, PortForm::Basic] {
        let mut client = Client::in_port_session(form);
        for byte in &every {
            client.message(PayloadType::OUTPUT, vec![*byte]);
        }
        let out = client.events().into_iter().flat_map(|event| match event {
            Event::Output { data, .. } => data,
            other => panic!("{other:?}"),
        });
        assert_eq!(out.collect::<Vec<u8>>(), every, "{form:?}");
    }
}

#[test]
fn leaving_sends_the_flag_behind_what_was_written_in_every_form() {
    for form in FORMS {
        let mut client = Client::in_port_session(form);
        write(&mut client, form, b"last words");
        let mut sent = client.payloads();
        client.session.terminate(client.now);
        sent.extend(client.payloads());
        assert_eq!(carried(form, &sent), b"last words", "{form:?}");
        let flag = Bytes::from_static(&[0, 0, 0, 2]);
        assert_eq!(sent.last(), Some(&(PayloadType::FLAG, flag)), "{form:?}");
        for number in 1..=i64::try_from(sent.len()).unwrap() {
            client.acknowledge(number);
        }
        assert_eq!(client.events(), [], "the service has the last word");
        client.aside(MessageType::CHANNEL_CLOSED, "{}");
        let events = client.events();
        let closed = Event::Closed(CloseReason::ChannelClosed {
            output: String::new(),
            incomplete: false,
        });
        assert_eq!(events, [closed], "{form:?}");
    }
}

#[test]
fn an_agent_without_the_flag_is_left_once_everything_has_arrived() {
    for form in [PortForm::Stdio, PortForm::Basic] {
        let mut client = Client::in_port_session_with(form, "2.3.722.0");
        client.write(b"last words");
        client.session.terminate(client.now);
        let sent = client.payloads();
        assert_eq!(sent.len(), 1, "{form:?}: no flag");
        assert_eq!(client.events(), []);
        client.acknowledge(1);
        let events = client.events();
        assert_eq!(events, [Event::Closed(CloseReason::Terminated)], "{form:?}");
    }
}

#[test]
fn a_connection_that_the_agent_could_not_make_is_told_in_every_form() {
    for form in FORMS {
        let mut client = Client::in_port_session(form);
        client.message(PayloadType::FLAG, CONNECT_TO_PORT_ERROR);
        assert_eq!(client.events(), [Event::ConnectionRefused], "{form:?}");
        for other in [&b""[..], &[3], &[0, 0, 0, 9]] {
            client.message(PayloadType::FLAG, other);
            assert_eq!(client.events(), [], "{form:?} {other:?}");
        }
        assert_eq!(client.acknowledged().len(), 4);
    }
}

#[test]
fn words_of_the_agent_that_are_no_data_reach_nobody() {
    for form in FORMS {
        let mut client = Client::in_port_session(form);
        for kind in [0, 2, 3, 4, 7, 99] {
            client.message(PayloadType(kind), "words");
            assert_eq!(client.events(), [], "{form:?} {kind}");
        }
        let frame = smux::encoded(Command::Nop, 0, b"");
        if form == PortForm::Multiplexed {
            client.message(PayloadType::OUTPUT, frame);
            assert_eq!(client.events(), []);
        }
    }
}
