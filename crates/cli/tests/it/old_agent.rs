//! Forwards through agents that know one connection at a time.

use rustix::process::Signal;

use crate::destination::Destination;
use crate::destination::connect;
use crate::destination::exchange;
use crate::destination::hostile_messages;
use crate::forward::Forward;
use crate::node::Node;

/// The newest agent without multiplexed sessions.
const OLD: &str = "3.0.196.0";

#[tokio::test]
async fn connections_take_turns_and_the_texts_are_the_plugins() {
    let (node, destination) = (Node::with_agent(OLD).await, Destination::echo().await);
    let mut forward = Forward::start(&node.forward(destination.port())).await;
    let mut first = connect(forward.port).await;
    exchange(&mut first, b"first").await;
    // It is connected to us, and waits.
    let mut second = connect(forward.port).await;
    exchange(&mut first, b"still the first").await;
    drop(first);
    exchange(&mut second, b"second").await;
    drop(second);
    exchange(&mut connect(forward.port).await, b"third").await;
    let accepted = format!("Connection accepted for session {}.\n", forward.id);
    let terminated = "Terminate signal received, exiting.\n";
    let last = forward.last();
    assert_eq!(
        forward.end(Signal::INT).await,
        format!("{accepted}{terminated}{last}")
    );
}

#[tokio::test]
async fn every_byte_passes_unchanged_alone_in_pairs_and_in_one_piece() {
    let (node, destination) = (Node::with_agent(OLD).await, Destination::echo().await);
    let forward = Forward::start(&node.forward(destination.port())).await;
    let mut connection = connect(forward.port).await;
    for message in hostile_messages() {
        exchange(&mut connection, &message).await;
    }
}

#[tokio::test]
async fn a_waiting_connection_does_not_hold_up_the_end() {
    let (node, destination) = (Node::with_agent(OLD).await, Destination::echo().await);
    let mut forward = Forward::start(&node.forward(destination.port())).await;
    let mut first = connect(forward.port).await;
    exchange(&mut first, b"first").await;
    let _second = connect(forward.port).await;
    let said = forward.end(Signal::TERM).await;
    assert!(said.ends_with(&forward.last()), "{said}");
}
