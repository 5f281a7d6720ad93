//! A connection goes, and another comes.

use std::time::Duration;

use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::AgentWays;
use ssm_session_proto::CloseReason;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::MessageType;
use ssm_session_proto::OpenDataChannel;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Secret;

use super::fixture::Agent;
use super::fixture::Client;
use super::fixture::SIZE;
use super::fixture::request;
use crate::support::clock::epoch;
use crate::support::ends;

fn opening(frame: Option<Frame>) -> OpenDataChannel {
    let Some(Frame::Text(text)) = frame else {
        panic!("{frame:?} is no opening");
    };
    OpenDataChannel::from_json(&text).unwrap()
}

#[test]
fn each_connection_is_opened_with_its_token_by_the_same_client() {
    let mut session = ends::client(ends::SESSION, [7; 32]);
    session.handle_connected(&Secret::new("first"), epoch());
    let first = opening(session.poll_transmit(epoch()));
    session.handle_disconnected(epoch());
    assert_eq!(session.poll_transmit(epoch()), None);
    session.handle_connected(&Secret::new("second"), epoch());
    let second = opening(session.poll_transmit(epoch()));
    assert_eq!(first.token_value.expose(), "first");
    assert_eq!(second.token_value.expose(), "second");
    assert_eq!(first.client_id, second.client_id);
    assert_ne!(first.request_id, second.request_id);
    assert_eq!(second.message_schema_version, "1.0");
    assert_eq!(second.client_version.as_deref(), Some("1.2.764.0"));
}

#[test]
fn an_opening_that_did_not_go_out_is_not_sent_on_the_next_connection() {
    let mut session = ends::client(ends::SESSION, [7; 32]);
    session.handle_connected(&Secret::new("first"), epoch());
    session.handle_disconnected(epoch());
    assert_eq!(session.poll_transmit(epoch()), None);
    session.handle_connected(&Secret::new("second"), epoch());
    let second = opening(session.poll_transmit(epoch()));
    assert_eq!(second.token_value.expose(), "second");
    assert_eq!(session.poll_transmit(epoch()), None);
}

#[test]
fn input_is_taken_while_there_is_no_connection_and_sent_on_the_next() {
    let mut client = Client::in_shell();
    client.write(b"one");
    let before = client.sent();
    client.session.handle_disconnected(client.now);
    assert_eq!(client.write(b"two"), 3);
    client.pass(Duration::from_secs(60));
    assert_eq!(client.sent(), []);
    let token = Secret::new("next");
    client.session.handle_connected(&token, client.now);
    let after = client.sent();
    assert_eq!(after[0], before[0], "the same message again");
    assert_eq!(&after[1].payload[..], b"two");
    assert_eq!(after.len(), 2);
}

/// Not when it is overdue: no time passes.
#[test]
fn everything_unacknowledged_goes_over_a_new_connection_at_once_at_either_end() {
    let mut client = Client::in_shell();
    for input in ["one", "two", "three"] {
        client.write(input.as_bytes());
    }
    let before = client.sent();
    client.acknowledge(before[1].sequence_number.0);
    lose_connection(&mut client);
    connect(&mut client);
    assert_eq!(client.sent(), [before[0].clone(), before[2].clone()]);

    let mut agent = Agent::running();
    for output in ["one", "two", "three"] {
        let stdout = OutputStream::Stdout;
        agent.session.write(stdout, output.as_bytes(), agent.now);
    }
    let before = agent.sent();
    agent.acknowledge(before[1].sequence_number.0);
    agent.session.handle_disconnected(agent.now);
    let token = Secret::new("next");
    agent.session.handle_connected(&token, agent.now);
    assert_eq!(agent.sent(), [before[0].clone(), before[2].clone()]);
}

#[test]
fn an_agent_as_odd_as_awss_repeats_over_a_new_connection_only_its_oldest_message_after_a_while() {
    let ways = AgentWays {
        head_only: true,
        ..AgentWays::default()
    };
    let mut agent = Agent::connected(AgentConfig {
        ways,
        ..ends::agent_config()
    });
    for output in ["one", "two"] {
        let stdout = OutputStream::Stdout;
        agent.session.write(stdout, output.as_bytes(), agent.now);
    }
    let before = agent.sent();
    agent.session.handle_disconnected(agent.now);
    agent.pass(Duration::from_secs(3));
    let token = Secret::new("next");
    agent.session.handle_connected(&token, agent.now);
    agent.aside(MessageType::START_PUBLICATION, "");
    agent.message(PayloadType::OUTPUT, "too early");
    agent.session.write(OutputStream::Stdout, b"new", agent.now);
    let sent = agent.sent();
    assert_eq!((sent.len(), &sent[0].payload[..]), (1, &b"new"[..]));
    agent.pass(Duration::from_millis(100));
    assert_eq!(agent.sent(), [before[0].clone()]);
    agent.pass(Duration::from_millis(200));
    assert_eq!(agent.sent(), [before[0].clone()]);
    agent.acknowledge(0);
    agent.pass(Duration::from_millis(100));
    assert_eq!(agent.sent(), [before[1].clone()]);
}

#[test]
fn an_agent_begins_once_however_often_it_connects() {
    let mut agent = Agent::running();
    agent.session.write(OutputStream::Stdout, b"$ ", agent.now);
    let before = agent.sent();
    agent.session.handle_disconnected(agent.now);
    let token = Secret::new("next");
    agent.session.handle_connected(&token, agent.now);
    let text = opening(agent.session.poll_transmit(agent.now));
    assert_eq!(text.client_instance_id.as_deref(), Some(ends::TARGET));
    assert_eq!(text.token_value.expose(), "next");
    assert_eq!(agent.sent(), before, "what was not acknowledged");
    assert_eq!(agent.states(), [""; 0]);
    assert_eq!(agent.events(), []);
}

#[test]
fn what_is_not_acknowledged_in_time_is_sent_again_unchanged() {
    let mut client = Client::in_shell();
    client.write(b"ls\r");
    let first = client.sent();
    let due = client.session.poll_timeout().unwrap();
    client.pass(due - client.now);
    assert_eq!(client.sent(), first);
    client.acknowledge(0);
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn an_agent_that_is_not_connected_yet_takes_no_notice_of_time() {
    let mut session = ends::agent(ends::agent_config(), [8; 32]);
    assert_eq!(session.poll_timeout(), None);
    session.handle_timeout(epoch() + Duration::from_secs(3600));
    assert_eq!(session.poll_event(), None);
    assert_eq!(session.poll_transmit(epoch()), None);
}

#[test]
fn input_that_came_twice_over_two_connections_is_delivered_once() {
    let mut agent = Agent::running();
    agent.message(PayloadType::OUTPUT, "ls\r");
    agent.session.handle_disconnected(agent.now);
    let token = Secret::new("next");
    agent.session.handle_connected(&token, agent.now);
    agent.numbered(0, PayloadType::OUTPUT, "ls\r");
    assert_eq!(agent.events(), [AgentEvent::Input("ls\r".into())]);
    assert_eq!(agent.acknowledged(), [0], "the acknowledgement was lost");
}

/// The agent has acknowledged the size and may have asked for a handshake on the connection that is lost.
#[test]
fn a_client_does_not_go_on_without_handshake_over_a_connection_that_was_lost() {
    let mut client = Client::connected();
    client.session.resize(SIZE, client.now);
    assert_eq!(client.payloads().len(), 1);
    client.acknowledge(0);
    lose_connection(&mut client);
    client.pass(Duration::from_secs(60));
    connect(&mut client);
    assert_eq!(client.payloads().len(), 1, "the size, to see the agent");
    client.pass(Duration::from_secs(60));
    assert_eq!(client.events(), []);
    client.acknowledge(1);
    client.pass(Duration::from_secs(1));
    lose_connection(&mut client);
    connect(&mut client);
    client.sent();
    client.acknowledge(2);
    client.acknowledge(3);
    client.pass(Duration::from_millis(999));
    assert_eq!(
        client.events(),
        [],
        "asked once more on the connection that is lost"
    );
    client.pass(Duration::from_millis(1));
    client.acknowledge(4);
    client.pass(Duration::from_millis(300));
    assert!(matches!(client.events()[..], [Event::Established(_)]));
}

#[test]
fn an_agents_time_for_a_handshake_runs_while_it_can_be_heard() {
    let mut client = Client::connected();
    let request = request("Standard_Stream");
    client.json(PayloadType::HANDSHAKE_REQUEST, &request);
    client.pass(Duration::from_secs(29));
    lose_connection(&mut client);
    client.pass(Duration::from_secs(3600));
    connect(&mut client);
    client.pass(Duration::from_millis(29_999));
    assert_eq!(client.events(), []);
    client.pass(Duration::from_millis(1));
    assert!(matches!(
        client.events()[..],
        [Event::Closed(CloseReason::HandshakeFailed(_))]
    ));
}

fn lose_connection(client: &mut Client) {
    client.session.handle_disconnected(client.now);
}

fn connect(client: &mut Client) {
    let token = Secret::new("next");
    client.session.handle_connected(&token, client.now);
}
