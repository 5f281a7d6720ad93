//! Multiplexed port sessions, as the one who owns the session sees them.

use std::time::Duration;

use bytes::Bytes;
use ssm_session_proto::CloseReason;
use ssm_session_proto::Event;
use ssm_session_proto::MAX_UNREAD;
use ssm_session_proto::MessageType;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::PayloadType;
use ssm_session_proto::PortForm;
use ssm_session_proto::Received;

use super::fixture::Client;
use crate::support::smux::Command;
use crate::support::smux::SmuxFrame;
use crate::support::smux::encoded;
use crate::support::smux::frames;

fn connected() -> Client {
    Client::in_port_session(PortForm::Multiplexed)
}

/// The smux frames sent since the last look; there is nothing else.
fn sent(client: &mut Client) -> Vec<SmuxFrame> {
    let payloads = client.payloads();
    assert!(payloads.iter().all(|(k, _)| *k == PayloadType::OUTPUT));
    let wire = payloads.iter().map(|(_, payload)| &payload[..]);
    frames(&wire.collect::<Vec<_>>().concat())
}

#[test]
fn there_are_streams_from_the_beginning_of_a_multiplexed_session_and_in_no_other() {
    let mut client = Client::connected();
    assert!(client.session.streams().is_none());
    assert!(connected().session.streams().is_some());
    for form in [PortForm::Stdio, PortForm::Basic] {
        let mut client = Client::in_port_session(form);
        assert!(client.session.streams().is_none(), "{form:?}");
        assert!(!client.session.is_saturated());
    }
    assert!(Client::in_shell().session.streams().is_none());
}

#[test]
fn what_streams_have_to_say_goes_out_when_the_session_is_drained() {
    let mut client = connected();
    let streams = client.streams();
    let [one, other] = [0, 1].map(|_| streams.open().unwrap());
    streams.write(one, Bytes::from_static(b"GET"));
    streams.finish(other);
    let expected = [
        (Command::Syn, one.0, &b""[..]),
        (Command::Push, one.0, b"GET"),
        (Command::Syn, other.0, b""),
        (Command::Fin, other.0, b""),
    ];
    let sent = sent(&mut client);
    let sent: Vec<_> = sent
        .iter()
        .map(|frame| (frame.command, frame.stream, &frame.data[..]))
        .collect();
    assert_eq!(sent, expected);
}

#[test]
fn input_of_the_session_itself_is_for_nobody() {
    let mut client = connected();
    assert_eq!(client.write(b"typed"), 5);
    assert_eq!(client.payloads(), []);
}

#[test]
fn old_agents_are_kept_alive_and_new_ones_need_it_not() {
    let mut client = Client::in_port_session_with(PortForm::Multiplexed, "3.1.1511.0");
    for _ in 0..3 {
        client.pass(Duration::from_millis(9_999));
        assert_eq!(client.payloads(), []);
        client.pass(Duration::from_millis(1));
        let messages = client.sent();
        let [nop] = &messages[..] else {
            panic!("{messages:?}");
        };
        assert_eq!(nop.payload[..], encoded(Command::Nop, 0, b""));
        client.acknowledge(nop.sequence_number.0);
    }
    let client = Client::in_port_session_with(PortForm::Multiplexed, "3.1.1512.0");
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn an_agent_that_speaks_no_smux_ends_the_session_and_the_reason_says_so() {
    for (garbage, words) in [
        (&b"SSH-2.0-OpenSSH_9.9\r\n"[..], "smux version 83"),
        (&[1, 7, 0, 0, 3, 0, 0, 0], "smux command 7"),
        (&[1, 1, 9, 0, 3, 0, 0, 0], "without data"),
    ] {
        let mut client = connected();
        let id = client.streams().open().unwrap();
        client.message(PayloadType::OUTPUT, garbage);
        let events = client.events();
        let [Event::Closed(CloseReason::ProtocolViolation(text))] = &events[..] else {
            panic!("{events:?}");
        };
        assert!(text.contains(words), "{text}");
        assert_eq!(client.streams().read(id), Received::Finished);
        assert_eq!(client.streams().open(), None);
    }
}

#[test]
fn what_has_arrived_can_be_read_after_the_session_is_over() {
    let mut client = connected();
    let id = client.streams().open().unwrap();
    client.message(PayloadType::OUTPUT, encoded(Command::Push, id.0, b"late"));
    client.aside(MessageType::CHANNEL_CLOSED, "{}");
    assert!(matches!(client.events()[..], [Event::Closed(_)]));
    let streams = client.streams();
    assert_eq!(streams.poll_event(), Some(MuxEvent::Readable(id)));
    assert_eq!(streams.read(id), Received::Data("late".into()));
}

#[test]
fn a_session_whose_only_stream_is_not_read_asks_for_a_pause() {
    let mut client = connected();
    let id = client.streams().open().unwrap();
    let frame = encoded(Command::Push, id.0, &[7; 60_000]);
    let mut sent = 0;
    while !client.session.is_saturated() {
        client.message(PayloadType::OUTPUT, frame.clone());
        sent += 60_000;
        assert!(sent <= MAX_UNREAD + 60_000, "{sent}");
    }
    assert!(sent > MAX_UNREAD - 200_000, "{sent}");
    let mut read = 0;
    while let Received::Data(data) = client.streams().read(id) {
        read += data.len();
    }
    assert_eq!(read, sent);
    assert!(!client.session.is_saturated());
}

/// After an outage, AWS's agent goes on at full speed and makes good its losses ten a second, so
/// that one message may free all that came in minutes.
#[test]
fn a_reader_is_not_overrun_by_what_one_missing_message_frees_and_the_end_waits_for_it() {
    let mut client = connected();
    let id = client.streams().open().unwrap();
    client.streams().open().unwrap();
    client.sent();
    let frame = encoded(Command::Push, id.0, &[7; 60_000]);
    let count = i64::try_from(5 * MAX_UNREAD / 60_000).unwrap();
    for number in (2..2 + count).rev() {
        client.numbered(number, PayloadType::OUTPUT, frame.clone());
    }
    client.aside(MessageType::CHANNEL_CLOSED, "{}");
    let mut arrived = 0;
    // Not read at first, for longer than it takes to find that there is more.
    client.pass(Duration::from_millis(400));
    loop {
        loop {
            match client.streams().read(id) {
                Received::Data(data) => arrived += data.len(),
                Received::Pending => break,
                other => panic!("{other:?} after {arrived} bytes"),
            }
        }
        if client.session.poll_timeout().is_none() {
            break;
        }
        assert_eq!(client.events(), [], "there is more to come");
        client.pass(Duration::ZERO);
    }
    assert_eq!(arrived, usize::try_from(count).unwrap() * 60_000);
    let closed = client.events();
    let expected = [Event::Closed(CloseReason::ChannelClosed {
        output: String::new(),
        incomplete: false,
    })];
    assert_eq!(closed, expected);
}

#[test]
fn streams_survive_a_new_web_socket() {
    let mut client = connected();
    let id = client.streams().open().unwrap();
    client.streams().write(id, Bytes::from_static(b"one"));
    let before = client.sent();
    client.session.handle_disconnected(client.now);
    client.streams().write(id, Bytes::from_static(b"two"));
    assert_eq!(client.sent(), []);
    let token = ssm_session_proto::Secret::new("next");
    client.session.handle_connected(&token, client.now);
    let after = client.sent();
    assert_eq!(after[0], before[0], "the same message again");
    let rest = frames(&after[1].payload);
    assert_eq!((rest.len(), &rest[0].data[..]), (1, &b"two"[..]));
}
