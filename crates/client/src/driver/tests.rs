//! A driver whose machine sleeps now and then.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use ssm_session_proto::ClientConfig;
use ssm_session_proto::Flags;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Secret;
use ssm_session_proto::SequenceNumber;
use ssm_session_proto::UnixMillis;
use ssm_session_proto::WallClock;
use tokio::io::DuplexStream;
use tokio_websockets::ClientBuilder;
use tokio_websockets::ServerBuilder;
use tokio_websockets::WebSocketStream;

use super::*;
use crate::backlog;
use crate::backlog::EventReceiver;
use crate::connection::Connection;
use crate::control_plane::ApiError;
use crate::control_plane::ApiErrorKind;
use crate::control_plane::ControlPlane;
use crate::control_plane::SessionAccess;
use crate::session::SessionEvent;
use crate::stream_policy::StreamPolicy;
use crate::transport::Transport;
use crate::url::StreamUrl;

/// Answers every call by a failure that is not for good, and notes when it was asked to resume.
#[derive(Default)]
struct Down {
    asked: Mutex<Vec<Instant>>,
}

impl ControlPlane for Down {
    fn resume_session(&self, _session_id: &str) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        self.asked.lock().unwrap().push(Instant::now());
        let error = ApiError::new(ApiErrorKind::Transient, "there is no network");
        Box::pin(std::future::ready(Err(error)))
    }

    fn terminate_session(&self, _session_id: &str) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What the application holds of a session at work.
struct Seat {
    events: EventReceiver,
    writes: mpsc::Sender<Write>,
    _wishes: watch::Sender<Wishes>,
    _forwards: mpsc::Sender<Forward>,
}

impl Seat {
    async fn next(&mut self) -> SessionEvent {
        self.events.next().await.unwrap()
    }
}

/// A session whose peer is returned, on a machine whose wall clock is `wall_clock`.
fn session(
    api: Option<Arc<Down>>,
    wall_clock: fn() -> SystemTime,
) -> (Seat, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let transport = Transport::new(Connection::new(ours), bytes::Bytes::new());
    let web_socket = ClientBuilder::new().take_over(transport);
    let start = SessionStart {
        session_id: "s".to_owned(),
        stream_url: StreamUrl::parse("ws://localhost/", &StreamPolicy::default()).unwrap(),
        token: Secret::new("token"),
    };
    let config = ClientConfig {
        client_id: uuid::Uuid::nil(),
        session_id: start.session_id.clone(),
        target: None,
    };
    let now = Instant::now().into_std();
    let mut machine = ClientSession::new(config, WallClock::new(now, Duration::ZERO), [1; 32]);
    machine.handle_connected(&start.token, now);
    let (write, writes) = mpsc::channel(1);
    let (wish, wishes) = watch::channel(Wishes::default());
    let (forward, forwards) = mpsc::channel(1);
    let (sender, events) = backlog::channel();
    let ports = Ports {
        writes,
        wishes,
        events: sender,
    };
    let options = Options {
        control_plane: api.map(|api| api as Arc<dyn ControlPlane>),
        ..Options::default()
    };
    let mut driver = Driver::new(machine, web_socket, ports, forwards, &start, options);
    driver.wall_clock = wall_clock;
    driver.standstill = Standstill::new(Instant::now(), wall_clock());
    tokio::spawn(driver.run());
    let seat = Seat {
        events,
        writes: write,
        _wishes: wish,
        _forwards: forward,
    };
    (seat, ServerBuilder::new().serve(theirs))
}

/// Output of an agent, the first there is.
fn first_output() -> tokio_websockets::Message {
    let message = Message {
        message_type: MessageType::OUTPUT_STREAM_DATA,
        schema_version: 1,
        created: UnixMillis(1_700_000_000_000),
        sequence_number: SequenceNumber(0),
        flags: Flags::NONE,
        id: uuid::Uuid::nil(),
        payload_type: PayloadType::OUTPUT,
        payload: "$ ".into(),
    };
    tokio_websockets::Message::binary(message.encode())
}

/// A wall clock that is ahead by so many seconds.
fn ahead(seconds: &AtomicU64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_after_a_sleep_is_noticed_within_seconds() {
    static SLEPT: AtomicU64 = AtomicU64::new(0);
    let (mut seat, _peer) = session(Some(Arc::default()), || ahead(&SLEPT));
    SLEPT.store(8 * 3600, Ordering::Relaxed);
    let woken = Instant::now();
    let SessionEvent::Disconnected { reason } = seat.next().await else {
        panic!("the connection is lost")
    };
    assert_eq!(
        reason,
        "nothing was heard for 5 s after a standstill of this machine or program; check the network"
    );
    // The look at the clocks, and the limit.
    assert!(woken.elapsed() <= Duration::from_secs(8));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_there_after_a_sleep_is_asked_once_and_kept() {
    static SLEPT: AtomicU64 = AtomicU64::new(0);
    let (mut seat, mut peer) = session(Some(Arc::default()), || ahead(&SLEPT));
    let started = Instant::now();
    SLEPT.store(60, Ordering::Relaxed);
    let pings = async {
        let mut pings = Vec::new();
        while pings.len() < 3 {
            let message = peer.next().await;
            if message.unwrap().unwrap().is_ping() {
                pings.push(started.elapsed().as_secs());
            }
        }
        pings
    };
    tokio::select! {
        pings = pings => assert_eq!(pings, [0, 15, 30]),
        event = seat.next() => panic!("{event:?}"),
    }
}

/// A process that is stopped does not read acknowledgements, and its clock of deadlines goes on.
#[tokio::test(start_paused = true)]
async fn a_standstill_of_ours_is_not_the_agents_silence() {
    static SLEPT: AtomicU64 = AtomicU64::new(0);
    let (mut seat, mut peer) = session(Some(Arc::default()), || ahead(&SLEPT));
    peer.send(first_output()).await.unwrap();
    assert!(matches!(seat.next().await, SessionEvent::Established(_)));
    assert!(matches!(seat.next().await, SessionEvent::Output { .. }));
    let (accepted, acceptance) = tokio::sync::oneshot::channel();
    let rest = bytes::Bytes::from_static(b"x");
    seat.writes.send(Write { rest, accepted }).await.unwrap();
    acceptance.await.unwrap();
    // The service is there; the agent acknowledges nothing.
    tokio::spawn(async move { while peer.next().await.is_some() {} });
    SLEPT.store(60, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(60)).await;
    let woken = Instant::now();
    assert_eq!(seat.next().await, SessionEvent::Unresponsive);
    assert_eq!(woken.elapsed(), Timeouts::default().unresponsive);
}

#[tokio::test(start_paused = true)]
async fn where_a_lost_connection_is_the_end_a_sleep_leaves_the_peer_its_time() {
    static SLEPT: AtomicU64 = AtomicU64::new(0);
    let (mut seat, _peer) = session(None, || ahead(&SLEPT));
    SLEPT.store(60, Ordering::Relaxed);
    let SessionEvent::Closed(close) = seat.next().await else {
        panic!("it cannot be resumed")
    };
    assert!(close.message.contains("nothing was heard for 45 s"));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_wakes_amid_an_outage_tries_at_once_and_has_its_time_still() {
    static SLEPT: AtomicU64 = AtomicU64::new(0);
    let api = Arc::<Down>::default();
    let (mut seat, peer) = session(Some(Arc::clone(&api)), || ahead(&SLEPT));
    drop(peer);
    assert!(matches!(
        seat.next().await,
        SessionEvent::Disconnected { .. }
    ));
    let lost = Instant::now();
    // The waits have grown to ten seconds by now.
    tokio::time::timeout(Duration::from_secs(300), seat.next())
        .await
        .unwrap_err();
    SLEPT.store(60, Ordering::Relaxed);
    let before = api.asked.lock().unwrap().len();
    tokio::time::timeout(Duration::from_secs(4), seat.next())
        .await
        .unwrap_err();
    // Within a second after the look at the clocks there are some, with waits of 0.1 s and up.
    let attempts = api.asked.lock().unwrap().len() - before;
    assert!(attempts >= 2, "{attempts}");
    let SessionEvent::Closed(close) = seat.next().await else {
        panic!("there is no network")
    };
    assert!(
        close
            .message
            .ends_with("it could not be resumed within 600 s: there is no network"),
        "{}",
        close.message
    );
    assert!(lost.elapsed() >= Duration::from_secs(600));
}
