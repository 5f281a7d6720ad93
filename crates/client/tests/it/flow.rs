//! Bytes in both directions, in amounts.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use ssm_session::Options;
use ssm_session::SessionEvent;
use ssm_session::TerminalSize;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::SessionType;

use crate::node::Node;
use crate::node::agent_config;
use crate::support::echo_session;
use crate::support::end;
use crate::support::output;
use crate::support::pattern;
use crate::support::session_with;
use crate::support::within_reason;

const MIB: usize = 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn a_shell_answers_and_says_goodbye() {
    let (mut session, node) = echo_session(Options::default(), 64 * 1024).await;
    assert_eq!(output(&mut session, 2).await, b"$ ");
    session.write(b"ls -l\n").await.unwrap();
    assert_eq!(output(&mut session, 6).await, b"ls -l\n");
    session.write(b"exit\r").await.unwrap();
    let close = end(&mut session).await;
    assert_eq!(close.message, "Goodbye.");
    assert!(close.channel_closed && !close.is_failure());
    within_reason(node).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_large_write_arrives_whole_and_in_order() {
    let (mut session, _node) = echo_session(Options::default(), 64 * 1024).await;
    output(&mut session, 2).await;
    let data = pattern(MIB);
    let control = session.control();
    let writing = async { control.write(&data).await.unwrap() };
    let (echo, ()) = tokio::join!(output(&mut session, MIB), writing);
    assert!(echo == data);
}

#[tokio::test(start_paused = true)]
async fn writes_of_several_handles_keep_their_order_and_are_not_mixed() {
    let (mut session, _node) = echo_session(Options::default(), 64 * 1024).await;
    output(&mut session, 2).await;
    let piece = |fill: u8| vec![fill; 200 * 1024];
    let writers = (b'a'..=b'd').map(|fill| {
        let control = session.control();
        tokio::spawn(async move { control.write(&piece(fill)).await })
    });
    let writers: Vec<_> = writers.collect();
    let echo = output(&mut session, 4 * 200 * 1024).await;
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    for run in echo.chunks(200 * 1024) {
        assert!(run.iter().all(|byte| *byte == run[0]));
    }
}

#[tokio::test(start_paused = true)]
async fn input_from_before_the_session_is_established_is_kept_for_it() {
    let (mut session, _node) = session_with(Options::default(), 64 * 1024, |socket| async move {
        Node::open_as(socket, agent_config(SessionType::NON_INTERACTIVE_COMMANDS))
            .await
            .echo()
            .await;
    })
    .await;
    session.write(b"early").await.unwrap();
    assert!(matches!(
        session.next_event().await,
        Some(SessionEvent::Established(_))
    ));
    assert_eq!(output(&mut session, 7).await, b"$ early");
}

#[tokio::test(start_paused = true)]
async fn the_latest_size_reaches_the_node() {
    let size = |cols| TerminalSize { cols, rows: 50 };
    let (mut session, node) =
        session_with(Options::default(), 64 * 1024, move |socket| async move {
            let mut node = Node::open(socket).await;
            loop {
                match node.event().await.unwrap() {
                    AgentEvent::Started { .. } => {
                        node.agent().accept_input();
                        node.print(b"$ ");
                    }
                    AgentEvent::Resize(told) if told == size(132) => break,
                    _ => {}
                }
            }
        })
        .await;
    output(&mut session, 2).await;
    for cols in [80, 100, 132] {
        session.resize(size(cols));
    }
    within_reason(node).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn floods_in_both_directions_pass_through_a_narrow_pipe() {
    let (mut session, node) = session_with(Options::default(), 512, |socket| async move {
        let mut node = Node::open(socket).await;
        let mut input = Vec::<u8>::new();
        while input.len() < 2 * MIB {
            match node.event().await.unwrap() {
                AgentEvent::Started { .. } => {
                    node.agent().accept_input();
                    node.print(&pattern(2 * MIB));
                }
                AgentEvent::Input(data) => input.extend(&data[..]),
                _ => {}
            }
        }
        (input, node)
    })
    .await;
    let control = session.control();
    let writing = tokio::spawn(async move { control.write(&pattern(2 * MIB)).await });
    assert!(output(&mut session, 2 * MIB).await == pattern(2 * MIB));
    within_reason(writing).await.unwrap().unwrap();
    assert!(within_reason(node).await.unwrap().0 == pattern(2 * MIB));
}

/// The application takes no events: the driver stops reading within bounds, goes on sending, and
/// loses nothing.
#[tokio::test(start_paused = true)]
async fn a_slow_application_holds_the_sender_back_and_loses_nothing() {
    const TOTAL: usize = 8 * MIB;
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heard);
    let (mut session, _node) = session_with(Options::default(), 4096, |socket| async move {
        let mut node = Node::open(socket).await;
        while let Some(event) = node.event().await {
            match event {
                AgentEvent::Started { .. } => {
                    node.agent().accept_input();
                    node.print(&pattern(TOTAL));
                }
                AgentEvent::Input(data) => {
                    counter.fetch_add(data.len(), Ordering::Relaxed);
                }
                _ => {}
            }
        }
    })
    .await;
    let first = output(&mut session, 1).await;
    // The clock is paused: this passes when nothing can move any more.
    settle().await;
    session.write(b"still here").await.unwrap();
    settle().await;
    assert_eq!(heard.load(Ordering::Relaxed), 10);

    let mut waiting = Vec::new();
    let take_waiting = async {
        while let Some(Some(SessionEvent::Output { data, .. })) =
            session.next_event().now_or_never()
        {
            waiting.extend(data);
            assert!(
                waiting.len() < 2 * MIB,
                "the driver keeps more than it should"
            );
        }
    };
    tokio::task::coop::unconstrained(take_waiting).await;
    assert!(
        waiting.len() > MIB / 2,
        "the driver stopped reading at {} bytes",
        waiting.len()
    );
    let taken = first.len() + waiting.len();
    let rest = output(&mut session, TOTAL - taken).await;
    assert!([first, waiting, rest].concat() == pattern(TOTAL));
}

async fn settle() {
    let never = std::future::pending::<()>();
    drop(tokio::time::timeout(std::time::Duration::from_secs(5), never).await);
}
