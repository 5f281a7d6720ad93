//! Ends of forwards, other than by a signal.

use rustix::process::Signal;

use crate::destination::Destination;
use crate::destination::connect;
use crate::destination::exchange;
use crate::destination::rest;
use crate::forward::Forward;
use crate::node::Node;
use crate::plugin::Piped;
use crate::plugin::ended;

#[tokio::test]
async fn a_session_that_the_service_ends_takes_its_open_connections_along() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let started = node.forward(destination.port());
    let mut forward = Forward::start(&started).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut connection = connect(forward.port).await;
        exchange(&mut connection, b"hello").await;
        open.push(connection);
    }
    node.emulator.terminate_session(started.id()).await;
    let said = forward.until_end().await;
    assert!(said.ends_with(&forward.last()), "{said}");
    assert!(!said.contains("Terminate signal"), "{said}");
    for mut connection in open {
        assert_eq!(rest(&mut connection).await, b"");
    }
}

#[tokio::test]
async fn open_connections_end_with_the_signal_that_ends_the_session() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let mut forward = Forward::start(&node.forward(destination.port())).await;
    let mut connection = connect(forward.port).await;
    exchange(&mut connection, b"hello").await;
    let said = forward.end(Signal::TERM).await;
    assert!(said.ends_with(&forward.last()), "{said}");
    assert_eq!(rest(&mut connection).await, b"");
}

#[tokio::test]
async fn connections_go_on_when_nobody_reads_the_texts_any_more() {
    let (node, mut destination) = (Node::start().await, Destination::echo().await);
    let forward = Forward::start(&node.forward(destination.port())).await;
    let port = forward.port;
    let Piped {
        stdout,
        mut stderr,
        stdin: _stdin,
        mut process,
    } = forward.plugin;
    drop(stdout);
    let mut first = connect(port).await;
    exchange(&mut first, b"first").await;
    let mut second = connect(port).await;
    exchange(&mut second, b"second").await;
    destination.close().await;
    // The text for it has nowhere to go.
    assert_eq!(rest(&mut connect(port).await).await, b"");
    exchange(&mut first, b"still there").await;
    node.emulator.shutdown().await;
    assert_eq!(stderr.until_end().await, "");
    assert_eq!(ended(&mut process).await.code(), Some(0));
}
