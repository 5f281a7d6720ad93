//! Every way a session ends.

use std::time::Duration;

use futures_util::SinkExt as _;
use ssm_session::Closed;
use ssm_session::EndedBy;
use ssm_session::Options;
use ssm_session::SessionEvent;
use ssm_session::Timeouts;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::SessionType;
use tokio::time::Instant;
use tokio_websockets::CloseCode;
use tokio_websockets::Message;

use crate::node::Node;
use crate::node::agent_config;
use crate::node::now;
use crate::support::echo_session;
use crate::support::end;
use crate::support::output;
use crate::support::pattern;
use crate::support::receive;
use crate::support::session_with;
use crate::support::within_reason;

#[tokio::test(start_paused = true)]
async fn a_close_frame_instead_of_a_session_is_reported_with_its_words() {
    let words = "Channel x: request to open data channel does not contain token.";
    let (mut session, _peer) =
        session_with(Options::default(), 4096, move |mut socket| async move {
            receive(&mut socket).await.unwrap();
            socket
                .send(Message::close(Some(CloseCode::UNSUPPORTED_DATA), words))
                .await
                .unwrap();
        })
        .await;
    let close = end(&mut session).await;
    assert_eq!((close.by, close.close_code), (EndedBy::Service, Some(1003)));
    assert_eq!(
        close.message,
        format!("the service closed the connection with code 1003: {words}")
    );
    assert!(close.is_failure());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_just_ends_is_the_networks_doing() {
    let (mut session, _peer) =
        session_with(
            Options::default(),
            4096,
            |socket| async move { drop(socket) },
        )
        .await;
    let close = end(&mut session).await;
    assert_eq!(close.by, EndedBy::Network);
    assert!(close.is_failure() && close.may_live_on());
    assert_eq!(session.write(b"x").await, Err(Closed));
}

#[tokio::test(start_paused = true)]
async fn output_and_words_sent_just_before_hanging_up_are_heard() {
    let (mut session, _node) = session_with(Options::default(), 64 * 1024, |socket| async move {
        let mut node = Node::open(socket).await;
        while !matches!(node.event().await.unwrap(), AgentEvent::Started { .. }) {}
        node.print(b"last output");
        node.close_channel("words");
    })
    .await;
    assert_eq!(output(&mut session, 11).await, b"last output");
    let close = end(&mut session).await;
    assert!(close.channel_closed);
    assert_eq!(
        (close.by, close.message.as_str()),
        (EndedBy::Service, "words")
    );
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_no_messages_end_the_session_after_a_while() {
    let (mut session, _peer) = session_with(Options::default(), 4096, |mut socket| async move {
        while socket.send(Message::binary(&b"garbage"[..])).await.is_ok() {}
    })
    .await;
    let close = end(&mut session).await;
    assert_eq!(close.by, EndedBy::Us);
    assert!(
        close
            .message
            .starts_with("the other end broke the protocol: "),
        "{}",
        close.message
    );
}

#[tokio::test(start_paused = true)]
async fn some_garbage_between_messages_does_no_harm() {
    let (mut session, _node) = session_with(Options::default(), 64 * 1024, |socket| async move {
        let node = Node::open(socket).await;
        for garbage in [&b"text"[..], &[0; 200], &[0xff; 50], b""] {
            node.send(Message::binary(garbage));
            node.send(Message::ping(&b"?"[..]));
        }
        node.send(Message::text("hello"));
        node.echo().await;
    })
    .await;
    assert_eq!(output(&mut session, 2).await, b"$ ");
}

#[tokio::test(start_paused = true)]
async fn a_message_beyond_the_limit_ends_the_connection() {
    let (mut session, _peer) = session_with(Options::default(), 4096, |mut socket| async move {
        let huge = vec![0; ssm_session_proto::MAX_FRAME + 1];
        drop(socket.send(Message::binary(huge)).await);
    })
    .await;
    let close = end(&mut session).await;
    assert_eq!(close.by, EndedBy::Network);
    assert!(
        close.message.contains("exceeds the limit"),
        "{}",
        close.message
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_given_up() {
    let started = Instant::now();
    let (mut session, _peer) = session_with(Options::default(), 4096, |socket| async move {
        // Without reading there are no pongs.
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let close = end(&mut session).await;
    assert_eq!(started.elapsed().as_secs(), 45);
    assert_eq!(close.by, EndedBy::Network);
    assert_eq!(
        close.message,
        "the connection to localhost was lost before the session was set up: nothing was heard \
         for 45 s; check the network"
    );
}

/// No ping can leave, for what was sent before fills everything on the way.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_and_says_nothing_is_given_up_too() {
    let (mut session, _node) = session_with(Options::default(), 1024, |socket| async move {
        let mut node = Node::open(socket).await;
        while !matches!(node.event().await.unwrap(), AgentEvent::Started { .. }) {}
        node.agent().accept_input();
        node.print(b"$ ");
        // Its prompt was acknowledged.
        while !node.has_sent_all() {
            node.event().await.unwrap();
        }
        std::future::pending::<()>().await;
    })
    .await;
    output(&mut session, 2).await;
    let stuck = Instant::now();
    let control = session.control();
    let writing = tokio::spawn(async move { control.write(&pattern(8 * 1024 * 1024)).await });
    let close = end(&mut session).await;
    assert_eq!(
        close.message,
        "the connection to localhost was lost: nothing was heard for 45 s; check the network"
    );
    assert!(stuck.elapsed() <= Duration::from_secs(46));
    within_reason(writing).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_is_kept() {
    let (mut session, peer) = session_with(Options::default(), 4096, |mut socket| async move {
        // Reading answers pings.
        let mut pings = 0;
        while pings < 20 {
            let message = receive(&mut socket).await.unwrap();
            if message.is_ping() {
                assert_eq!(&message.as_payload()[..], b"keepalive");
                pings += 1;
            }
        }
        socket
            .send(Message::close(Some(CloseCode::NORMAL_CLOSURE), "Bye"))
            .await
            .unwrap();
    })
    .await;
    within_reason(async {
        let Some(SessionEvent::Closed(close)) = session.next_event().await else {
            panic!()
        };
        assert_eq!(close.close_code, Some(1000));
        peer.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn pings_of_the_service_are_answered() {
    let (_session, peer) = session_with(Options::default(), 4096, |mut socket| async move {
        socket
            .send(Message::ping(&b"are you there"[..]))
            .await
            .unwrap();
        loop {
            let message = receive(&mut socket).await.unwrap();
            if message.is_pong() {
                return message;
            }
        }
    })
    .await;
    let pong = within_reason(peer).await.unwrap();
    assert_eq!(&pong.as_payload()[..], b"are you there");
}

#[tokio::test(start_paused = true)]
async fn terminating_a_command_or_a_port_session_ends_it_by_our_wish() {
    for session_type in [SessionType::NON_INTERACTIVE_COMMANDS, SessionType::PORT] {
        let (mut session, node) =
            session_with(Options::default(), 64 * 1024, |socket| async move {
                Node::open_as(socket, agent_config(session_type))
                    .await
                    .echo()
                    .await;
            })
            .await;
        output(&mut session, 2).await;
        session.terminate();
        let close = end(&mut session).await;
        assert_eq!(close.by, EndedBy::Us);
        assert!(close.channel_closed && !close.is_failure(), "{close:?}");
        within_reason(node).await.unwrap();
    }
}

/// More than the window of unacknowledged input takes, so that the write is still under way.
#[tokio::test(start_paused = true)]
async fn terminating_a_shell_waits_for_a_write_to_arrive() {
    const TOTAL: usize = 8 * 1024 * 1024;
    let (mut session, node) = session_with(Options::default(), 64 * 1024, |socket| async move {
        let mut node = Node::open(socket).await;
        let mut input = Vec::<u8>::new();
        while let Some(event) = node.event().await {
            match event {
                AgentEvent::Started { .. } => {
                    node.agent().accept_input();
                    node.print(b"$ ");
                }
                AgentEvent::Input(data) => {
                    if input.is_empty() {
                        node.print(b"first");
                    }
                    input.extend(&data[..]);
                }
                _ => {}
            }
        }
        input
    })
    .await;
    output(&mut session, 2).await;
    let control = session.control();
    let writing = tokio::spawn(async move { control.write(&pattern(TOTAL)).await });
    output(&mut session, 5).await;
    assert!(!writing.is_finished());
    session.terminate();
    let close = end(&mut session).await;
    assert_eq!(close.by, EndedBy::Us);
    assert!(close.may_live_on() && !close.is_failure());
    within_reason(writing).await.unwrap().unwrap();
    assert!(within_reason(node).await.unwrap() == pattern(TOTAL));
}

#[tokio::test(start_paused = true)]
async fn output_is_acknowledged_even_when_the_channel_closes_right_behind_it() {
    let (mut session, node) = session_with(Options::default(), 64 * 1024, |socket| async move {
        let mut node = Node::open(socket).await;
        while !matches!(node.event().await.unwrap(), AgentEvent::Started { .. }) {}
        node.print(&pattern(100_000));
        while !node.has_sent_all() {
            node.event().await.unwrap();
        }
        node.close_channel("");
        node.agent().finish(now());
        node.event().await
    })
    .await;
    assert!(output(&mut session, 100_000).await == pattern(100_000));
    let started = Instant::now();
    assert!(end(&mut session).await.channel_closed);
    assert_eq!(
        within_reason(node).await.unwrap(),
        Some(AgentEvent::Drained)
    );
    assert_eq!(
        started.elapsed(),
        Duration::ZERO,
        "the agent gave up waiting"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_confirm_the_end_is_left_after_a_limit() {
    let started = Instant::now();
    let (mut session, _node) = session_with(Options::default(), 64 * 1024, |socket| async move {
        let config = agent_config(SessionType::NON_INTERACTIVE_COMMANDS);
        let mut node = Node::open_as(socket, config).await;
        while let Some(event) = node.event().await {
            if matches!(event, AgentEvent::Started { .. }) {
                node.agent().accept_input();
                node.print(b"$ ");
            }
        }
    })
    .await;
    output(&mut session, 2).await;
    session.terminate();
    let close = end(&mut session).await;
    assert_eq!(
        close.message,
        "the service did not confirm the end of the session within 3 s"
    );
    assert_eq!(close.by, EndedBy::Us);
    assert!(close.may_live_on());
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn dropping_every_handle_closes_the_socket() {
    let (session, node) = echo_session(Options::default(), 64 * 1024).await;
    let control = session.control();
    drop(session);
    control.write(b"one handle is left").await.unwrap();
    drop(control);
    within_reason(node).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_does_not_delay_the_end_beyond_its_limit() {
    let started = Instant::now();
    let timeouts = Timeouts {
        close: Duration::from_secs(2),
        ..Timeouts::default()
    };
    let options = Options {
        timeouts,
        ..Options::default()
    };
    let (mut session, _peer) = session_with(options, 64, |socket| async move {
        tokio::time::timeout(Duration::from_secs(100), std::future::pending::<()>())
            .await
            .ok();
        drop(socket);
    })
    .await;
    session.terminate();
    let close = end(&mut session).await;
    assert_eq!(close.by, EndedBy::Us);
    assert_eq!(started.elapsed().as_secs(), 2);
}
