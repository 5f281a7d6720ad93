//! Messages that cannot be used: dropped one by one, too many of them in a row end a client.

use bytes::Bytes;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::CloseReason;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::MessageType;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;

use super::fixture::Agent;
use super::fixture::Client;
use super::fixture::SIZE;
use super::fixture::challenge;
use super::fixture::challenge_body;
use super::fixture::key;
use crate::support::seal;
use crate::support::seal::Direction;
use crate::support::wire;

fn garbage() -> Frame {
    Frame::Binary(Bytes::from_static(b"no message"))
}

fn output(data: impl Into<Bytes>) -> Event {
    Event::Output {
        stream: OutputStream::Stdout,
        data: data.into(),
    }
}

#[test]
fn thirty_two_bad_messages_in_a_row_end_a_client_and_the_reason_says_so() {
    let mut client = Client::in_shell();
    for _ in 0..31 {
        client.frame(&garbage());
    }
    assert_eq!(client.events(), []);
    client.frame(&garbage());
    let events = client.events();
    let [Event::Closed(CloseReason::ProtocolViolation(reason))] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(reason.contains("32 unusable messages"), "{reason}");
    client.message(PayloadType::OUTPUT, "too late");
    assert_eq!(client.events(), []);
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn a_good_message_in_between_starts_the_count_again() {
    let good = [
        wire::aside(MessageType::START_PUBLICATION, ""),
        wire::aside(MessageType::new("telemetry").unwrap(), ""),
        wire::frame(MessageType::OUTPUT_STREAM_DATA, 1, PayloadType::OUTPUT, "x"),
    ];
    let mut client = Client::in_shell();
    for frame in good {
        for _ in 0..31 {
            client.frame(&garbage());
        }
        client.frame(&frame);
    }
    assert_eq!(client.events(), [output("x")]);
}

#[test]
fn an_acknowledgement_that_cannot_be_read_counts_as_bad() {
    let mut client = Client::in_shell();
    for _ in 0..32 {
        client.aside(MessageType::ACKNOWLEDGE, "[]");
    }
    assert!(matches!(client.events()[..], [Event::Closed(_)]));
    let mut agent = Agent::running();
    for _ in 0..100 {
        agent.aside(MessageType::ACKNOWLEDGE, "[]");
        agent.frame(&garbage());
    }
    assert_eq!(agent.events(), []);
}

#[test]
fn a_message_in_a_text_frame_is_as_good() {
    let mut client = Client::in_shell();
    let frame = wire::frame(MessageType::OUTPUT_STREAM_DATA, 1, PayloadType::OUTPUT, "x");
    client.frame(&Frame::Text(frame.as_bytes().clone()));
    assert_eq!(client.events(), [output("x")]);
}

#[test]
fn payloads_of_unknown_type_are_acknowledged_and_not_shown() {
    let mut client = Client::in_shell();
    client.message(PayloadType(99), "what");
    client.message(PayloadType::OUTPUT, "x");
    assert_eq!(client.acknowledged(), [1, 2]);
    assert_eq!(client.events(), [output("x")]);
    let mut agent = Agent::running();
    agent.message(PayloadType(99), "what");
    agent.message(PayloadType::OUTPUT, "x");
    assert_eq!(agent.acknowledged(), [0, 1]);
    assert_eq!(agent.events(), [AgentEvent::Input("x".into())]);
}

#[test]
fn empty_payloads_are_acknowledged() {
    let mut client = Client::in_shell();
    client.message(PayloadType::OUTPUT, "");
    assert_eq!(client.acknowledged(), [1]);
}

#[test]
fn messages_of_the_other_direction_are_ignored() {
    let mut client = Client::in_shell();
    let input = wire::frame(MessageType::INPUT_STREAM_DATA, 1, PayloadType::OUTPUT, "x");
    client.frame(&input);
    assert_eq!((client.events(), client.acknowledged()), (vec![], vec![]));
    let mut agent = Agent::running();
    let output = wire::frame(MessageType::OUTPUT_STREAM_DATA, 0, PayloadType::OUTPUT, "x");
    agent.frame(&output);
    assert_eq!((agent.events(), agent.acknowledged()), (vec![], vec![]));
}

#[test]
fn an_exit_code_that_cannot_be_read_is_shown_as_it_came() {
    let mut client = Client::in_session_of("NonInteractiveCommands");
    client.message(PayloadType::EXIT_CODE, "EXIT_CODE: many");
    client.message(PayloadType::EXIT_CODE, "EXIT_CODE: -1");
    let expected = [output("EXIT_CODE: many"), Event::ExitCode(-1)];
    assert_eq!(client.events(), expected);
}

#[test]
fn a_size_or_flag_that_cannot_be_read_is_not_acknowledged_and_a_good_one_takes_its_number() {
    let mut agent = Agent::running();
    agent.numbered(0, PayloadType::SIZE, "{}");
    agent.numbered(0, PayloadType::FLAG, vec![0, 0, 2]);
    assert_eq!((agent.events(), agent.acknowledged()), (vec![], vec![]));
    agent.message(PayloadType::SIZE, r#"{"cols":80,"rows":24}"#);
    agent.message(PayloadType::FLAG, vec![0, 0, 0, 2]);
    let expected = [AgentEvent::Resize(SIZE), AgentEvent::Flag(2)];
    assert_eq!(agent.events(), expected);
    assert_eq!(agent.acknowledged(), [0, 1]);
}

/// Behind an encrypted handshake, nothing typed yet.
fn encrypted_client() -> Client {
    let mut client = Client::asking_for_key();
    client.session.handle_data_key(Ok(key()), client.now);
    let bytes = seal::seal(&key().plaintext, Direction::FromAgent, &[9; 64]);
    client.json(
        PayloadType::ENCRYPTION_CHALLENGE_REQUEST,
        &challenge_body(&bytes),
    );
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    assert!(client.session.is_established());
    client.events();
    assert_eq!(client.sent().len(), 2);
    assert_eq!(client.acknowledged(), [1, 2]);
    client
}

#[test]
fn output_that_does_not_open_is_not_acknowledged_and_good_output_takes_its_number() {
    let mut client = encrypted_client();
    for bad in [
        vec![],
        vec![0; 11],
        vec![0; 28],
        b"in clear, and long enough".to_vec(),
    ] {
        client.numbered(3, PayloadType::OUTPUT, bad);
    }
    assert_eq!((client.events(), client.acknowledged()), (vec![], vec![]));
    let good = seal::seal(&key().plaintext, Direction::FromAgent, b"$ ");
    client.message(PayloadType::OUTPUT, good);
    assert_eq!(client.events(), [output("$ ")]);
    assert_eq!(client.acknowledged(), [3]);
}

/// It was acknowledged when it came, so that the agent does not send it again.
#[test]
fn early_output_that_does_not_open_in_its_turn_ends_the_session() {
    let mut client = encrypted_client();
    client.numbered(4, PayloadType::OUTPUT, vec![0; 40]);
    assert_eq!(client.acknowledged(), [4]);
    let good = seal::seal(&key().plaintext, Direction::FromAgent, b"$ ");
    client.message(PayloadType::OUTPUT, good);
    let events = client.events();
    assert_eq!(events[0], output("$ "));
    assert!(
        matches!(
            events[1..],
            [Event::Closed(CloseReason::ProtocolViolation(_))]
        ),
        "{events:?}"
    );
}

#[test]
fn input_goes_out_under_the_clients_key_and_sizes_in_clear() {
    let mut client = encrypted_client();
    client.session.resize(SIZE, client.now);
    client.write(b"ls\r");
    client.write(b"\n");
    let sent = client.payloads();
    let opened = |payload: &[u8]| seal::open(&key().plaintext, Direction::FromClient, payload);
    assert_eq!(sent[0].0, PayloadType::SIZE);
    assert_eq!(&sent[0].1[..], br#"{"cols":80,"rows":24}"#);
    assert_eq!(opened(&sent[1].1).unwrap(), b"ls\r");
    assert_eq!(opened(&sent[2].1).unwrap(), b"\r");
    assert_ne!(sent[1].1[..12], sent[2].1[..12], "a nonce is used once");
}

#[test]
fn input_that_does_not_open_is_not_acknowledged_and_good_input_takes_its_number() {
    let mut agent = Agent::opening_key();
    agent.session.handle_data_key(Ok(key()), agent.now);
    let asked = agent.sent_json(PayloadType::ENCRYPTION_CHALLENGE_REQUEST);
    let bytes = seal::open(&key().plaintext, Direction::FromAgent, &challenge(&asked)).unwrap();
    let answer = seal::seal(&key().plaintext, Direction::FromClient, &bytes);
    agent.json(
        PayloadType::ENCRYPTION_CHALLENGE_RESPONSE,
        &challenge_body(&answer),
    );
    assert!(matches!(agent.events()[..], [AgentEvent::Started { .. }]));
    agent.session.accept_input();
    assert_eq!(agent.acknowledged(), [0, 1]);
    for length in 0..=28 {
        agent.numbered(2, PayloadType::OUTPUT, vec![0; length]);
    }
    assert_eq!((agent.events(), agent.acknowledged()), (vec![], vec![]));
    let good = seal::seal(&key().plaintext, Direction::FromClient, b"ls\r");
    agent.message(PayloadType::OUTPUT, good);
    assert_eq!(agent.events(), [AgentEvent::Input("ls\r".into())]);
    assert_eq!(agent.acknowledged(), [2]);
}
