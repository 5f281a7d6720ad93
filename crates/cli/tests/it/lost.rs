//! Sessions whose connection is lost.

use std::sync::Arc;

use rustix::process::Signal;
use ssm_session_emulator::ChannelClose;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_websockets::ServerBuilder;

use crate::account::VARIABLES;
use crate::account::guarded_node;
use crate::account::ssh_words;
use crate::account::with_credentials;
use crate::destination::Destination;
use crate::destination::connect;
use crate::destination::exchange;
use crate::node::Node;
use crate::plugin::OnTerminal;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::service::Service;

async fn lose(node: &Node) {
    let closed = node.emulator.close_channels(ChannelClose::Bye, None).await;
    assert_eq!(closed, 1);
}

/// Refuses to resume for longer than an outage goes unnoticed.
const UNABLE: &str = "ResumeSession=ThrottlingException";

#[tokio::test]
async fn what_lasts_a_moment_goes_on_without_a_word() {
    let node = guarded_node(&[]).await;
    let endpoint = node.emulator.endpoint();
    let mut shell = OnTerminal::start_in(&ssh_words(&endpoint, &[]), &VARIABLES);
    shell.enter("PS1=; echo rea''dy").await;
    shell.screen.until("ready\r\n").await;
    lose(&node).await;
    shell.enter("echo st''ill here; exit").await;
    shell.screen.until("still here\r\n").await;
    let all = shell.screen.until_end().await;
    assert!(!all.contains("connect"), "{all}");
    assert_eq!(shell.status().await.code(), Some(0));
}

#[tokio::test]
async fn a_shell_of_ours_on_a_terminal_says_since_when_it_is_lost() {
    let node = guarded_node(&[UNABLE]).await;
    let endpoint = node.emulator.endpoint();
    let mut shell = OnTerminal::start_in(&ssh_words(&endpoint, &[]), &VARIABLES);
    shell.enter("PS1=; echo rea''dy").await;
    shell.screen.until("ready\r\n").await;
    lose(&node).await;
    shell.screen.until("the connection is lost since ").await;
    shell.signal(Signal::HUP);
    assert_eq!(shell.status().await.code(), Some(129));
    assert!(shell.has_its_settings_back());
}

#[tokio::test]
async fn ctrl_c_gives_up_a_shell_that_is_known_to_be_lost_and_ends_it_at_the_service() {
    let node = guarded_node(&[UNABLE]).await;
    let started = node.shell();
    let mut shell = OnTerminal::start_in(&started.seven_words(), &VARIABLES);
    shell.enter("PS1=; echo rea''dy").await;
    shell.screen.until("ready\r\n").await;
    lose(&node).await;
    shell.screen.until("press Ctrl-C to give up").await;
    shell.press(b"\x03").await;
    let last = format!("Exiting session with sessionId: {}.", started.id());
    shell.screen.until(&last).await;
    assert_eq!(shell.status().await.code(), Some(0));
    assert!(shell.has_its_settings_back());
    node.ends(started.id()).await;
}

#[tokio::test]
async fn the_connections_of_a_forward_go_on() {
    let (node, destination) = (guarded_node(&[]).await, Destination::echo().await);
    let mut plugin = Piped::start(with_credentials(
        &node.forward(destination.port()).seven_words(),
    ));
    plugin.stdout.until("Port ").await;
    let port = plugin.stdout.up_to(" opened").await.parse().unwrap();
    let mut connection = connect(port).await;
    exchange(&mut connection, b"before").await;
    lose(&node).await;
    exchange(&mut connection, b"after").await;
    plugin.signal(Signal::INT);
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn without_a_terminal_and_as_a_drop_in_nothing_is_said() {
    let node = guarded_node(&[]).await;
    let started = node.shell();
    let mut plugin = Piped::start(with_credentials(&started.seven_words()));
    plugin.write(b"PS1=; echo rea''dy\n").await;
    plugin.stdout.until("ready\r\n").await;
    lose(&node).await;
    plugin.write(b"echo st''ill here; exit\n").await;
    plugin.stdout.until("still here\r\n").await;
    let rest = plugin.stdout.until_end().await;
    let id = started.id();
    let last = format!("\n\nExiting session with sessionId: {id}.\n\n");
    assert!(rest.ends_with(&last), "{rest}");
    assert!(!rest.contains("connect"), "{rest}");
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn a_session_that_is_gone_meanwhile_has_timed_out_to_callers() {
    let node = guarded_node(&["ResumeSession=DoesNotExistException"]).await;
    let started = node.shell();
    let mut plugin = Piped::start(with_credentials(&started.seven_words()));
    plugin.write(b"PS1=; echo rea''dy\n").await;
    plugin.stdout.until("ready\r\n").await;
    lose(&node).await;
    let rest = plugin.stdout.until_end().await;
    let last = format!("Session: {} timed out.\n", started.id());
    assert!(rest.ends_with(&last), "{rest}");
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn under_connect_that_is_a_failure_with_a_sentence() {
    let node = guarded_node(&["ResumeSession=DoesNotExistException"]).await;
    let started = node.shell();
    let endpoint = node.emulator.endpoint();
    let words = [
        "connect",
        &started.json(),
        "--endpoint-url",
        &endpoint,
        "--region",
        "us-east-1",
    ];
    let mut plugin = Piped::start(with_credentials(&words));
    plugin.write(b"PS1=; echo rea''dy\n").await;
    plugin.stdout.until("ready\r\n").await;
    lose(&node).await;
    let said = plugin.stderr.until_end().await;
    assert!(said.contains("meanwhile the session has ended"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(plugin.status().await.code(), Some(1));
}

#[tokio::test]
async fn a_signal_while_it_is_lost_ends_the_session_at_the_service() {
    let node = guarded_node(&[UNABLE]).await;
    let destination = Destination::echo().await;
    let started = node.forward(destination.port());
    let endpoint = node.emulator.endpoint();
    let words = [
        "connect",
        &started.json(),
        "--endpoint-url",
        &endpoint,
        "--region",
        "us-east-1",
    ];
    let mut plugin = Piped::start(with_credentials(&words));
    plugin.stderr.until(" is open").await;
    lose(&node).await;
    plugin.stderr.until("the connection is lost since ").await;
    plugin.signal(Signal::TERM);
    assert_eq!(plugin.status().await.code(), Some(143));
    node.ends(started.id()).await;
}

#[tokio::test]
async fn an_answer_to_input_that_has_ended_is_waited_for_while_the_connection_is_lost() {
    let node = guarded_node(&[]).await;
    let answer = Arc::new(Notify::new());
    let asked = Arc::new(Notify::new());
    let (answers, asks) = (Arc::clone(&answer), Arc::clone(&asked));
    let destination = Destination::serving(move |mut connection| {
        let (answers, asks) = (Arc::clone(&answers), Arc::clone(&asks));
        async move {
            connection.read_exact(&mut [0; 9]).await.unwrap();
            asks.notify_one();
            answers.notified().await;
            connection.write_all(b"the answer").await.unwrap();
        }
    })
    .await;
    let started = node.port("AWS-StartSSHSession", destination.port(), &[]);
    let mut service = Service::start().await;
    let words = [
        "connect",
        &started.json(),
        "--endpoint-url",
        service.endpoint(),
        "--region",
        "us-east-1",
    ];
    let mut plugin = Piped::start(with_credentials(&words));
    plugin.write(b"question\n").await;
    drop(plugin.stdin.take());
    asked.notified().await;
    lose(&node).await;
    // Each is given up without an answer after 10 s, which is as long as a far end may otherwise be silent.
    let (_first, _second) = (service.next().await, service.next().await);
    let third = service.next().await;
    assert_eq!(third.operation(), "ResumeSession");
    let resumed = node.emulator.resume_session(started.id()).unwrap().unwrap();
    let access = serde_json::json!({
        "SessionId": resumed.session_id,
        "StreamUrl": resumed.stream_url,
        "TokenValue": resumed.token.expose(),
    });
    third.answer(200, &access.to_string());
    answer.notify_one();
    assert_eq!(plugin.stdout.until_end().await, "the answer");
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn how_long_silence_is_borne_is_the_users_choice() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let response = format!(r#"{{"SessionId":"s-1","StreamUrl":"{url}","TokenValue":"t"}}"#);
    let words = [&["connect", &response], &["--keepalive", "1"][..]].concat();
    let mut plugin = command(&words);
    plugin.env("SSM_SESSION_SILENCE", "2");
    let mut plugin = Piped::start(plugin);
    let (stream, _) = listener.accept().await.unwrap();
    let server = ServerBuilder::new();
    // It reads nothing, so that it answers no ping.
    let (_, _socket) = server.accept(stream).await.unwrap();
    let said = plugin.stderr.until_end().await;
    assert!(said.contains(" 2 s"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(plugin.status().await.code(), Some(1));
}

#[tokio::test]
async fn how_long_a_session_is_to_be_resumed_is_the_users_choice() {
    for limit in ["0", "1"] {
        let node = guarded_node(&[UNABLE]).await;
        let endpoint = node.emulator.endpoint();
        let words = ssh_words(&endpoint, &["--resume-for", limit]);
        let mut plugin = Piped::start(with_credentials(&words));
        plugin.write(b"PS1=; echo rea''dy\n").await;
        plugin.stdout.until("ready\r\n").await;
        lose(&node).await;
        let said = plugin.stderr.until_end().await;
        assert!(
            said.contains("closed the connection with code 1000"),
            "{said}"
        );
        let was_tried = said.contains("; it could not be resumed");
        assert_eq!(was_tried, limit != "0", "{said}");
        assert_eq!(plugin.status().await.code(), Some(1));
    }
}
