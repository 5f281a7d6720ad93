//! Pause and start: the service's word about the other end.

use std::time::Duration;

use ssm_session_proto::AgentEvent;
use ssm_session_proto::MessageType;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;

use super::fixture::Agent;
use super::fixture::Client;

const PAUSE: MessageType = MessageType::PAUSE_PUBLICATION;
const START: MessageType = MessageType::START_PUBLICATION;

fn write(agent: &mut Agent, data: &[u8]) -> usize {
    agent.session.write(OutputStream::Stdout, data, agent.now)
}

#[test]
fn a_paused_agent_takes_no_output_until_it_is_started() {
    let mut agent = Agent::running();
    agent.aside(PAUSE, "");
    assert_eq!(write(&mut agent, b"held"), 0);
    agent.pass(Duration::from_secs(3600));
    assert_eq!((agent.payloads(), agent.events()), (vec![], vec![]));
    agent.aside(START, "");
    assert_eq!(agent.events(), [AgentEvent::Writable]);
    assert_eq!(write(&mut agent, b"held"), 4);
    assert_eq!(agent.payloads().len(), 1);
}

#[test]
fn a_paused_agent_sends_nothing_again() {
    let mut agent = Agent::running();
    write(&mut agent, b"sent");
    assert_eq!(agent.payloads().len(), 1);
    agent.aside(PAUSE, "");
    agent.pass(Duration::from_secs(60));
    assert_eq!(agent.payloads(), []);
    agent.aside(START, "");
    assert_eq!(agent.payloads().len(), 1, "it is overdue");
}

#[test]
fn a_started_agent_sends_everything_unacknowledged_again_at_once() {
    for paused in [true, false] {
        let mut agent = Agent::running();
        for number in 0..20 {
            write(&mut agent, &[number; 1024]);
        }
        let sent = agent.payloads();
        assert_eq!(sent.len(), 20);
        agent.acknowledge(0);
        if paused {
            agent.aside(PAUSE, "");
        }
        agent.aside(START, "");
        assert_eq!(agent.payloads(), sent[1..], "paused before: {paused}");
    }
}

#[test]
fn any_word_of_the_client_ends_a_pause() {
    for word in ["input", "acknowledgement"] {
        let mut agent = Agent::running();
        agent.aside(PAUSE, "");
        assert_eq!(write(&mut agent, b"held"), 0);
        match word {
            "input" => {
                agent.message(PayloadType::OUTPUT, "ls\r");
                assert_eq!(agent.events().len(), 2, "the input, and that there is room");
            }
            _ => {
                agent.acknowledge(77);
                assert_eq!(agent.events(), [AgentEvent::Writable]);
            }
        }
        assert_eq!(write(&mut agent, b"held"), 4, "{word}");
    }
}

#[test]
fn a_paused_agent_still_acknowledges() {
    let mut agent = Agent::running();
    agent.message(PayloadType::OUTPUT, "ls\r");
    agent.aside(PAUSE, "");
    assert_eq!(agent.acknowledged(), [0]);
}

#[test]
fn a_client_does_not_believe_a_pause_for_longer_than_three_seconds() {
    let mut client = Client::in_shell();
    client.aside(PAUSE, "");
    client.write(b"ls\r");
    client.pass(Duration::from_millis(2_999));
    assert_eq!(client.payloads(), []);
    client.pass(Duration::from_millis(1));
    assert_eq!(client.payloads().len(), 1);
}

#[test]
fn a_paused_client_sends_when_it_is_started() {
    let mut client = Client::in_shell();
    client.aside(PAUSE, "");
    client.write(b"ls\r");
    assert_eq!(client.payloads(), []);
    client.aside(START, "");
    assert_eq!(client.payloads().len(), 1);
}
