//! Commands without a terminal, whose streams and exit code stay apart.

use std::os::unix::fs::PermissionsExt as _;

use crate::node::Node;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::plugin::run;

const DOCUMENT: &str = "Emulator-SeparateOutput";
const COMMAND: &str = "sh -c 'echo out; echo err >&2; exit 3'";

#[tokio::test]
async fn connect_keeps_output_errors_and_exit_code_apart() {
    let node = Node::start().await;
    let finished = run(command(&[
        "connect",
        &node.command(DOCUMENT, COMMAND).json(),
    ]))
    .await;
    assert_eq!(finished.stdout, "out\n");
    assert_eq!(finished.stderr, "err\n");
    assert_eq!(finished.status, Some(3));
}

#[tokio::test]
async fn the_drop_in_puts_all_of_it_on_standard_output_with_status_0() {
    let node = Node::start().await;
    let started = node.command(DOCUMENT, COMMAND);
    let finished = run(command(&started.seven_words())).await;
    let id = started.id();
    let first = format!("\nStarting session with SessionId: {id}\n");
    let last = format!("EXIT_CODE: 3\n\nExiting session with sessionId: {id}.\n\n");
    assert!(finished.stdout.starts_with(&first), "{finished:?}");
    assert!(finished.stdout.ends_with(&last), "{finished:?}");
    assert!(
        finished.stdout.contains("out\n") && finished.stdout.contains("err\n"),
        "{finished:?}"
    );
    assert_eq!((finished.stderr.as_str(), finished.status), ("", Some(0)));
}

#[tokio::test]
async fn a_command_by_the_aws_document_succeeds_without_an_exit_code() {
    let node = Node::start().await;
    let started = node.command("AWS-StartNonInteractiveCommand", "echo only output");
    let finished = run(command(&["connect", &started.json()])).await;
    assert_eq!(finished.stdout, "only output\n", "{finished:?}");
    assert_eq!(finished.status, Some(0));
}

#[tokio::test]
async fn standard_input_is_left_alone() {
    let node = Node::start().await;
    let mut plugin = Piped::start(command(&[
        "connect",
        &node.command(DOCUMENT, "sh -c 'exit 4'").json(),
    ]));
    // 3 and 28 would interrupt and quit the command, were they sent.
    plugin.write(b"binary \x03 \x1c input").await;
    assert_eq!(plugin.status().await.code(), Some(4));
}

#[tokio::test]
async fn the_token_may_come_from_the_environment() {
    let node = Node::start().await;
    let started = node.command(DOCUMENT, COMMAND);
    let words = [
        "connect",
        "--session-id",
        started.id(),
        "--stream-url",
        started.url(),
    ];
    let mut command = command(&words);
    command.env("SSM_SESSION_TOKEN", started.token());
    assert_eq!(run(command).await.status, Some(3));
}

#[tokio::test]
async fn the_response_may_come_from_the_environment() {
    let node = Node::start().await;
    let mut command = command(&["connect"]);
    command.env(
        "AWS_SSM_START_SESSION_RESPONSE",
        node.command(DOCUMENT, COMMAND).json(),
    );
    assert_eq!(run(command).await.status, Some(3));
}

#[tokio::test]
async fn the_token_may_be_the_first_line_of_standard_input_and_the_rest_is_the_sessions() {
    let node = Node::start().await;
    let started = node.shell();
    let words = [
        "connect",
        "--session-id",
        started.id(),
        "--stream-url",
        started.url(),
        "--token-value",
        "-",
    ];
    let mut plugin = Piped::start(command(&words));
    plugin
        .write(format!("{}\necho $((6 * 7)) behind; exit\n", started.token()).as_bytes())
        .await;
    plugin.stdout.until("42 behind\r\n").await;
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn the_response_may_stand_on_standard_input_before_the_sessions_input() {
    let node = Node::start().await;
    let mut plugin = Piped::start(command(&["connect", "-"]));
    plugin
        .write(format!("{}\necho $((6 * 7)) behind; exit\n", node.shell().json()).as_bytes())
        .await;
    plugin.stdout.until("42 behind\r\n").await;
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn a_wrong_token_is_refused_in_one_line_without_the_token() {
    let node = Node::start().await;
    let started = node.shell();
    let response = started.json().replace(started.token(), "a-wrong-token");
    let finished = run(command(&["connect", &response])).await;
    assert_eq!(
        (finished.status, finished.stdout.as_str()),
        (Some(1), ""),
        "{finished:?}"
    );
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    assert!(!finished.stderr.contains("a-wrong-token"), "{finished:?}");
}

#[tokio::test]
async fn a_host_that_speaks_http_alone_is_reported_with_its_answer() {
    let node = Node::start().await;
    let url = node.emulator.endpoint().replace("http:", "ws:") + "/nowhere";
    let response =
        serde_json::json!({"SessionId": "s", "StreamUrl": url, "TokenValue": "t"}).to_string();
    let finished = run(command(&["connect", &response])).await;
    assert_eq!(
        (finished.status, finished.stdout.as_str()),
        (Some(1), ""),
        "{finished:?}"
    );
    assert!(finished.stderr.contains("HTTP 4"), "{finished:?}");
}

#[tokio::test]
async fn the_most_detailed_log_is_private_and_has_no_token_in_it() {
    let node = Node::start().await;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let started = node.command(DOCUMENT, COMMAND);
    let finished = run(command(&[
        "-vv",
        "--log-file",
        log.to_str().unwrap(),
        "connect",
        &started.json(),
    ]))
    .await;
    assert_eq!(
        (finished.stderr.as_str(), finished.status),
        ("err\n", Some(3))
    );
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains(started.id()), "{text}");
    assert!(text.contains("TRACE"), "{text}");
    assert!(!text.contains(started.token()), "{text}");
    assert_eq!(
        std::fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn the_log_goes_to_standard_error_only_when_asked_for() {
    let node = Node::start().await;
    let verbose = run(command(&[
        "-v",
        "connect",
        &node.command(DOCUMENT, COMMAND).json(),
    ]))
    .await;
    assert_eq!(
        (verbose.stdout.as_str(), verbose.status),
        ("out\n", Some(3))
    );
    assert!(
        verbose.stderr.contains("session established"),
        "{verbose:?}"
    );

    let mut drop_in = command(&node.command(DOCUMENT, COMMAND).seven_words());
    drop_in.env("RUST_LOG", "trace");
    assert_eq!(run(drop_in).await.stderr, "");
}
