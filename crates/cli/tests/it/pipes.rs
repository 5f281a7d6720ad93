//! Sessions without a terminal.

use std::process::Stdio;

use rustix::process::Signal;

use crate::node::Node;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::plugin::run;

#[tokio::test]
async fn every_number_of_words_starts_a_session() {
    let node = Node::start().await;
    for count in 3..=6 {
        let started = node.shell();
        let mut plugin = Piped::start(command(&started.seven_words()[..count]));
        plugin.write(b"echo $((6 * 7)) words; exit\n").await;
        plugin.stdout.until("42 words\r\n").await;
        let all = plugin.stdout.until_end().await;
        let (first, last) = (
            format!("\nStarting session with SessionId: {}\n", started.id()),
            format!("\n\nExiting session with sessionId: {}.\n\n", started.id()),
        );
        assert!(
            all.starts_with(&first) && all.ends_with(&last),
            "{count}: {all}"
        );
        assert_eq!(plugin.stderr.until_end().await, "");
        assert_eq!(plugin.status().await.code(), Some(0));
    }
}

#[tokio::test]
async fn the_response_may_have_keys_in_any_case_and_more_of_them() {
    let node = Node::start().await;
    let started = node.shell();
    let response = serde_json::json!({
        "sessionId": started.id(),
        "STREAMURL": started.url(),
        "tokenvalue": started.token(),
        "ResponseMetadata": {"HTTPStatusCode": 200},
    });
    let mut plugin = Piped::start(command(&[
        &response.to_string(),
        "us-east-1",
        "StartSession",
    ]));
    plugin.write(b"exit\n").await;
    assert!(
        plugin
            .stdout
            .until_end()
            .await
            .contains("Exiting session with sessionId: ")
    );
}

#[tokio::test]
async fn output_that_is_still_to_come_at_the_end_of_input_is_not_lost() {
    let node = Node::start().await;
    let mut plugin = Piped::start(command(&["connect", &node.shell().json()]));
    plugin.write(b"PS1=; stty -echo; echo rea''dy\n").await;
    plugin.stdout.until("ready\r\n").await;
    plugin.write(b"seq 1 20000\n").await;
    drop(plugin.stdin.take());
    let expected: String = (1..=20000).map(|n| format!("{n}\r\n")).collect();
    plugin.stdout.until(&expected).await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn input_that_ends_before_the_session_is_up_is_delivered() {
    let node = Node::start().await;
    for input in ["echo $((6 * 7)) early\n", "echo $((6 * 7)) early"] {
        let mut plugin = Piped::start(command(&["connect", &node.shell().json()]));
        plugin.write(input.as_bytes()).await;
        drop(plugin.stdin.take());
        plugin.stdout.until("42 early\r\n").await;
        plugin.stdout.until_end().await;
        assert_eq!(plugin.status().await.code(), Some(0));
    }
}

#[tokio::test]
async fn the_end_of_input_reaches_the_program_that_reads_it_and_then_its_shell() {
    let node = Node::start().await;
    let mut plugin = Piped::start(command(&["connect", &node.shell().json()]));
    plugin
        .write(b"PS1=; stty -echo; cat; echo cat has en''ded\nsome text\n")
        .await;
    drop(plugin.stdin.take());
    plugin.stdout.until("some text\r\n").await;
    plugin.stdout.until("cat has ended\r\n").await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn no_input_at_all_ends_a_shell() {
    let node = Node::start().await;
    let finished = run(command(&node.shell().seven_words())).await;
    assert!(
        finished
            .stdout
            .contains("\n\nExiting session with sessionId: "),
        "{finished:?}"
    );
    assert_eq!((finished.stderr.as_str(), finished.status), ("", Some(0)));
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_session() {
    let node = Node::start().await;
    let mut plugin = Piped::start(command(&["connect", &node.shell().json()]));
    plugin.write(b"echo rea''dy; yes\n").await;
    plugin.stdout.until("ready\r\n").await;
    let Piped {
        stdout,
        mut stderr,
        stdin: _stdin,
        mut process,
    } = plugin;
    drop(stdout);
    assert_eq!(stderr.until_end().await, "");
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_reader_that_reads_nothing_does_not_keep_signals_from_ending_the_session() {
    let node = Node::start().await;
    let (mut plugin, output) = Piped::start_held(command(&["connect", &node.shell().json()]));
    plugin.write(b"echo rea''dy; yes\n").await;
    plugin.stdout.until("ready\r\n").await;
    output.until_full().await;
    plugin.signal(Signal::TERM);
    assert_eq!(plugin.status().await.code(), Some(143));
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let node = Node::start().await;
    let (mut plugin, output) = Piped::start_held(command(&["connect", &node.shell().json()]));
    plugin
        .write(b"PS1=; stty -echo; echo rea''dy; read go; seq 1 200000; exit\n")
        .await;
    plugin.stdout.until("ready\r\n").await;
    plugin.write(b"\n").await;
    output.until_full().await;
    let expected: String = (1..=200_000).map(|n| format!("{n}\r\n")).collect();
    plugin.stdout.until(&expected).await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn output_that_cannot_be_written_is_a_failure() {
    let node = Node::start().await;
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let child = command(&[
        "connect",
        &node.command("Emulator-SeparateOutput", "echo lost").json(),
    ])
    .stdin(Stdio::null())
    .stdout(full)
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let finished = child.wait_with_output().await.unwrap();
    assert_eq!(finished.status.code(), Some(1));
    let said = String::from_utf8(finished.stderr).unwrap();
    assert!(
        said.contains("standard output could not be written: No space left"),
        "{said}"
    );
}
