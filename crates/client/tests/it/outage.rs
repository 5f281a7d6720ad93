//! Outages with an API that answers, and gateways that do not hold what it promises.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ssm_session::ApiError;
use ssm_session::BoxFuture;
use ssm_session::ControlPlane;
use ssm_session::Field;
use ssm_session::Options;
use ssm_session::Secret;
use ssm_session::Session;
use ssm_session::SessionAccess;
use ssm_session::SessionEvent;
use ssm_session::UpgradeRequest;
use tokio::net::TcpStream;
use tokio_websockets::ServerBuilder;

use crate::server::closed_port;
use crate::server::serve;
use crate::support::SESSION;
use crate::support::TOKEN;
use crate::support::end;
use crate::support::session_with;
use crate::support::within_reason;

/// Resumes every session at `port` of this machine.
struct Leading {
    port: u16,
    resumed: AtomicUsize,
    signed: AtomicUsize,
}

impl Leading {
    fn to(port: u16) -> Arc<Self> {
        Arc::new(Self {
            port,
            resumed: AtomicUsize::new(0),
            signed: AtomicUsize::new(0),
        })
    }
}

impl ControlPlane for Leading {
    fn resume_session(&self, _session_id: &str) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        self.resumed.fetch_add(1, Ordering::Relaxed);
        let access = SessionAccess {
            session_id: SESSION.to_owned(),
            stream_url: Secret::new(format!("ws://127.0.0.1:{}/v1", self.port)),
            token: Secret::new(TOKEN),
        };
        Box::pin(std::future::ready(Ok(access)))
    }

    fn terminate_session(&self, _session_id: &str) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn sign(&self, _request: UpgradeRequest) -> BoxFuture<'_, Result<Vec<Field>, ApiError>> {
        self.signed.fetch_add(1, Ordering::Relaxed);
        let field = Field {
            name: "authorization",
            value: Secret::new("signed"),
        };
        Box::pin(std::future::ready(Ok(vec![field])))
    }
}

/// A session whose first connection is cut at once.
async fn cut(api: &Arc<Leading>, resume: Duration) -> Session {
    let mut options = Options {
        control_plane: Some(Arc::clone(api) as Arc<dyn ControlPlane>),
        ..Options::default()
    };
    options.timeouts.resume = resume;
    let (session, _) = session_with(options, 4096, |socket| async move { drop(socket) }).await;
    session
}

/// A gateway that hangs up as soon as somebody has come in.
async fn closing_gateway() -> u16 {
    serve(|stream: TcpStream| async move {
        let (_, socket) = ServerBuilder::new().accept(stream).await.unwrap();
        drop(socket);
    })
    .await
}

#[tokio::test]
async fn a_gateway_that_hangs_up_again_and_again_is_the_same_outage_and_is_named_in_the_end() {
    let api = Leading::to(closing_gateway().await);
    let mut session = cut(&api, Duration::from_secs(2)).await;
    let (mut lost, mut found) = (0, 0);
    let close = loop {
        match within_reason(session.next_event()).await.unwrap() {
            SessionEvent::Disconnected { .. } => lost += 1,
            SessionEvent::Reconnected => found += 1,
            SessionEvent::Closed(close) => break close,
            other => panic!("{other:?}"),
        }
    };
    // None of the connections worked.
    assert_eq!((lost, found), (1, 0));
    assert!(api.resumed.load(Ordering::Relaxed) > 1);
    assert!(
        close
            .message
            .ends_with("it could not be resumed within 2 s: the other end hung up without a word"),
        "{}",
        close.message
    );
}

#[tokio::test]
async fn every_attempt_asks_anew_and_signs_anew() {
    let api = Leading::to(closing_gateway().await);
    let mut session = cut(&api, Duration::from_secs(2)).await;
    end(&mut session).await;
    // The first connection was signed, too, and an attempt may have been under way.
    let resumed = api.resumed.load(Ordering::Relaxed);
    let signed = api.signed.load(Ordering::Relaxed);
    assert!(resumed > 1, "{resumed}");
    assert!(
        signed == resumed + 1 || signed == resumed,
        "{signed} {resumed}"
    );
}

#[tokio::test]
async fn what_kept_the_last_attempt_from_connecting_is_told_with_its_cause() {
    let port = closed_port().await;
    let mut session = cut(&Leading::to(port), Duration::from_secs(2)).await;
    let message = end(&mut session).await.message;
    let expected = format!("within 2 s: 127.0.0.1 port {port} could not be reached: ");
    assert!(message.contains(&expected), "{message}");
}
