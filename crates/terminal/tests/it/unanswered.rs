//! A service that is there, and an agent that is not.

use std::time::Duration;

use futures_util::StreamExt as _;
use ssm_session::Options;
use ssm_session::Secret;
use ssm_session::Session;
use ssm_session::SessionStart;
use ssm_session::StreamPolicy;
use ssm_session::StreamUrl;
use ssm_session_terminal::Console;
use ssm_session_terminal::Outcome;
use ssm_session_terminal::Setup;
use ssm_session_terminal::Streams;
use tokio::time::Instant;
use tokio_websockets::ServerBuilder;

/// A session with a service that takes everything and answers pings alone.
async fn session() -> Session {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let start = SessionStart {
        session_id: "s".to_owned(),
        stream_url: StreamUrl::parse("ws://localhost/x", &StreamPolicy::default()).unwrap(),
        token: Secret::new("token"),
    };
    tokio::spawn(async move {
        let (_, mut socket) = ServerBuilder::new().accept(theirs).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
    ssm_session::connect_over(ours, start, Options::default())
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_port_session_is_given_up_after_a_minute() {
    let mut console = Console::open(Streams::Separate).unwrap();
    let mut setup = Setup {
        is_port: true,
        ..Setup::default()
    };
    let start = Instant::now();
    let outcome = console
        .run_with(session().await, "the agent", &mut setup)
        .await;
    assert!(matches!(outcome, Outcome::Unanswered(_)), "{outcome:?}");
    assert!(outcome.message().unwrap().contains("within 60 s"));
    assert!(start.elapsed() >= Duration::from_secs(60));
    assert_eq!(outcome.status(), 1);
}
