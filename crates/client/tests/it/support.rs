//! What every test needs.

use std::future::Future;
use std::time::Duration;

use ssm_session::Close;
use ssm_session::Options;
use ssm_session::Secret;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session::SessionStart;
use ssm_session::StreamPolicy;
use ssm_session::StreamUrl;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_websockets::Message;
use tokio_websockets::ServerBuilder;
use tokio_websockets::WebSocketStream;

use crate::node::Node;

pub(crate) const SESSION: &str = "user-0a1b2c3d4e5f67890";
pub(crate) const TOKEN: &str = "the-token";

/// A guard against hanging; nothing is measured by it.
pub(crate) async fn within_reason<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(600), work)
        .await
        .expect("this should end")
}

pub(crate) fn start(url: &str) -> SessionStart {
    SessionStart {
        session_id: SESSION.to_owned(),
        stream_url: StreamUrl::parse(url, &StreamPolicy::default()).unwrap(),
        token: Secret::new(TOKEN),
    }
}

/// A session over a pipe of `capacity` bytes, whose other end `serve` gets after the upgrade.
pub(crate) async fn session_with<F>(
    options: Options,
    capacity: usize,
    serve: impl FnOnce(WebSocketStream<DuplexStream>) -> F,
) -> (Session, JoinHandle<F::Output>)
where
    F: Future<Output: Send> + Send + 'static,
{
    let (ours, theirs) = tokio::io::duplex(capacity);
    let connecting = ssm_session::connect_over(ours, start("ws://localhost/v1/x?a=b"), options);
    let accepting = async { ServerBuilder::new().accept(theirs).await.unwrap() };
    let (session, (request, socket)) = tokio::join!(connecting, accepting);
    assert_eq!(request.uri().path_and_query().unwrap(), "/v1/x?a=b");
    (session.unwrap(), tokio::spawn(serve(socket)))
}

/// A session with a node that echoes, and the node's task: it ends with the connection.
pub(crate) async fn echo_session(options: Options, capacity: usize) -> (Session, JoinHandle<()>) {
    session_with(options, capacity, |socket| async move {
        Node::open(socket).await.echo().await;
    })
    .await
}

/// Events until `bytes` of output have come.
pub(crate) async fn output(session: &mut Session, bytes: usize) -> Vec<u8> {
    let mut output = Vec::new();
    while output.len() < bytes {
        match within_reason(session.next_event())
            .await
            .expect("the session goes on")
        {
            SessionEvent::Output { data, .. } => output.extend(data),
            SessionEvent::Closed(close) => panic!("closed after {} bytes: {close:?}", output.len()),
            _ => {}
        }
    }
    output
}

/// How the session ends, whatever comes before.
pub(crate) async fn end(session: &mut Session) -> Close {
    loop {
        if let SessionEvent::Closed(close) = within_reason(session.next_event()).await.unwrap() {
            assert_eq!(session.next_event().await, None);
            return close;
        }
    }
}

/// Bytes that repeat nowhere soon, so that a lost or swapped piece shows.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0u32..).flat_map(u32::to_be_bytes).take(length).collect()
}

/// The next message, or `None` at the end of the connection.
pub(crate) async fn receive<S>(socket: &mut WebSocketStream<S>) -> Option<Message>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use futures_util::StreamExt as _;
    within_reason(socket.next()).await?.ok()
}
