//! The terminal's settings, during and after a session.

use std::process::Stdio;

use futures_util::StreamExt as _;
use rustix::process::Signal;
use rustix::termios::LocalModes;
use rustix::termios::OutputModes;
use tokio::io::AsyncWriteExt as _;

use crate::node::Node;
use crate::output::Output;
use crate::plugin::OnTerminal;
use crate::plugin::command;
use crate::plugin::open_terminal;
use crate::plugin::settings;

async fn shell(node: &Node) -> OnTerminal {
    let mut shell = OnTerminal::start(&node.shell().seven_words());
    shell.enter("PS1=; echo rea''dy").await;
    shell.screen.until("ready\r\n").await;
    shell
}

#[tokio::test]
async fn a_shell_has_the_terminal_raw_and_gives_it_back() {
    let node = Node::start().await;
    let mut shell = shell(&node).await;
    let raw = shell.settings();
    let cooked = LocalModes::ISIG | LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
    assert!(!raw.local_modes.intersects(cooked), "{:?}", raw.local_modes);
    assert!(!raw.output_modes.contains(OutputModes::OPOST));
    shell.enter("exit").await;
    shell.screen.until_end().await;
    assert_eq!(shell.status().await.code(), Some(0));
    assert!(shell.has_its_settings_back());
}

#[tokio::test]
async fn a_signal_under_connect_is_the_status_and_the_terminal_is_given_back() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let node = Node::start().await;
        let mut shell = OnTerminal::start(&["connect", &node.shell().json()]);
        shell.enter("PS1=; echo rea''dy").await;
        shell.screen.until("ready\r\n").await;
        shell.signal(signal);
        shell.screen.until_end().await;
        assert_eq!(shell.status().await.code(), Some(status), "{signal:?}");
        assert!(shell.has_its_settings_back(), "{signal:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_leaves_the_terminal_alone() {
    let response = r#"{"SessionId":"s","StreamUrl":"wss://127.0.0.1:1/x","TokenValue":"t"}"#;
    let mut plugin = OnTerminal::start(&[response, "us-east-1", "StartSession"]);
    assert!(
        plugin
            .screen
            .until_end()
            .await
            .contains("Cannot perform start session: ")
    );
    assert_eq!(plugin.status().await.code(), Some(0));
    assert!(plugin.has_its_settings_back());
}

#[tokio::test]
async fn an_unexpected_end_of_the_service_gives_the_terminal_back() {
    let node = Node::start().await;
    let mut shell = shell(&node).await;
    node.emulator.shutdown().await;
    shell.screen.until_end().await;
    assert_eq!(shell.status().await.code(), Some(0));
    assert!(shell.has_its_settings_back());
}

#[tokio::test]
async fn control_c_is_a_way_out_while_the_far_end_does_not_answer() {
    // A port that accepts and says nothing.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("ws://{}/", silent.local_addr().unwrap());
    let response = format!(r#"{{"SessionId":"s","StreamUrl":"{url}","TokenValue":"t"}}"#);
    let mut plugin = OnTerminal::start(&["connect", &response]);
    let (_held, _) = silent.accept().await.unwrap();
    plugin.press(b"\x03").await;
    plugin.screen.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(130));
    assert!(plugin.has_its_settings_back());
}

#[tokio::test]
async fn a_terminal_that_is_only_standard_output_is_never_touched() {
    let node = Node::start().await;
    let (ours, theirs) = open_terminal();
    let before = settings(&ours);
    let mut child = command(&node.shell().seven_words())
        .stdin(Stdio::piped())
        .stdout(theirs)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = Output::new(tokio::fs::File::from_std(ours.try_clone().unwrap()));
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(b"PS1=; stty -echo; echo rea''dy\n")
        .await
        .unwrap();
    // The far terminal makes CR LF of LF, this one another CR: both are left to do so.
    screen.until("ready\r\r\n").await;
    assert_eq!(settings(&ours), before);
    input.write_all(b"seq 1 5000; exit\n").await.unwrap();
    let expected: String = (1..=5000).map(|n| format!("{n}\r\r\n")).collect();
    screen.until(&expected).await;
    screen.until("Exiting session with sessionId: ").await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert_eq!(settings(&ours), before);
}

#[tokio::test]
async fn control_c_is_a_way_out_while_the_agent_does_not_answer() {
    // A service that takes the connection and the first frame, and then says nothing.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let response = format!(r#"{{"SessionId":"s-1","StreamUrl":"{url}","TokenValue":"t"}}"#);
    let mut plugin = OnTerminal::start(&[&response, "us-east-1", "StartSession"]);
    let (stream, _) = listener.accept().await.unwrap();
    let (_, mut socket) = tokio_websockets::ServerBuilder::new()
        .accept(stream)
        .await
        .unwrap();
    socket.next().await.unwrap().unwrap();
    plugin.press(b"\x03").await;
    let all = plugin.screen.until_end().await;
    assert!(
        all.ends_with("Exiting session with sessionId: s-1.\r\n\r\n"),
        "{all}"
    );
    assert_eq!(plugin.status().await.code(), Some(0));
    assert!(plugin.has_its_settings_back());
}

#[tokio::test]
async fn a_command_without_input_leaves_the_terminal_to_its_user() {
    let node = Node::start().await;
    let started = node.command(
        "Emulator-SeparateOutput",
        "sh -c 'echo started; sleep 1000'",
    );
    let mut plugin = OnTerminal::start(&["connect", &started.json()]);
    plugin.screen.until("started\r\n").await;
    assert!(plugin.has_its_settings_back());
    plugin.press(b"\x03").await;
    plugin.screen.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(130));
    assert!(plugin.has_its_settings_back());
}
