//! A forward, with destinations of the test's own behind it.

use std::future::Future;
use std::net::Ipv4Addr;
use std::time::Duration;

use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session::Timeouts;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::SessionType;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::node::Node;
use crate::node::agent_config;
use crate::node::now;
use crate::support::session_with;
use crate::support::within_reason;

/// What multiplexes, and what carries one connection at a time.
pub(crate) const NEW_AGENT: &str = "3.3.3572.0";
pub(crate) const OLD_AGENT: &str = "3.0.196.0";

pub(crate) fn forward_config(agent_version: &str) -> AgentConfig {
    AgentConfig {
        agent_version: agent_version.to_owned(),
        properties: serde_json::json!({"type": "LocalPortForwarding", "portNumber": "80"}),
        ..agent_config(SessionType::PORT)
    }
}

/// A session in which half-closed connections are never given up for being silent.
pub(crate) fn patient() -> Options {
    Options {
        timeouts: Timeouts {
            half_close: Duration::from_secs(100_000),
            ..Timeouts::default()
        },
        ..Options::default()
    }
}

/// Where the stream of this number, from 0 on, leads; nowhere if it cannot be reached.
pub(crate) type Destinations = Box<dyn FnMut(usize) -> Option<DuplexStream> + Send>;

/// A multiplexed session and its node.
pub(crate) struct Forward {
    pub(crate) session: Session,
    pub(crate) open_streams: watch::Receiver<usize>,
    pub(crate) node: JoinHandle<()>,
}

impl Forward {
    pub(crate) async fn open(options: Options, destinations: Destinations) -> Self {
        let (count, open_streams) = watch::channel(0);
        let (session, node) = session_with(options, 64 * 1024, |socket| async move {
            let node = Node::open_as(socket, forward_config(NEW_AGENT)).await;
            serve(node, destinations, count).await;
        })
        .await;
        Self {
            session,
            open_streams,
            node,
        }
    }

    /// A forward whose destinations are all the same.
    pub(crate) async fn to<F>(options: Options, serve: fn(DuplexStream) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::open(options, Box::new(move |_| Some(spawn(serve)))).await
    }

    /// A program with a TCP connection through it.
    pub(crate) async fn tcp(&self) -> TcpStream {
        let (program, ours) = tcp_pair().await;
        within_reason(self.session.forward(ours.into()))
            .await
            .unwrap();
        program
    }

    /// A program with a pipe through it.
    pub(crate) async fn pipe(&self) -> DuplexStream {
        let (program, ours) = tokio::io::duplex(64 * 1024);
        let connection = ssm_session::LocalConnection::new(ours);
        within_reason(self.session.forward(connection))
            .await
            .unwrap();
        program
    }

    pub(crate) async fn has_streams(&mut self, count: usize) {
        let waiting = self.open_streams.wait_for(|open| *open == count);
        within_reason(waiting).await.unwrap();
    }

    /// Events until one of this kind.
    pub(crate) async fn event(&mut self, wanted: &SessionEvent) {
        loop {
            match within_reason(self.session.next_event()).await.unwrap() {
                event if event == *wanted => return,
                SessionEvent::Closed(close) => panic!("{close:?}"),
                _ => {}
            }
        }
    }
}

/// A program's end of a connection, and ours.
pub(crate) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let program = TcpStream::connect(listener.local_addr().unwrap());
    let (program, accepted) = tokio::join!(program, listener.accept());
    (program.unwrap(), accepted.unwrap().0)
}

/// One half of a pipe whose other half `serve` has.
pub(crate) fn spawn<F>(serve: impl FnOnce(DuplexStream) -> F) -> DuplexStream
where
    F: Future<Output = ()> + Send + 'static,
{
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(serve(theirs));
    ours
}

pub(crate) async fn echo(mut pipe: DuplexStream) {
    let mut data = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = pipe.read(&mut data).await {
        if pipe.write_all(&data[..length]).await.is_err() {
            break;
        }
    }
}

/// Sends `data` and reads as much, both at once.
pub(crate) async fn round_trip<S>(program: &mut S, data: &[u8]) -> Vec<u8>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (mut from, mut to) = tokio::io::split(program);
    let mut received = vec![0; data.len()];
    let both = async { tokio::join!(to.write_all(data), from.read_exact(&mut received)) };
    let (written, read) = within_reason(both).await;
    written.unwrap();
    read.unwrap();
    received
}

async fn serve<S>(mut node: Node<S>, mut destinations: Destinations, open: watch::Sender<usize>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    node.multiplex();
    let mut heard = node.streams().take_heard();
    let mut count = 0;
    loop {
        let event = tokio::select! {
            event = node.event() => event,
            Some(said) = heard.recv() => {
                node.streams().on_said(said);
                node.work();
                open.send_replace(node.streams().mux.open_streams());
                continue;
            }
        };
        match event {
            None => return,
            Some(AgentEvent::Started { .. }) => node.agent().accept_input(),
            Some(AgentEvent::Input(data)) => {
                for id in node.streams().on_input(data) {
                    match destinations(count) {
                        Some(pipe) => node.streams().join(id, pipe),
                        None => {
                            node.agent().connect_to_port_error(now());
                            node.work();
                            node.streams().mux.finish(id);
                        }
                    }
                    count += 1;
                }
                node.work();
            }
            Some(AgentEvent::Flag(2)) => node.agent().finish(now()),
            Some(AgentEvent::Drained) => node.close_channel(""),
            Some(_) => {}
        }
        open.send_replace(node.streams().mux.open_streams());
    }
}
