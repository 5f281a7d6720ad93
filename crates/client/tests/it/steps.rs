//! A server that goes silent, hangs up or says something else at each step to a session, as far
//! as the tests of `connecting`, `proxies`, `ending` and `hostile` do not show it.

use std::time::Duration;

use ssm_session::ConnectError;
use ssm_session::Connector;
use ssm_session::NotWebSocket;
use ssm_session::Options;
use ssm_session::Timeouts;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::SessionType;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::node::Node;
use crate::node::agent_config;
use crate::server::Authority;
use crate::server::serve;
use crate::server::silence;
use crate::support::end;
use crate::support::session_with;
use crate::support::start;
use crate::support::within_reason;

/// What the server does after it has said its piece.
#[derive(Clone, Copy, Debug)]
enum Then {
    Silence,
    End,
}

/// Reads a request, says `bytes`, and then that.
async fn server(bytes: &'static [u8], then: Then) -> u16 {
    serve(move |mut stream: TcpStream| async move {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            if matches!(stream.read_buf(&mut request).await, Ok(0) | Err(_)) {
                return;
            }
        }
        drop(stream.write_all(bytes).await);
        if let Then::Silence = then {
            silence(stream).await;
        }
    })
    .await
}

/// Little patience with every step.
fn impatient() -> Timeouts {
    let limit = Duration::from_millis(20);
    Timeouts {
        tcp: limit,
        tls: limit,
        upgrade: limit,
        ..Timeouts::default()
    }
}

async fn failure(url: &str, timeouts: Timeouts) -> ConnectError {
    let options = Options {
        connector: Connector::new(Authority::new().trust(), timeouts),
        timeouts,
        ..Options::default()
    };
    let error = within_reason(ssm_session::connect(start(url), options))
        .await
        .unwrap_err();
    assert!(error.advice().is_some(), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    error
}

/// Answers that stop at every stage.
const UNFINISHED: [&[u8]; 5] = [
    b"",
    b"HTTP/1.1 1",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnec",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
];

#[tokio::test]
async fn a_server_that_falls_silent_in_its_answer_is_given_up_at_every_stage() {
    for said in UNFINISHED {
        let port = server(said, Then::Silence).await;
        let error = failure(&format!("ws://127.0.0.1:{port}/"), impatient()).await;
        assert_eq!(
            error.to_string(),
            "127.0.0.1 did not complete the WebSocket upgrade within 0.02 s"
        );
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_in_its_answer_is_noticed_at_every_stage() {
    for said in UNFINISHED {
        let port = server(said, Then::End).await;
        let error = failure(&format!("ws://127.0.0.1:{port}/"), Timeouts::default()).await;
        assert_eq!(
            error.to_string(),
            "127.0.0.1 does not speak WebSocket: it closed the connection without an answer"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_by_what_is_wrong_with_it() {
    let endless = [&b"HTTP/1.1 101 OK\r\nA: "[..], &[b'x'; 20_000]].concat();
    let fields: String = std::iter::repeat_n("A: b\r\n", 100).collect();
    let fields = format!("HTTP/1.1 101 OK\r\n{fields}\r\n");
    for (said, problem) in [
        (&*endless.leak(), NotWebSocket::HeaderTooLong),
        (fields.leak().as_bytes(), NotWebSocket::HeaderTooLong),
        (&[0; 5000], NotWebSocket::NotHttp),
        (b"\x16\x03\x01\x00\x05hello", NotWebSocket::NotHttp),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
              Sec-WebSocket-Accept: bm90IHRoZSByaWdodCBvbmU=\r\n\r\n",
            NotWebSocket::AcceptHeader,
        ),
    ] {
        let port = server(said, Then::Silence).await;
        let error = failure(&format!("ws://127.0.0.1:{port}/"), Timeouts::default()).await;
        let ConnectError::NotWebSocket { problem: found, .. } = error else {
            panic!("{problem}: {error:?}");
        };
        assert_eq!(found, problem);
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_tls_handshake_is_noticed() {
    let hanging_up = serve(|mut stream: TcpStream| async move {
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).await.unwrap();
    })
    .await;
    let url = format!("wss://127.0.0.1:{hanging_up}/");
    let error = failure(&url, Timeouts::default()).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}

/// Names are looked up beside the program's tasks, where there is room for one thing here.
#[test]
fn a_name_that_takes_too_long_to_look_up_is_given_up() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (free, blocked) = std::sync::mpsc::channel::<()>();
    let error = runtime.block_on(async {
        tokio::task::spawn_blocking(move || blocked.recv());
        let timeouts = Timeouts {
            resolve: Duration::from_millis(20),
            ..Timeouts::default()
        };
        let connector = Connector::new(Authority::new().trust(), timeouts);
        within_reason(connector.connect("localhost", 1, false)).await
    });
    drop(free);
    assert_eq!(
        error.unwrap_err().to_string(),
        "localhost did not complete looking up its name within 0.02 s"
    );
}

/// A listener whose queue is full is as good as a host that does not answer, on Linux.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_host_that_does_not_take_connections_is_given_up() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket
        .bind((std::net::Ipv4Addr::LOCALHOST, 0).into())
        .unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let limit = Duration::from_millis(100);
    while let Ok(connection) = tokio::time::timeout(limit, TcpStream::connect(address)).await {
        queue.push(connection.unwrap());
    }
    let url = format!("ws://127.0.0.1:{}/", address.port());
    let error = failure(&url, impatient()).await;
    assert_eq!(
        error.to_string(),
        "127.0.0.1 did not complete the TCP connection within 0.02 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_up_amid_the_handshake_is_told_from_one_that_does_later() {
    let (mut session, _peer) = session_with(Options::default(), 4096, |socket| async move {
        // The agent's request is all that comes.
        let config = agent_config(SessionType::NON_INTERACTIVE_COMMANDS);
        Node::open_as(socket, config).await.work();
    })
    .await;
    assert_eq!(
        end(&mut session).await.message,
        "the connection to localhost was lost before the session was set up: the other end hung \
         up without a word"
    );
    let (mut session, _peer) = session_with(Options::default(), 4096, |socket| async move {
        let config = agent_config(SessionType::NON_INTERACTIVE_COMMANDS);
        let mut node = Node::open_as(socket, config).await;
        while !matches!(node.event().await.unwrap(), AgentEvent::Started { .. }) {}
        node.work();
    })
    .await;
    assert_eq!(
        end(&mut session).await.message,
        "the connection to localhost was lost: the other end hung up without a word"
    );
}
