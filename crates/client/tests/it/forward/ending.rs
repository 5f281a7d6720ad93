//! The end of a session that has connections.

use std::io::ErrorKind;
use std::time::Duration;

use ssm_session::Closed;
use ssm_session::EndedBy;
use ssm_session::LocalConnection;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session_proto::AgentEvent;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::rig::Forward;
use super::rig::NEW_AGENT;
use super::rig::echo;
use super::rig::forward_config;
use super::rig::patient;
use super::rig::round_trip;
use super::rig::tcp_pair;
use crate::node::Node;
use crate::node::now;
use crate::support::echo_session;
use crate::support::end;
use crate::support::pattern;
use crate::support::session_with;
use crate::support::within_reason;

#[tokio::test]
async fn terminating_resets_open_connections() {
    let mut forward = Forward::to(patient(), echo).await;
    let mut program = forward.tcp().await;
    assert_eq!(round_trip(&mut program, b"hello").await, b"hello");
    forward.session.terminate();
    let close = end(&mut forward.session).await;
    assert_eq!(close.by, EndedBy::Us);
    assert!(close.channel_closed && !close.is_failure(), "{close:?}");
    let error = program.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    within_reason(forward.node).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn terminating_is_not_held_up_by_a_program_that_does_not_read() {
    let mut forward = Forward::to(patient(), |mut pipe| async move {
        while pipe.write_all(&[7; 16 * 1024]).await.is_ok() {}
    })
    .await;
    let _stuck = forward.pipe().await;
    // The clock is paused: this passes when nothing can move any more.
    let never = std::future::pending::<()>();
    drop(tokio::time::timeout(Duration::from_secs(5), never).await);
    let asked = Instant::now();
    forward.session.terminate();
    let close = end(&mut forward.session).await;
    assert!(close.channel_closed, "{close:?}");
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
}

/// A node whose only destination sends `data`, ends it or not, and then the channel is closed.
async fn answer_and_close(data: &'static [u8], whole: bool) -> Session {
    let (session, _) = session_with(patient(), 64 * 1024, move |socket| async move {
        let mut node = Node::open_as(socket, forward_config(NEW_AGENT)).await;
        node.multiplex();
        let mut answered = false;
        while let Some(event) = node.event().await {
            match event {
                AgentEvent::Started { .. } => node.agent().accept_input(),
                AgentEvent::Input(input) => {
                    for id in node.streams().on_input(input) {
                        let mux = &mut node.streams().mux;
                        assert_eq!(mux.write(id, data.into()), data.len());
                        if whole {
                            mux.finish(id);
                        }
                        answered = true;
                    }
                }
                AgentEvent::Drained => node.close_channel(""),
                _ => {}
            }
            node.work();
            if answered && node.has_sent_all() {
                node.agent().finish(now());
            }
        }
    })
    .await;
    session
}

#[tokio::test]
async fn what_came_before_the_end_reaches_the_program_and_a_cut_is_an_error() {
    for whole in [true, false] {
        let mut session = answer_and_close(b"the answer", whole).await;
        let (mut program, ours) = tcp_pair().await;
        session.forward(ours.into()).await.unwrap();
        let mut received = Vec::new();
        let read = within_reason(program.read_to_end(&mut received)).await;
        assert_eq!(received, b"the answer");
        let kind = read.map_err(|error| error.kind()).map(|_| ());
        let expected = if whole {
            Ok(())
        } else {
            Err(ErrorKind::ConnectionReset)
        };
        assert_eq!(kind, expected);
        assert!(end(&mut session).await.channel_closed);
    }
}

#[tokio::test]
async fn a_whole_answer_stays_whole_when_the_session_ends_before_it_is_read() {
    let mut forward = Forward::to(patient(), |mut pipe| async move {
        pipe.write_all(b"the answer").await.unwrap();
    })
    .await;
    let mut program = forward.tcp().await;
    forward.has_streams(0).await;
    forward.session.terminate();
    assert!(end(&mut forward.session).await.channel_closed);
    let mut received = Vec::new();
    program.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"the answer");
}

#[tokio::test]
async fn a_lost_connection_resets_what_it_carried() {
    let mut forward = Forward::to(patient(), echo).await;
    let mut program = forward.tcp().await;
    assert_eq!(round_trip(&mut program, b"hello").await, b"hello");
    forward.node.abort();
    let close = end(&mut forward.session).await;
    assert_eq!(close.by, EndedBy::Network);
    let error = program.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn dropping_every_handle_resets_what_was_carried() {
    let forward = Forward::to(patient(), echo).await;
    let mut program = forward.tcp().await;
    assert_eq!(round_trip(&mut program, b"hello").await, b"hello");
    drop(forward.session);
    let error = within_reason(program.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_session_that_is_over_or_no_forward_resets_what_it_is_given() {
    let mut forward = Forward::to(patient(), echo).await;
    forward.session.terminate();
    end(&mut forward.session).await;
    let (shell, _node) = echo_session(Options::default(), 64 * 1024).await;
    for session in [&forward.session, &shell] {
        let (mut program, ours) = tcp_pair().await;
        assert_eq!(
            within_reason(session.forward(ours.into())).await,
            Err(Closed)
        );
        let error = program.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn who_waits_for_a_session_that_never_comes_about_is_told() {
    let (mut session, node) = session_with(patient(), 4096, |socket| async move {
        Node::open_as(socket, forward_config(NEW_AGENT)).await
    })
    .await;
    let (mut program, ours) = tcp_pair().await;
    let control = session.control();
    let forwarding = tokio::spawn(async move { control.forward(ours.into()).await });
    drop(within_reason(node).await.unwrap());
    assert_eq!(end(&mut session).await.by, EndedBy::Network);
    assert_eq!(within_reason(forwarding).await.unwrap(), Err(Closed));
    let error = program.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// More than fits all buffers on the way is under way when the end comes.
#[tokio::test(start_paused = true)]
async fn a_program_that_reads_on_gets_everything_that_had_come() {
    static ANSWER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| pattern(60_000));
    let mut session = answer_and_close(&ANSWER, true).await;
    let (mut program, ours) = tokio::io::duplex(100);
    session.forward(LocalConnection::new(ours)).await.unwrap();
    let mut received = Vec::new();
    within_reason(program.read_to_end(&mut received))
        .await
        .unwrap();
    assert!(received == *ANSWER, "{} bytes", received.len());
    assert!(end(&mut session).await.channel_closed);
}
