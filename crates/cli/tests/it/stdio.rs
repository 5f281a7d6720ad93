//! Sessions over standard input and output, as `ssh` has them for its `ProxyCommand`.

use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;

use crate::destination::Destination;
use crate::destination::Reserved;
use crate::destination::hostile_messages;
use crate::node::Node;
use crate::node::Started;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::plugin::ended;
use crate::plugin::kill;

const SSH: &str = "AWS-StartSSHSession";

/// Starts the drop-in and takes the one text that stands before the data.
async fn start(started: &Started) -> Piped {
    let mut plugin = Piped::start(command(&started.seven_words()));
    let first = format!("\nStarting session with SessionId: {}\n", started.id());
    let taken = plugin.stdout.take(first.len()).await;
    assert_eq!(String::from_utf8(taken).unwrap(), first);
    plugin
}

async fn exchange(plugin: &mut Piped, data: &[u8]) {
    plugin.write(data).await;
    let answer = plugin.stdout.take(data.len()).await;
    assert!(answer == data, "sent {data:?}, got {answer:?}");
}

#[tokio::test]
async fn every_byte_passes_unchanged_and_nothing_else_is_on_standard_output() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let started = node.port(SSH, destination.port(), &[]);
    let mut plugin = start(&started).await;
    for message in hostile_messages() {
        exchange(&mut plugin, &message).await;
    }
    plugin.signal(Signal::TERM);
    assert_eq!(plugin.stdout.rest().await, b"");
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(0));
    assert!(node.has_ended(&started));
}

#[tokio::test]
async fn connect_has_nothing_but_the_data_on_standard_output() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let started = node.port(SSH, destination.port(), &[]);
    let mut plugin = Piped::start(command(&["connect", &started.json()]));
    exchange(&mut plugin, b"\n").await;
    exchange(&mut plugin, b"SSH-2.0-test\r\n").await;
    plugin.signal(Signal::INT);
    assert_eq!(plugin.stdout.rest().await, b"");
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(130));
}

#[tokio::test]
async fn megabytes_pass_both_ways_at_once() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let mut plugin = start(&node.port(SSH, destination.port(), &[])).await;
    let sent: Vec<u8> = (0..1_u32 << 20)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let mut stdin = plugin.stdin.take().unwrap();
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        stdin.write_all(&copy).await.unwrap();
        stdin
    });
    assert!(plugin.stdout.take(sent.len()).await == sent);
    drop(writing.await.unwrap());
}

#[tokio::test]
async fn the_end_of_the_servers_connection_ends_the_session_with_everything_written() {
    let node = Node::start().await;
    let destination = Destination::serving(|mut connection| async move {
        let line = connection.read_u8().await.unwrap();
        let all = vec![line; 1 << 20];
        connection.write_all(&all).await.unwrap();
    })
    .await;
    let mut plugin = start(&node.port(SSH, destination.port(), &[])).await;
    plugin.write(b"x").await;
    assert!(plugin.stdout.rest().await == vec![b'x'; 1 << 20]);
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn an_answer_to_input_that_has_ended_arrives_whole() {
    let node = Node::start().await;
    let destination = Destination::serving(|mut connection| async move {
        let mut question = [0; 8];
        connection.read_exact(&mut question).await.unwrap();
        connection
            .write_all(&question.repeat(1 << 16))
            .await
            .unwrap();
    })
    .await;
    let mut plugin = start(&node.port(SSH, destination.port(), &[])).await;
    plugin.write(b"question").await;
    drop(plugin.stdin.take());
    assert!(plugin.stdout.rest().await == b"question".repeat(1 << 16));
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn a_server_that_says_nothing_more_after_the_end_of_input_is_left() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let started = node.port(SSH, destination.port(), &[]);
    let mut plugin = start(&started).await;
    exchange(&mut plugin, b"last words").await;
    drop(plugin.stdin.take());
    assert_eq!(plugin.stdout.rest().await, b"");
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(0));
    assert!(node.has_ended(&started));
}

#[tokio::test]
async fn a_program_that_has_gone_ends_the_session_and_its_last_words_arrive() {
    let node = Node::start().await;
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let destination = Destination::serving(move |mut connection| {
        let sender = sender.clone();
        async move {
            let mut all = Vec::new();
            connection.read_to_end(&mut all).await.ok();
            sender.send(all).unwrap();
        }
    })
    .await;
    let started = node.port(SSH, destination.port(), &[]);
    let mut plugin = start(&started).await;
    // So that it finds all of it at once: what is to be sent, that there is no more, and that nobody reads.
    plugin.signal(Signal::STOP);
    let last_words = vec![b'x'; room(plugin.stdin.as_ref().unwrap())];
    plugin.write(&last_words).await;
    let Piped {
        stdout,
        mut stderr,
        stdin,
        mut process,
    } = plugin;
    drop(stdin);
    drop(stdout);
    kill(&process, Signal::CONT);
    assert_eq!(ended(&mut process).await.code(), Some(0));
    assert_eq!(stderr.until_end().await, "");
    assert!(received.recv().await.unwrap() == last_words);
    assert!(node.has_ended(&started));
}

#[tokio::test]
async fn a_reader_that_has_gone_ends_the_session_though_nothing_is_written() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let started = node.port(SSH, destination.port(), &[]);
    let mut plugin = start(&started).await;
    exchange(&mut plugin, b"hello").await;
    let Piped {
        stdout,
        stdin: _stdin,
        mut process,
        ..
    } = plugin;
    drop(stdout);
    assert_eq!(ended(&mut process).await.code(), Some(0));
    assert!(node.has_ended(&started));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_explained_on_standard_error() {
    let (node, reserved) = (Node::start().await, Reserved::new());
    let mut plugin = start(&node.port(SSH, reserved.port(), &[])).await;
    assert_eq!(plugin.stdout.rest().await, b"");
    let said = plugin.stderr.until_end().await;
    assert!(said.starts_with("session-manager-plugin: "), "{said}");
    assert!(
        said.contains("Unable to connect to specified port"),
        "{said}"
    );
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let node = Node::start().await;
    let destination = Destination::serving(|mut connection| async move {
        let all: Vec<u8> = (0..1_u32 << 19).flat_map(u32::to_le_bytes).collect();
        connection.write_all(&all).await.unwrap();
    })
    .await;
    let started = node.port(SSH, destination.port(), &[]);
    let (mut plugin, output) = Piped::start_held(command(&["connect", &started.json()]));
    output.until_full().await;
    let expected: Vec<u8> = (0..1_u32 << 19).flat_map(u32::to_le_bytes).collect();
    assert!(plugin.stdout.rest().await == expected);
    assert_eq!(plugin.status().await.code(), Some(0));
}

/// What a pipe holds: several reads on Linux.
#[cfg(target_os = "linux")]
fn room(pipe: &ChildStdin) -> usize {
    rustix::pipe::fcntl_setpipe_size(pipe, 1 << 18).unwrap()
}

#[cfg(not(target_os = "linux"))]
fn room(_: &ChildStdin) -> usize {
    1 << 13
}
