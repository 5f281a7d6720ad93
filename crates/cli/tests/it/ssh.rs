//! Sessions from their very beginning.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;
use ssm_session_emulator::Target;

use crate::account::VARIABLES;
use crate::account::guarded_node;
use crate::account::ssh_words;
use crate::account::with_credentials;
use crate::destination::Destination;
use crate::destination::connect;
use crate::destination::exchange;
use crate::node::Node;
use crate::node::TARGET;
use crate::plugin::Finished;
use crate::plugin::OnTerminal;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::plugin::ended;
use crate::plugin::run;
use crate::service::Service;

const FIRST: &str = "session-manager-plugin: starting session with SessionId: ";

fn start(node: &Node, more: &[&str]) -> Piped {
    Piped::start(with_credentials(&ssh_words(
        &node.emulator.endpoint(),
        more,
    )))
}

/// The session's id, as standard error has it.
async fn id(plugin: &mut Piped) -> String {
    plugin.stderr.until(FIRST).await;
    plugin.stderr.up_to("\n").await
}

async fn fails(node: &Node, more: &[&str]) -> String {
    let endpoint = node.emulator.endpoint();
    failed(run(with_credentials(&ssh_words(&endpoint, more))).await)
}

/// The one line on why there is no session.
fn failed(finished: Finished) -> String {
    assert_eq!((finished.status, finished.stdout.as_str()), (Some(1), ""));
    let line = finished.stderr.strip_prefix("session-manager-plugin: ");
    let line = line.unwrap_or_else(|| panic!("{finished:?}"));
    assert_eq!(line.lines().count(), 1, "{line}");
    line.to_owned()
}

#[tokio::test]
async fn a_shell_is_started_runs_and_is_over_at_the_end() {
    let node = guarded_node(&[]).await;
    let mut plugin = start(&node, &["--reason", "a test"]);
    let id = id(&mut plugin).await;
    plugin.write(b"echo $((6 * 7)) here; exit\n").await;
    plugin.stdout.until("42 here\r\n").await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0));
    assert_eq!(plugin.stderr.until_end().await, format!("{FIRST}{id}\n"));
    node.ends(&id).await;
}

#[tokio::test]
async fn a_shell_has_the_terminal() {
    let node = guarded_node(&[]).await;
    let words = ssh_words_owned(&node);
    let mut shell = OnTerminal::start_in(&words, &VARIABLES);
    shell.screen.until(FIRST).await;
    shell.enter("PS1=; echo $((6 * 7)) on $(stty size)").await;
    shell.screen.until("42 on 31 93\r\n").await;
    shell.enter("exit").await;
    shell.screen.until_end().await;
    assert_eq!(shell.status().await.code(), Some(0));
    assert!(shell.has_its_settings_back());
}

#[tokio::test]
async fn a_shell_that_is_ended_amid_a_line_leaves_the_cursor_at_the_start_of_the_next() {
    let node = guarded_node(&[]).await;
    let mut shell = OnTerminal::start_in(&ssh_words_owned(&node), &VARIABLES);
    shell.screen.until(FIRST).await;
    let id = shell.screen.up_to("\r\n").await;
    shell.enter("PS1='remote''> '; echo rea''dy").await;
    shell.screen.until("ready\r\nremote> ").await;
    node.emulator.terminate_session(&id).await;
    let all = shell.screen.until_end().await;
    assert!(all.ends_with("\r\nremote> \r\n"), "{all}");
    assert_eq!(shell.status().await.code(), Some(0));
}

fn ssh_words_owned(node: &Node) -> Vec<String> {
    let endpoint = node.emulator.endpoint();
    let words = ssh_words(&endpoint, &[]).into_iter().map(str::to_owned);
    words.collect()
}

#[tokio::test]
async fn a_document_runs_with_its_parameters_and_its_status_is_ours() {
    let node = guarded_node(&[]).await;
    let document = ["--document-name", "Emulator-SeparateOutput"];
    let parameters = json!({"command": ["sh -c 'echo out; echo err >&2; exit 42'"]}).to_string();
    let words = [&document[..], &["--parameters", &parameters]].concat();
    let mut plugin = start(&node, &words);
    let id = id(&mut plugin).await;
    assert_eq!(plugin.stdout.until_end().await, "out\n");
    assert_eq!(
        plugin.stderr.until_end().await,
        format!("{FIRST}{id}\nerr\n")
    );
    assert_eq!(plugin.status().await.code(), Some(42));
}

#[tokio::test]
async fn a_document_for_a_port_forwards_it() {
    let (node, destination) = (guarded_node(&[]).await, Destination::echo().await);
    let parameters = json!({"portNumber": destination.port().to_string()}).to_string();
    let document = ["--document-name", "AWS-StartPortForwardingSession"];
    let words = [&document[..], &["--parameters", &parameters]].concat();
    let mut plugin = start(&node, &words);
    let id = id(&mut plugin).await;
    plugin.stderr.until("session-manager-plugin: port ").await;
    let port = plugin.stderr.up_to(" is open").await.parse().unwrap();
    exchange(&mut connect(port).await, b"hello").await;
    plugin.signal(Signal::INT);
    assert_eq!(plugin.status().await.code(), Some(130));
    node.ends(&id).await;
}

#[tokio::test]
async fn a_document_for_ssh_is_one_connection_over_the_standard_streams() {
    let (node, destination) = (guarded_node(&[]).await, Destination::echo().await);
    let parameters = json!({"portNumber": destination.port().to_string()}).to_string();
    let document = ["--document-name", "AWS-StartSSHSession"];
    let words = [&document[..], &["--parameters", &parameters]].concat();
    let mut plugin = start(&node, &words);
    plugin.write(b"\x00\xff binary\n").await;
    assert_eq!(plugin.stdout.take(10).await, b"\x00\xff binary\n");
    let id = id(&mut plugin).await;
    plugin.signal(Signal::TERM);
    assert_eq!(plugin.status().await.code(), Some(143));
    node.ends(&id).await;
}

#[tokio::test]
async fn a_container_is_a_target() {
    let node = guarded_node(&[]).await;
    let endpoint = node.emulator.endpoint();
    let words = [
        "ssh",
        "--target",
        Target::CONTAINER,
        "--region",
        "us-east-1",
        "--endpoint-url",
        &endpoint,
    ];
    let mut plugin = Piped::start(with_credentials(&words));
    plugin.write(b"echo $((6 * 7)) here; exit\n").await;
    plugin.stdout.until("42 here\r\n").await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn a_busy_local_port_is_told_before_a_session_is_started() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let parameters = json!({"portNumber": "22", "localPortNumber": port}).to_string();
    let mut service = Service::start().await;
    let document = ["--document-name", "AWS-StartPortForwardingSession"];
    let more = [&document[..], &["--parameters", &parameters]].concat();
    let words = ssh_words(service.endpoint(), &more);
    let line = failed(run(with_credentials(&words)).await);
    assert!(line.contains(&format!("port {port} is in use")), "{line}");
    assert!(service.is_idle());
}

#[tokio::test]
async fn without_credentials_one_sentence_says_so() {
    let node = guarded_node(&[]).await;
    let endpoint = node.emulator.endpoint();
    let line = failed(run(command(&ssh_words(&endpoint, &[]))).await);
    assert!(line.contains("credentials"), "{line}");
}

#[tokio::test]
async fn each_refusal_of_the_service_says_what_to_do() {
    let node = guarded_node(&[]).await;
    let endpoint = node.emulator.endpoint();
    let elsewhere = [
        "ssh",
        "--target",
        "i-00000000000000000",
        "--region",
        "us-east-1",
        "--endpoint-url",
        &endpoint,
    ];
    let line = failed(run(with_credentials(&elsewhere)).await);
    assert!(line.contains("i-00000000000000000"), "{line}");
    let line = fails(&node, &["--document-name", "No-Such"]).await;
    assert!(line.contains("No-Such"), "{line}");
    let node = guarded_node(&["StartSession=AccessDeniedException"]).await;
    let line = fails(&node, &[]).await;
    assert!(line.contains("ssm:StartSession"), "{line}");
}

#[tokio::test]
async fn all_mistakes_are_reported_at_once() {
    let mistaken = [
        "ssh",
        "--target",
        "web-1",
        "--parameters",
        "[]",
        "--reason",
        "",
    ];
    let finished = run(command(&mistaken)).await;
    assert_eq!((finished.status, finished.stdout.as_str()), (Some(2), ""));
    for option in ["--target", "--parameters", "--reason"] {
        let expected = format!("  {option}: ");
        assert!(finished.stderr.contains(&expected), "{finished:?}");
    }
}

#[tokio::test]
async fn a_signal_ends_the_session_at_the_service() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let node = guarded_node(&[]).await;
        let mut plugin = start(&node, &[]);
        let id = id(&mut plugin).await;
        plugin.write(b"echo rea''dy\n").await;
        plugin.stdout.until("ready").await;
        plugin.signal(signal);
        assert_eq!(plugin.status().await.code(), Some(status));
        node.ends(&id).await;
    }
}

#[tokio::test]
async fn a_signal_before_the_far_end_has_answered_ends_the_session_too() {
    let node = guarded_node(&[]).await;
    let document = ["--document-name", "AWS-StartInteractiveCommand"];
    let parameters = json!({"command": ["stty -echo; read line"]}).to_string();
    let more = [&document[..], &["--parameters", &parameters]].concat();
    let mut plugin = start(&node, &more);
    let id = id(&mut plugin).await;
    plugin.signal(Signal::INT);
    assert_eq!(plugin.status().await.code(), Some(130));
    node.ends(&id).await;
}

#[tokio::test]
async fn a_session_that_starts_while_a_signal_ends_the_wait_is_ended() {
    let mut service = Service::start().await;
    let mut process = with_credentials(&ssh_words(service.endpoint(), &[]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let asked = service.next().await;
    assert_eq!(asked.operation(), "StartSession");
    assert_eq!(asked.json()["Target"], TARGET);
    crate::plugin::kill(&process, Signal::INT);
    let access = json!({
        "SessionId": "s-1",
        "StreamUrl": "ws://127.0.0.1:1/x",
        "TokenValue": "token",
    });
    asked.answer(200, &access.to_string());
    let asked = service.next().await;
    assert_eq!(asked.operation(), "TerminateSession");
    assert_eq!(asked.json()["SessionId"], "s-1");
    asked.answer(200, r#"{"SessionId":"s-1"}"#);
    assert_eq!(ended(&mut process).await.code(), Some(130));
}

#[tokio::test]
async fn a_session_that_cannot_be_reached_is_ended() {
    for (url, reason) in [
        (
            "ws://127.0.0.1:1/x",
            "127.0.0.1 port 1 could not be reached",
        ),
        ("wss://host.example/x", "--allow-stream-host"),
    ] {
        let mut service = Service::start().await;
        let plugin = with_credentials(&ssh_words(service.endpoint(), &[]));
        let finished = tokio::spawn(run(plugin));
        let access = json!({"SessionId": "s-1", "StreamUrl": url, "TokenValue": "hidden"});
        service.next().await.answer(200, &access.to_string());
        let asked = service.next().await;
        assert_eq!(asked.operation(), "TerminateSession");
        asked.answer(200, r#"{"SessionId":"s-1"}"#);
        let finished = finished.await.unwrap();
        assert_eq!((finished.status, finished.stdout.as_str()), (Some(1), ""));
        assert!(finished.stderr.contains(reason), "{finished:?}");
        assert!(!finished.stderr.contains("hidden"), "{finished:?}");
    }
}

#[tokio::test]
async fn nothing_is_asked_twice() {
    let mut service = Service::start().await;
    let plugin = with_credentials(&ssh_words(service.endpoint(), &["--reason", "why"]));
    let finished = tokio::spawn(run(plugin));
    let asked = service.next().await;
    assert_eq!(asked.json(), json!({"Target": TARGET, "Reason": "why"}));
    let refusal = r#"{"__type":"AccessDeniedException","message":"no"}"#;
    asked.answer(400, refusal);
    assert_eq!(finished.await.unwrap().status, Some(1));
    assert!(service.is_idle());
}
