//! Every byte arrives as it was, however it is written.

use ssm_session::LocalConnection;
use ssm_session_proto::AgentEvent;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;

use super::rig::Forward;
use super::rig::OLD_AGENT;
use super::rig::echo;
use super::rig::forward_config;
use super::rig::patient;
use super::rig::round_trip;
use crate::node::Node;
use crate::support::session_with;
use crate::support::within_reason;

/// Each byte in a write of its own, a line feed alone too, and all pairs.
async fn passes_every_byte(mut program: DuplexStream) {
    for byte in 0..=255 {
        program.write_all(&[byte]).await.unwrap();
        let echoed = within_reason(program.read_u8()).await.unwrap();
        assert_eq!(echoed, byte);
    }
    let pairs = |first: u8| (0..=255).map(move |second| [first, second]);
    for first in 0..=255 {
        let all: Vec<u8> = pairs(first).flatten().collect();
        assert!(round_trip(&mut program, &all).await == all, "{first}");
    }
    for pair in pairs(b'\n').chain(pairs(b'\r')).chain(pairs(0)) {
        assert_eq!(round_trip(&mut program, &pair).await, pair);
    }
}

#[tokio::test(start_paused = true)]
async fn a_multiplexed_session_changes_no_byte() {
    let forward = Forward::to(patient(), echo).await;
    passes_every_byte(forward.pipe().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_basic_session_changes_no_byte() {
    let (session, _node) = session_with(patient(), 64 * 1024, |socket| async move {
        let mut node = Node::open_as(socket, forward_config(OLD_AGENT)).await;
        while let Some(event) = node.event().await {
            match event {
                AgentEvent::Started { .. } => node.agent().accept_input(),
                AgentEvent::Input(data) => node.print(&data),
                _ => {}
            }
        }
    })
    .await;
    let (program, ours) = tokio::io::duplex(64 * 1024);
    let connection = LocalConnection::new(ours);
    session.forward(connection).await.unwrap();
    passes_every_byte(program).await;
}
