//! Messages in numbers that no peer sends. Whatever a session keeps of them is bounded, and it
//! works afterwards.

use std::time::Instant;

use ssm_session_proto::Acknowledge;
use ssm_session_proto::AgentSession;
use ssm_session_proto::ClientSession;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::OVERHEAD;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Secret;

use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::ends::End;
use crate::support::ends::Sent;
use crate::support::memory::live;
use crate::support::wire;
use crate::support::wire::aside;

const FLOOD: i64 = 100_000;
const INPUT: MessageType = MessageType::INPUT_STREAM_DATA;
const OUTPUT: MessageType = MessageType::OUTPUT_STREAM_DATA;
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Most payload bytes that come early and are kept, and what it takes to keep them.
const EARLY: usize = 64 * MIB + 4 * MIB;

fn client() -> ClientSession {
    let mut client = ends::client(ends::SESSION, [3; 32]);
    client.handle_connected(&Secret::new("token"), epoch());
    receive(
        &mut client,
        &wire::frame(OUTPUT, 0, PayloadType::OUTPUT, "$ "),
    );
    client
}

fn agent() -> AgentSession {
    let mut agent = ends::agent(ends::agent_config(), [4; 32]);
    agent.handle_connected(&Secret::new("token"), epoch());
    agent.accept_input();
    receive(
        &mut agent,
        &wire::frame(INPUT, 0, PayloadType::OUTPUT, "ls\r"),
    );
    agent
}

/// Hands in a frame and throws away what comes of it.
fn receive(end: &mut impl End, frame: &Frame) -> usize {
    end.frame(frame, epoch());
    let mut sent = 0;
    while end.transmit(epoch()).is_some() {
        sent += 1;
    }
    while end.event().is_some() {}
    sent
}

/// Floods an end, drives it as it should be driven, and says how many bytes stay with it.
fn flood(end: &mut impl End, frames: impl Iterator<Item = Frame>) -> usize {
    let before = live();
    for frame in frames {
        receive(end, &frame);
    }
    live() - before
}

fn assert_works(end: &mut impl End, data: MessageType) {
    let frame = wire::frame(data, 1, PayloadType::OUTPUT, "x");
    end.frame(&frame, epoch());
    assert!(end.event().is_some(), "data of the next message");
    let mut sent = Sent::default();
    sent.drain(end, epoch());
    assert_eq!(sent.acknowledged.last().map(|(_, number)| *number), Some(1));
}

#[test]
fn acknowledgements_of_anything_leave_nothing_behind() {
    let body = |number: i64| {
        format!(
            r#"{{"AcknowledgedMessageType":"input_stream_data","AcknowledgedMessageId":"x","AcknowledgedMessageSequenceNumber":{},"IsSequentialMessage":true}}"#,
            number.wrapping_mul(0x5851_f42d_4c95_7f2d)
        )
    };
    let frames = || (0..FLOOD).map(|n| aside(MessageType::ACKNOWLEDGE, body(n)));
    let mut client = client();
    assert!(flood(&mut client, frames()) < KIB);
    assert_works(&mut client, OUTPUT);
    let mut agent = agent();
    assert!(flood(&mut agent, frames()) < KIB);
    assert_works(&mut agent, INPUT);
}

/// The connection is blocked all the while, so that no acknowledgement leaves.
#[test]
fn repetitions_that_cannot_be_acknowledged_yet_are_bounded() {
    fn repeat(end: &mut impl End, data: MessageType) {
        let repeated = wire::frame(data, 0, PayloadType::OUTPUT, "$ ");
        let before = live();
        for _ in 0..FLOOD {
            end.frame(&repeated, epoch());
            assert!(end.event().is_none());
        }
        assert!(live() - before < 4 * MIB);
        let mut sent = Sent::default();
        sent.drain(end, epoch());
        assert!(sent.acknowledged.iter().all(|(_, number)| *number == 0));
        assert!(!sent.acknowledged.is_empty());
        drop(sent);
        assert!(live() - before < 2 * MIB);
        assert_works(end, data);
    }
    repeat(&mut client(), OUTPUT);
    repeat(&mut agent(), INPUT);
}

#[test]
fn messages_of_unknown_type_leave_nothing_behind() {
    let frames = || {
        (0..FLOOD).map(|n| {
            let name = format!("type_{}", n % 1000);
            wire::frame(MessageType::new(&name).unwrap(), n, PayloadType(7), "{}")
        })
    };
    let mut client = client();
    assert!(flood(&mut client, frames()) < KIB);
    assert_works(&mut client, OUTPUT);
    let mut agent = agent();
    assert!(flood(&mut agent, frames()) < KIB);
    assert_works(&mut agent, INPUT);
}

#[test]
fn publication_that_flickers_leaves_nothing_behind() {
    let types = [
        MessageType::PAUSE_PUBLICATION,
        MessageType::START_PUBLICATION,
    ];
    let frames = || (0..FLOOD).map(|n| aside(types[usize::from(n % 2 == 0)], ""));
    let mut client = client();
    assert!(flood(&mut client, frames()) < KIB);
    assert_works(&mut client, OUTPUT);
    let mut agent = agent();
    assert!(flood(&mut agent, frames()) < KIB);
    assert_works(&mut agent, INPUT);
}

#[test]
fn messages_a_million_ahead_are_neither_kept_nor_acknowledged() {
    fn ahead(end: &mut impl End, data: MessageType) {
        let before = live();
        for number in 1_000_000..1_000_000 + FLOOD {
            let frame = wire::frame(data, number, PayloadType::OUTPUT, "far");
            assert_eq!(receive(end, &frame), 0);
        }
        assert!(live() - before < KIB);
        assert_works(end, data);
    }
    ahead(&mut client(), OUTPUT);
    ahead(&mut agent(), INPUT);
}

#[test]
fn early_messages_are_kept_up_to_a_bound_of_bytes() {
    fn early(end: &mut impl End, data: MessageType) {
        let payload = vec![b'x'; 256 * KIB];
        let mut kept = 0;
        let frames = (2..402).map(|n| wire::frame(data, n, PayloadType::OUTPUT, payload.clone()));
        let before = live();
        for frame in frames {
            kept += receive(end, &frame);
        }
        assert!(live() - before < EARLY, "{} bytes", live() - before);
        assert!(kept > 200, "{kept} messages were acknowledged");
        end.frame(&wire::frame(data, 1, PayloadType::OUTPUT, "first"), epoch());
        let mut delivered = ends::events(end).len();
        // The rest in turns.
        while end.timeout().is_some_and(|at| at <= epoch()) {
            end.time(epoch());
            delivered += ends::events(end).len();
        }
        assert_eq!(delivered, kept + 1, "what was acknowledged is delivered");
        assert_eq!(receive(end, &aside(MessageType::START_PUBLICATION, "")), 1);
        let held = live() - before;
        assert!(held < MIB, "{held} bytes are held of what was delivered");
    }
    early(&mut client(), OUTPUT);
    early(&mut agent(), INPUT);
}

/// Least memory for each, so that it is their number that counts.
#[test]
fn early_messages_without_content_are_kept_up_to_a_bound_of_messages() {
    fn early(end: &mut impl End, data: MessageType) {
        let before = live();
        let frames = (2..2 + 2 * FLOOD).map(|n| wire::frame(data, n, PayloadType(0), ""));
        let kept: usize = frames.map(|frame| receive(end, &frame)).sum();
        assert_eq!(
            kept, 99_999,
            "up to 100,000 ahead of the one that is missing"
        );
        assert!(live() - before < EARLY);
        assert_works(end, data);
    }
    early(&mut client(), OUTPUT);
    early(&mut agent(), INPUT);
}

/// A header may say that it is longer than the one everybody sends, and the payload that is left
/// may be as short as one byte: what counts is what is kept.
#[test]
fn early_messages_with_long_headers_are_kept_up_to_the_same_bound() {
    fn early(end: &mut impl End, data: MessageType) {
        let before = live();
        for number in 2..2002 {
            end.frame(&long_header(data, number), epoch());
            let held = live() - before;
            assert!(held < EARLY, "{held} bytes after {number} messages");
        }
    }
    early(&mut client(), OUTPUT);
    early(&mut agent(), INPUT);
}

/// A message of 64 KiB whose payload is its last byte.
fn long_header(data: MessageType, number: i64) -> Frame {
    let mut bytes = wire::message(data, number, PayloadType::OUTPUT, "x")
        .encode()
        .to_vec();
    bytes.splice(OVERHEAD..OVERHEAD, vec![0; 64 * KIB - bytes.len()]);
    let length = u32::try_from(bytes.len() - 5).unwrap();
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    let frame = bytes.into();
    assert_eq!(Message::decode(&frame).unwrap().payload, &b"x"[..]);
    Frame::Binary(frame)
}

#[test]
fn input_before_the_program_runs_is_neither_kept_nor_acknowledged() {
    let mut agent = ends::agent(ends::agent_config(), [4; 32]);
    agent.handle_connected(&Secret::new("token"), epoch());
    let frame = wire::frame(INPUT, 0, PayloadType::OUTPUT, "typed");
    receive(&mut agent, &aside(MessageType::START_PUBLICATION, ""));
    let before = live();
    for _ in 0..FLOOD {
        assert_eq!(receive(&mut agent, &frame), 0);
    }
    assert!(live() - before < KIB);
    agent.accept_input();
    assert_eq!(receive(&mut agent, &frame), 1, "now it is acknowledged");
}

#[test]
fn handshake_requests_without_end_are_answered_once() {
    let mut client = client();
    let body = r#"{"AgentVersion":"3.3.0.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":{"SessionType":"Port"}}]}"#;
    let before = live();
    let mut answers = 0;
    for number in 1..=FLOOD {
        let frame = wire::frame(OUTPUT, number, PayloadType::HANDSHAKE_REQUEST, body);
        client.handle_frame(&frame, epoch());
        let mut sent = Sent::default();
        sent.drain(&mut client, epoch());
        answers += sent.stream.len();
    }
    assert_eq!(answers, 1);
    assert_eq!(ends::events(&mut client), []);
    assert!(live() - before < 4 * KIB);
}

#[test]
fn an_agent_outlives_any_number_of_bad_messages_and_a_client_says_why_it_does_not() {
    let bad = |n: i64| Frame::Binary(vec![0xff; usize::try_from(n % 300).unwrap()].into());
    let mut agent = agent();
    assert!(flood(&mut agent, (0..FLOOD).map(bad)) < KIB);
    assert_works(&mut agent, INPUT);
    let mut client = client();
    let mut closed = Vec::new();
    let before = live();
    for number in 0..FLOOD {
        client.handle_frame(&bad(number), epoch());
        closed.extend(ends::events(&mut client));
        assert!(client.poll_transmit(epoch()).is_none());
    }
    assert!(matches!(&closed[..], [Event::Closed(_)]), "{closed:?}");
    assert!(live() - before < 4 * KIB);
}

/// A peer that never acknowledges does not make its end hoard what it has to say.
#[test]
fn what_is_written_and_never_acknowledged_is_bounded() {
    let mut client = client();
    let before = live();
    let data = vec![b'x'; 64 * KIB];
    let mut taken = 0;
    let mut now: Instant = epoch();
    for _ in 0..1000 {
        now += MS;
        taken += client.write(&data, now);
        while client.poll_transmit(now).is_some() {}
    }
    assert!(taken < 16 * MIB, "{taken} bytes");
    assert!(live() - before < 16 * MIB, "{} bytes", live() - before);
}

/// Their bytes alone would let four times as many go.
#[test]
fn single_bytes_that_are_typed_and_never_acknowledged_are_bounded_by_their_number() {
    let mut client = client();
    let now = widen(&mut client);
    let mut sent = Sent::default();
    for _ in 0..10_000 {
        client.write(b"x", now);
        sent.drain(&mut client, now);
    }
    assert_eq!(sent.stream.len(), 4096);
}

/// Sends and acknowledges until the congestion window is as wide as it gets; the time then.
fn widen(client: &mut ClientSession) -> Instant {
    let data = vec![b'x'; 64 * KIB];
    let mut now = epoch();
    for _ in 0..60 {
        let mut sent = Sent::default();
        while client.write(&data, now) > 0 {
            sent.drain(client, now);
        }
        now += 50 * MS;
        acknowledge(client, &sent, now);
    }
    loop {
        let mut sent = Sent::default();
        sent.drain(client, now);
        if sent.stream.is_empty() {
            return now;
        }
        now += 50 * MS;
        acknowledge(client, &sent, now);
    }
}

fn acknowledge(client: &mut ClientSession, sent: &Sent, now: Instant) {
    for message in &sent.stream {
        let body = Acknowledge::of(message).to_json();
        client.handle_frame(&aside(MessageType::ACKNOWLEDGE, body), now);
    }
}
