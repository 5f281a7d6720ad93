//! How sessions end, from either side.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::CloseReason;
use ssm_session_proto::Event;
use ssm_session_proto::MessageType;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;

use super::fixture::Agent;
use super::fixture::Client;
use super::fixture::request;

const TERMINATED: Event = Event::Closed(CloseReason::Terminated);

fn closed(output: &str) -> Event {
    let output = output.to_owned();
    Event::Closed(CloseReason::ChannelClosed {
        output,
        incomplete: false,
    })
}

#[test]
fn output_that_is_missing_when_the_channel_closes_is_told() {
    let mut client = Client::in_shell();
    let first = client.message(PayloadType::OUTPUT, "one");
    client.numbered(first + 2, PayloadType::OUTPUT, "three");
    assert_eq!(client.events().len(), 1, "what is behind a gap waits");
    client.aside(MessageType::CHANNEL_CLOSED, "{}");
    let reason = CloseReason::ChannelClosed {
        output: String::new(),
        incomplete: true,
    };
    assert_eq!(client.events(), [Event::Closed(reason)]);
}

#[test]
fn leaving_a_shell_waits_until_what_was_typed_has_arrived() {
    let mut client = Client::in_shell();
    client.write(b"exit\r");
    client.session.terminate(client.now);
    let sent = client.sent();
    assert_eq!(sent.len(), 1, "there is no message that ends a shell");
    assert_eq!(client.events(), []);
    client.acknowledge(0);
    assert_eq!(client.events(), [TERMINATED]);
    client.session.terminate(client.now);
    assert_eq!(client.events(), []);
}

#[test]
fn leaving_a_session_that_never_came_up_ends_it_at_once() {
    let mut client = Client::connected();
    client.session.terminate(client.now);
    assert_eq!(client.events(), [TERMINATED]);
}

#[test]
fn leaving_a_port_session_sends_the_flag_once_and_waits_for_the_service() {
    let mut client = Client::in_session_of("Port");
    for _ in 0..2 {
        client.session.terminate(client.now);
    }
    let flag = Bytes::from_static(&[0, 0, 0, 2]);
    assert_eq!(client.payloads(), [(PayloadType::FLAG, flag)]);
    client.acknowledge(1);
    assert_eq!(client.events(), []);
    client.aside(MessageType::CHANNEL_CLOSED, "{}");
    assert_eq!(client.events(), [closed("")]);
}

#[test]
fn an_agent_too_old_for_the_flag_is_not_sent_it() {
    let mut client = Client::connected();
    let mut request = request("Port");
    request["AgentVersion"] = json!("2.3.722.0");
    client.json(PayloadType::HANDSHAKE_REQUEST, &request);
    client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
    client.sent();
    client.session.terminate(client.now);
    assert_eq!(client.payloads(), []);
}

#[test]
fn leaving_a_command_without_terminal_interrupts_it() {
    let mut client = Client::in_session_of("NonInteractiveCommands");
    client.session.terminate(client.now);
    let interrupt = Bytes::from_static(b"\x03");
    assert_eq!(client.payloads(), [(PayloadType::OUTPUT, interrupt)]);
    client.acknowledge(1);
    assert_eq!(client.events(), [], "the command has yet to end");
}

#[test]
fn a_command_is_interrupted_even_if_no_more_input_was_taken() {
    let mut client = Client::in_session_of("NonInteractiveCommands");
    let data = vec![b'x'; 8_000_000];
    let taken = client.fill(&data);
    assert!(taken < data.len());
    client.session.terminate(client.now);
    let mut arrived = Vec::new();
    loop {
        let sent = client.sent();
        if sent.is_empty() {
            break;
        }
        for message in sent {
            arrived.extend_from_slice(&message.payload);
            client.acknowledge(message.sequence_number.0);
        }
    }
    assert_eq!(arrived.last(), Some(&3));
    assert_eq!(arrived.len(), taken + 1);
}

#[test]
fn the_services_words_come_with_the_end() {
    let mut client = Client::in_shell();
    let output = json!({"SessionId": "s", "Output": "session timed out"});
    client.aside(MessageType::CHANNEL_CLOSED, output.to_string());
    assert_eq!(client.events(), [closed("session timed out")]);
    client.aside(MessageType::CHANNEL_CLOSED, "{}");
    client.message(PayloadType::OUTPUT, "afterwards");
    assert_eq!((client.events(), client.acknowledged()), (vec![], vec![]));
}

#[test]
fn an_end_that_cannot_be_read_is_still_the_end() {
    for body in ["", "garbage", "[1]", r#"{"Output":7}"#] {
        let mut client = Client::in_shell();
        client.aside(MessageType::CHANNEL_CLOSED, body);
        assert_eq!(client.events(), [closed("")], "{body}");
    }
}

fn write(agent: &mut Agent, data: &[u8]) {
    let taken = agent.session.write(OutputStream::Stdout, data, agent.now);
    assert_eq!(taken, data.len());
}

#[test]
fn a_finished_agent_announces_its_end_after_the_last_acknowledgement() {
    let mut agent = Agent::running();
    write(&mut agent, b"bye");
    write(&mut agent, b"bye");
    agent.session.finish(agent.now);
    assert_eq!(agent.sent().len(), 2);
    agent.acknowledge(1);
    assert_eq!((agent.events(), agent.states().len()), (vec![], 0));
    agent.acknowledge(0);
    assert_eq!(agent.events(), [AgentEvent::Drained]);
    assert_eq!(agent.states(), ["Terminating"]);
    assert_eq!(agent.session.poll_timeout(), None);
}

#[test]
fn a_finished_agent_waits_two_seconds_for_acknowledgements() {
    let mut agent = Agent::running();
    write(&mut agent, b"bye");
    agent.session.finish(agent.now);
    agent.pass(Duration::from_millis(1_999));
    assert_eq!((agent.events(), agent.states().len()), (vec![], 0));
    agent.pass(Duration::from_millis(1));
    assert_eq!(agent.events(), [AgentEvent::Drained]);
    assert_eq!(agent.states(), ["Terminating"]);
}

#[test]
fn a_finished_agent_with_nothing_unacknowledged_ends_at_once_and_once() {
    let mut agent = Agent::running();
    agent.session.finish(agent.now);
    agent.session.finish(agent.now);
    agent.session.cancel(agent.now);
    assert_eq!(agent.events(), [AgentEvent::Drained]);
    assert_eq!(agent.states(), ["Terminating"]);
    agent.message(PayloadType::OUTPUT, "too late");
    assert_eq!((agent.events(), agent.acknowledged()), (vec![], vec![]));
}

#[test]
fn a_cancelled_agent_waits_too_and_announces_nothing() {
    let mut agent = Agent::running();
    write(&mut agent, b"bye");
    agent.aside(MessageType::CHANNEL_CLOSED, "");
    assert_eq!(agent.events(), [AgentEvent::ChannelClosed]);
    agent.session.cancel(agent.now);
    agent.sent();
    assert_eq!(agent.events(), []);
    agent.acknowledge(0);
    assert_eq!(agent.events(), [AgentEvent::Drained]);
    assert_eq!(agent.states(), [""; 0]);
}

#[test]
fn an_exit_code_goes_out_behind_all_output() {
    let mut agent = Agent::running();
    write(&mut agent, b"out");
    agent.session.write(OutputStream::Stderr, b"err", agent.now);
    agent.session.exit_code(-7, agent.now);
    let expected = [
        (PayloadType::OUTPUT, Bytes::from_static(b"out")),
        (PayloadType::STDERR, Bytes::from_static(b"err")),
        (PayloadType::EXIT_CODE, Bytes::from_static(b"EXIT_CODE: -7")),
    ];
    assert_eq!(agent.payloads(), expected);
}

#[test]
fn empty_output_is_swallowed() {
    let mut agent = Agent::running();
    write(&mut agent, b"");
    assert_eq!(agent.payloads(), []);
}
