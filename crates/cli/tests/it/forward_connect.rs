//! Forwards by `connect`: standard output stays empty, standard error says what happens.

use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::destination::Destination;
use crate::destination::connect;
use crate::destination::exchange;
use crate::destination::rest;
use crate::node::Node;
use crate::plugin::Piped;
use crate::plugin::command;

async fn start(node: &Node, destination: &Destination) -> (Piped, u16) {
    let started = node.forward(destination.port());
    let mut plugin = Piped::start(command(&["connect", &started.json()]));
    plugin.stderr.until("session-manager-plugin: port ").await;
    let port = plugin
        .stderr
        .up_to(" is open, waiting for connections\n")
        .await;
    (plugin, port.parse().unwrap())
}

#[tokio::test]
async fn each_event_is_one_line_and_the_status_is_the_signals() {
    for (signal, status) in [
        (Signal::INT, 130),
        (Signal::QUIT, 131),
        (Signal::TERM, 143),
        (Signal::HUP, 129),
    ] {
        let (node, mut destination) = (Node::start().await, Destination::echo().await);
        let (mut plugin, port) = start(&node, &destination).await;
        exchange(&mut connect(port).await, b"hello").await;
        plugin
            .stderr
            .until("session-manager-plugin: the first connection has come\n")
            .await;
        destination.close().await;
        assert_eq!(rest(&mut connect(port).await).await, b"");
        plugin
            .stderr
            .until("session-manager-plugin: a connection was ended because the node could not reach the destination;")
            .await;
        plugin.signal(signal);
        plugin
            .stderr
            .until("session-manager-plugin: ending the session\n")
            .await;
        let all = plugin.stderr.until_end().await;
        assert_eq!(all.lines().count(), 4, "{all}");
        assert_eq!(plugin.stdout.until_end().await, "");
        assert_eq!(plugin.status().await.code(), Some(status), "{signal:?}");
    }
}

#[tokio::test]
async fn a_session_that_the_service_ends_is_no_failure() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let (mut plugin, _) = start(&node, &destination).await;
    node.emulator.shutdown().await;
    let all = plugin.stderr.until_end().await;
    assert_eq!(all.lines().count(), 1, "{all}");
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn a_program_that_reads_nothing_is_cut_off_with_a_word_and_the_others_go_on() {
    let node = Node::start().await;
    let destination = Destination::serving(|mut connection| async move {
        while connection.write_all(&[b'x'; 1 << 16]).await.is_ok() {}
    })
    .await;
    let (mut plugin, port) = start(&node, &destination).await;
    let _idle = connect(port).await;
    let mut busy = connect(port).await;
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        while busy.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    });
    let told = "one connection was ended because its program did not read for 4 MiB\n";
    plugin.stderr.until(told).await;
    assert!(!reading.is_finished());
    plugin.signal(Signal::TERM);
    assert_eq!(plugin.status().await.code(), Some(143));
    reading.await.unwrap();
}
