//! Connections that are lost, with an API that is asked about the session.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::SinkExt as _;
use ssm_session::ApiError;
use ssm_session::ApiErrorKind;
use ssm_session::BoxFuture;
use ssm_session::ControlPlane;
use ssm_session::EndedBy;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionAccess;
use ssm_session::SessionEvent;
use ssm_session_proto::AgentEvent;
use tokio::time::Instant;
use tokio_websockets::CloseCode;
use tokio_websockets::Message;

use crate::node::Node;
use crate::support::SESSION;
use crate::support::echo_session;
use crate::support::end;
use crate::support::output;
use crate::support::receive;
use crate::support::session_with;
use crate::support::within_reason;

/// How a session that was not even set up is said to have lost its connection.
const LOST: &str = "the connection to localhost was lost before the session was set up";

/// An API that never resumes a session and counts what it is asked.
#[derive(Default)]
struct Refusing {
    kind: Option<ApiErrorKind>,
    terminated: Mutex<Vec<String>>,
    resumed: Mutex<usize>,
}

impl Refusing {
    fn with(kind: ApiErrorKind) -> Arc<Self> {
        Arc::new(Self {
            kind: Some(kind),
            ..Self::default()
        })
    }

    fn terminated(&self) -> Vec<String> {
        self.terminated.lock().unwrap().clone()
    }

    fn resumed(&self) -> usize {
        *self.resumed.lock().unwrap()
    }
}

impl ControlPlane for Refusing {
    fn resume_session(&self, session_id: &str) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        assert_eq!(session_id, SESSION);
        *self.resumed.lock().unwrap() += 1;
        let kind = self.kind.expect("nothing was to be resumed");
        Box::pin(async move { Err(ApiError::new(kind, "the moon is in the way")) })
    }

    fn terminate_session(&self, session_id: &str) -> BoxFuture<'_, Result<(), ApiError>> {
        self.terminated.lock().unwrap().push(session_id.to_owned());
        Box::pin(async { Ok(()) })
    }
}

fn options(api: &Arc<Refusing>) -> Options {
    Options {
        control_plane: Some(Arc::clone(api) as Arc<dyn ControlPlane>),
        ..Options::default()
    }
}

/// A session whose connection breaks at once.
async fn cut(api: &Arc<Refusing>) -> Session {
    let (session, _) = session_with(options(api), 4096, |socket| async move { drop(socket) }).await;
    session
}

async fn disconnected(session: &mut Session) -> String {
    match within_reason(session.next_event()).await {
        Some(SessionEvent::Disconnected { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_meanwhile_is_told_apart_from_a_network_that_failed() {
    let api = Refusing::with(ApiErrorKind::Gone);
    let mut session = cut(&api).await;
    let reason = disconnected(&mut session).await;
    assert_eq!(reason, "the other end hung up without a word");
    let close = end(&mut session).await;
    assert_eq!(close.by, EndedBy::Service);
    assert!(close.ended_unseen && close.is_failure() && !close.may_live_on());
    assert_eq!(
        close.message,
        format!("{LOST}: {reason}; meanwhile the session has ended")
    );
    assert_eq!((api.resumed(), api.terminated().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_may_not_be_resumed_is_given_up_at_once_and_ended_at_the_service() {
    let api = Refusing::with(ApiErrorKind::Refused);
    let mut session = cut(&api).await;
    let reason = disconnected(&mut session).await;
    let close = end(&mut session).await;
    assert_eq!(close.by, EndedBy::Network);
    assert_eq!(
        close.message,
        format!("{LOST}: {reason}; it could not be resumed: the moon is in the way")
    );
    assert!(close.terminated && !close.may_live_on());
    assert_eq!(
        (api.resumed(), api.terminated()),
        (1, vec![SESSION.to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn resuming_is_tried_again_and_again_until_the_limit() {
    let api = Refusing::with(ApiErrorKind::Transient);
    let began = Instant::now();
    let mut options = options(&api);
    options.timeouts.resume = Duration::from_secs(500);
    let (mut session, _) = session_with(options, 4096, |socket| async move { drop(socket) }).await;
    disconnected(&mut session).await;
    let close = end(&mut session).await;
    assert!(
        close
            .message
            .ends_with("it could not be resumed within 500 s: the moon is in the way")
    );
    assert_eq!(began.elapsed().as_secs(), 500);
    assert!((40..500).contains(&api.resumed()), "{}", api.resumed());
}

#[tokio::test(start_paused = true)]
async fn a_session_can_be_ended_while_its_connection_is_lost() {
    let api = Refusing::with(ApiErrorKind::Transient);
    let mut session = cut(&api).await;
    let reason = disconnected(&mut session).await;
    session.write(b"kept for later").await.unwrap();
    let asked = Instant::now();
    session.terminate();
    let close = end(&mut session).await;
    assert_eq!(close.by, EndedBy::Us);
    assert!(!close.is_failure() && close.terminated);
    assert_eq!(
        close.message,
        format!("{LOST}: {reason}; the session was left before it could be resumed")
    );
    // The clock is paused: it moves only when there is nothing to do but wait.
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert_eq!(api.terminated(), [SESSION]);
}

#[tokio::test(start_paused = true)]
async fn without_time_to_resume_a_lost_connection_is_the_end() {
    let api = Arc::<Refusing>::default();
    let mut options = options(&api);
    options.timeouts.resume = Duration::ZERO;
    let (mut session, _) = session_with(options, 4096, |socket| async move { drop(socket) }).await;
    let Some(SessionEvent::Closed(close)) = within_reason(session.next_event()).await else {
        panic!("nothing comes before the end")
    };
    assert_eq!(
        close.message,
        format!("{LOST}: the other end hung up without a word")
    );
    assert!(close.terminated && close.is_failure());
    assert_eq!((api.resumed(), api.terminated().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn input_during_an_outage_is_taken_up_to_a_bound_and_then_waits() {
    let api = Refusing::with(ApiErrorKind::Transient);
    let mut session = cut(&api).await;
    disconnected(&mut session).await;
    let piece = [b'x'; 64 * 1024];
    let mut taken = 0;
    // The clock is paused: it only moves once nothing more is taken.
    let limit = Duration::from_secs(1);
    while let Ok(written) = tokio::time::timeout(limit, session.write(&piece)).await {
        written.unwrap();
        taken += piece.len();
        assert!(taken < 64 * 1024 * 1024, "there is no bound");
    }
    assert!(taken > 0, "nothing at all is taken");
    let control = session.control();
    let waiting = tokio::spawn(async move { control.write(&piece).await });
    end(&mut session).await;
    within_reason(waiting).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_somebody_else_has_taken_over_is_left_to_them() {
    let api = Arc::<Refusing>::default();
    let (mut session, _peer) = session_with(options(&api), 4096, |mut socket| async move {
        receive(&mut socket).await.unwrap();
        let close = Message::close(Some(CloseCode::POLICY_VIOLATION), "opened again");
        socket.send(close).await.unwrap();
    })
    .await;
    let close = end(&mut session).await;
    assert_eq!(close.close_code, Some(1008));
    assert_eq!((api.resumed(), api.terminated().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_shell_is_ended_at_the_service_once_everything_written_has_arrived() {
    let api = Arc::<Refusing>::default();
    let (mut session, node) = echo_session(options(&api), 64 * 1024).await;
    output(&mut session, 2).await;
    session.write(b"last words").await.unwrap();
    session.terminate();
    let close = end(&mut session).await;
    assert!(close.terminated && !close.is_failure() && !close.may_live_on());
    assert_eq!(api.terminated(), [SESSION]);
    within_reason(node).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_service_ended_is_not_ended_again() {
    let api = Arc::<Refusing>::default();
    let (mut session, _node) = session_with(options(&api), 64 * 1024, |socket| async move {
        let mut node = Node::open(socket).await;
        while !matches!(node.event().await.unwrap(), AgentEvent::Started { .. }) {}
        node.close_channel("terminated by an administrator");
    })
    .await;
    assert!(end(&mut session).await.channel_closed);
    assert!(api.terminated().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_dropped_is_left_for_somebody_else_to_resume() {
    let api = Arc::<Refusing>::default();
    let (session, node) = echo_session(options(&api), 64 * 1024).await;
    drop(session);
    within_reason(node).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(api.terminated().is_empty());
}
