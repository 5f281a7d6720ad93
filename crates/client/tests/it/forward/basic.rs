//! Agents that know one connection at a time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use ssm_session::LocalConnection;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session::Timeouts;
use ssm_session_proto::AgentEvent;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::rig::OLD_AGENT;
use super::rig::forward_config;
use super::rig::patient;
use super::rig::round_trip;
use super::rig::tcp_pair;
use crate::node::Node;
use crate::support::end;
use crate::support::pattern;
use crate::support::session_with;
use crate::support::within_reason;

/// What the destination saw.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Bytes(Bytes),
    Disconnected,
}

/// A session whose destination says `greeting` as soon as it can, and echoes.
async fn basic(
    options: Options,
    greeting: &'static [u8],
) -> (Session, mpsc::UnboundedReceiver<Seen>) {
    let (see, seen) = mpsc::unbounded_channel();
    let (session, _) = session_with(options, 64 * 1024, move |socket| async move {
        let mut node = Node::open_as(socket, forward_config(OLD_AGENT)).await;
        while let Some(event) = node.event().await {
            match event {
                AgentEvent::Started { .. } => {
                    node.agent().accept_input();
                    node.print(greeting);
                }
                AgentEvent::Input(data) => {
                    node.print(&data);
                    see.send(Seen::Bytes(data)).ok();
                }
                AgentEvent::Flag(1) => see.send(Seen::Disconnected).unwrap_or_default(),
                AgentEvent::Flag(2) => node.agent().finish(crate::node::now()),
                AgentEvent::Drained => node.close_channel(""),
                _ => {}
            }
        }
    })
    .await;
    (session, seen)
}

/// What was seen up to the next disconnection.
async fn until_disconnected(seen: &mut mpsc::UnboundedReceiver<Seen>) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match within_reason(seen.recv()).await.unwrap() {
            Seen::Bytes(data) => bytes.extend(data),
            Seen::Disconnected => return bytes,
        }
    }
}

fn pipe() -> (DuplexStream, LocalConnection) {
    let (program, ours) = tokio::io::duplex(64 * 1024);
    (program, LocalConnection::new(ours))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn connections_take_turns_and_are_not_mixed() {
    let (session, mut seen) = basic(patient(), b"").await;
    for round in 0..3 {
        let (mut program, ours) = tcp_pair().await;
        within_reason(session.forward(ours.into())).await.unwrap();
        let data = pattern(200_000 + round);
        assert!(round_trip(&mut program, &data).await == data);
        drop(program);
        assert!(until_disconnected(&mut seen).await == data);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_next_connection_waits_until_the_one_before_is_over() {
    let (session, mut seen) = basic(patient(), b"").await;
    let (mut first, ours) = tokio::net::UnixStream::pair().unwrap();
    within_reason(session.forward(ours.into())).await.unwrap();
    assert_eq!(round_trip(&mut first, b"first").await, b"first");

    let (mut second, ours) = tokio::net::UnixStream::pair().unwrap();
    let control = session.control();
    second.write_all(b"second").await.unwrap();
    let mut waiting = Box::pin(control.forward(ours.into()));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(round_trip(&mut first, b"again").await, b"again");
    assert!(waiting.as_mut().now_or_never().is_none());

    drop(first);
    within_reason(waiting).await.unwrap();
    let mut echoed = [0; 6];
    within_reason(second.read_exact(&mut echoed)).await.unwrap();
    assert_eq!(&echoed, b"second");
    assert_eq!(until_disconnected(&mut seen).await, b"firstagain");
    assert_eq!(
        within_reason(seen.recv()).await,
        Some(Seen::Bytes(Bytes::from_static(b"second")))
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_destination_says_first_is_kept_for_the_first_program() {
    let (mut session, _seen) = basic(patient(), b"220 ready").await;
    assert!(matches!(
        within_reason(session.next_event()).await,
        Some(SessionEvent::Established(_))
    ));
    // The clock is paused: the greeting has come when nothing moves any more.
    let quiet = tokio::time::timeout(Duration::from_secs(5), session.next_event()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let (mut program, connection) = pipe();
    session.forward(connection).await.unwrap();
    let mut greeting = [0; 9];
    within_reason(program.read_exact(&mut greeting))
        .await
        .unwrap();
    assert_eq!(&greeting, b"220 ready");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_has_said_its_last_gets_the_answer_and_then_the_end() {
    let options = Options {
        timeouts: Timeouts {
            half_close: Duration::from_secs(30),
            ..Timeouts::default()
        },
        ..Options::default()
    };
    let (session, mut seen) = basic(options, b"").await;
    let (mut program, connection) = pipe();
    session.forward(connection).await.unwrap();
    program.write_all(b"question").await.unwrap();
    let asked = Instant::now();
    program.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within_reason(program.read_to_end(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, b"question");
    assert_eq!(asked.elapsed().as_secs(), 30);
    assert_eq!(until_disconnected(&mut seen).await, b"question");
    let (mut next, connection) = pipe();
    within_reason(session.forward(connection)).await.unwrap();
    assert_eq!(round_trip(&mut next, b"next").await, b"next");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_read_holds_its_destination_back_and_loses_nothing() {
    const TOTAL: usize = 8 * 1024 * 1024;
    let (session, mut seen) = basic(patient(), b"").await;
    let (mut program, connection) = pipe();
    session.forward(connection).await.unwrap();
    let (mut from, mut to) = tokio::io::split(&mut program);
    let data = pattern(TOTAL);
    let reading = async {
        // Begins when nothing moves any more.
        let never = std::future::pending::<()>();
        drop(tokio::time::timeout(Duration::from_secs(5), never).await);
        let mut received = vec![0; TOTAL];
        from.read_exact(&mut received).await.unwrap();
        received
    };
    let both = async { tokio::join!(to.write_all(&data), reading) };
    let (written, received) = within_reason(both).await;
    written.unwrap();
    assert!(received == data);
    seen.close();
}

#[tokio::test(start_paused = true)]
async fn terminating_is_not_held_up_by_a_program_that_does_not_read() {
    static FLOOD: [u8; 4 * 1024 * 1024] = [7; 4 * 1024 * 1024];
    let (mut session, _seen) = basic(patient(), &FLOOD).await;
    let (_stuck, connection) = pipe();
    session.forward(connection).await.unwrap();
    let never = std::future::pending::<()>();
    drop(tokio::time::timeout(Duration::from_secs(5), never).await);
    let asked = Instant::now();
    session.terminate();
    let close = end(&mut session).await;
    assert!(close.channel_closed, "{close:?}");
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
}
