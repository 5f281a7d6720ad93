//! Gateways that answer, with agents that do not.

use std::time::Duration;

use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::SessionType;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_websockets::WebSocketStream;

use crate::node::Node;
use crate::node::agent_config;
use crate::support::output;
use crate::support::pattern;
use crate::support::receive;
use crate::support::session_with;
use crate::support::within_reason;

type Socket = WebSocketStream<DuplexStream>;

async fn next(session: &mut Session) -> SessionEvent {
    within_reason(session.next_event()).await.unwrap()
}

/// Sets a session up and then leaves the agent alone until `again`. From then on it echoes.
async fn stuck_after_prompt(socket: Socket, again: oneshot::Receiver<()>) {
    let mut node = Node::open(socket).await;
    while !matches!(node.event().await.unwrap(), AgentEvent::Started { .. }) {}
    node.agent().accept_input();
    node.print(b"$ ");
    node.stand_still(again).await;
    node.echo().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_acknowledges_nothing_behind_a_service_that_answers_is_told_of() {
    let (again, resumed) = oneshot::channel();
    let (mut session, _node) = session_with(Options::default(), 64 * 1024, |socket| {
        stuck_after_prompt(socket, resumed)
    })
    .await;
    assert_eq!(output(&mut session, 2).await, b"$ ");
    let sent = Instant::now();
    session.write(b"anybody?\r").await.unwrap();
    assert_eq!(next(&mut session).await, SessionEvent::Unresponsive);
    assert_eq!(sent.elapsed().as_secs(), 10);
    // The service answers pings all the time, and that is all there is to say.
    let long = tokio::time::timeout(Duration::from_secs(3600), session.next_event());
    long.await.unwrap_err();

    again.send(()).unwrap();
    assert_eq!(next(&mut session).await, SessionEvent::Responsive);
    assert_eq!(output(&mut session, 9).await, b"anybody?\r");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_shows_is_owed_nothing() {
    let (mut session, _peer) =
        session_with(Options::default(), 64 * 1024, |mut socket| async move {
            while receive(&mut socket).await.is_some() {}
        })
        .await;
    let long = tokio::time::timeout(Duration::from_secs(3600), session.next_event());
    long.await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_goes_silent_amid_the_handshake_is_told_of() {
    let (_again, never) = oneshot::channel();
    let (mut session, _node) = session_with(Options::default(), 64 * 1024, |socket| async move {
        let config = agent_config(SessionType::NON_INTERACTIVE_COMMANDS);
        let mut node = Node::open_as(socket, config).await;
        // Its request is sent.
        node.work();
        node.stand_still(never).await;
    })
    .await;
    let began = Instant::now();
    assert_eq!(next(&mut session).await, SessionEvent::Unresponsive);
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_application_that_takes_nothing_is_not_the_agents_silence() {
    let (mut session, _node) = session_with(Options::default(), 64 * 1024, |socket| async move {
        let mut node = Node::open(socket).await;
        while !matches!(node.event().await.unwrap(), AgentEvent::Started { .. }) {}
        node.agent().accept_input();
        node.print(&pattern(4 * 1024 * 1024));
        node.echo().await;
    })
    .await;
    session.write(b"hello\r").await.unwrap();
    // Nothing is read for all that time, so that no acknowledgement can come.
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(5)).await;
        settle().await;
        session.write(b"!").await.unwrap();
    }
    let mut taken = 0;
    while taken < 4 * 1024 * 1024 {
        match next(&mut session).await {
            SessionEvent::Output { data, .. } => taken += data.len(),
            SessionEvent::Established(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Lets everything happen that can without the clock.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_the_applications_choice() {
    let mut options = Options::default();
    options.timeouts.unresponsive = Duration::from_secs(120);
    let (_again, resumed) = oneshot::channel();
    let (mut session, _node) = session_with(options, 64 * 1024, |socket| {
        stuck_after_prompt(socket, resumed)
    })
    .await;
    output(&mut session, 2).await;
    let sent = Instant::now();
    session.write(b"x").await.unwrap();
    assert_eq!(next(&mut session).await, SessionEvent::Unresponsive);
    assert_eq!(sent.elapsed().as_secs(), 120);
}
