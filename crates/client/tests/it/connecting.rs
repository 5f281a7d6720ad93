//! Every step of connecting, over loopback sockets.

use std::net::Ipv4Addr;
use std::time::Duration;

use ssm_session::ConnectError;
use ssm_session::Connector;
use ssm_session::NotWebSocket;
use ssm_session::Options;
use ssm_session::Secret;
use ssm_session::Session;
use ssm_session::SessionAccess;
use ssm_session::SessionStart;
use ssm_session::Step;
use ssm_session::StreamPolicy;
use ssm_session::Timeouts;
use ssm_session::Trust;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_websockets::ServerBuilder;

use crate::node::Node;
use crate::server::Authority;
use crate::server::serve;
use crate::server::silence;
use crate::support::SESSION;
use crate::support::TOKEN;
use crate::support::end;
use crate::support::output;
use crate::support::start;
use crate::support::within_reason;

/// Reads the request and answers with `answer`.
fn answering(answer: &'static [u8]) -> impl FnMut(TcpStream) -> BoxFuture + Send + 'static {
    move |mut stream| {
        Box::pin(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            stream.write_all(answer).await.unwrap();
        })
    }
}

type BoxFuture = ssm_session::BoxFuture<'static, ()>;

async fn connect(url: &str, options: Options) -> Result<Session, ConnectError> {
    within_reason(ssm_session::connect(start(url), options)).await
}

async fn refused(url: &str, options: Options) -> ConnectError {
    connect(url, options).await.unwrap_err()
}

#[tokio::test]
async fn a_session_runs_over_a_loopback_socket() {
    let port = serve(|stream| async move {
        let (_, socket) = ServerBuilder::new().accept(stream).await.unwrap();
        Node::open(socket).await.echo().await;
    })
    .await;
    let url = format!("ws://localhost:{port}/v1/data-channel/x?role=publish_subscribe");
    let mut session = connect(&url, Options::default()).await.unwrap();
    assert_eq!(output(&mut session, 2).await, b"$ ");
    session.write(b"hello\r").await.unwrap();
    assert_eq!(output(&mut session, 6).await, b"hello\r");
    session.write(b"exit\r").await.unwrap();
    assert_eq!(end(&mut session).await.message, "Goodbye.");
}

#[tokio::test]
async fn a_port_that_refuses_is_a_tcp_error_that_names_it() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = refused(&format!("ws://127.0.0.1:{port}/"), Options::default()).await;
    assert!(
        matches!(&error, ConnectError::Tcp { host, port: named, .. } if host == "127.0.0.1" && *named == port)
    );
    assert_eq!(
        error.to_string(),
        format!("127.0.0.1 port {port} could not be reached")
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out_in_the_upgrade() {
    let port = serve(silence).await;
    let timeouts = Timeouts {
        upgrade: Duration::from_millis(20),
        ..Timeouts::default()
    };
    let options = Options {
        timeouts,
        ..Options::default()
    };
    let error = refused(&format!("ws://127.0.0.1:{port}/"), options).await;
    assert!(
        matches!(
            error,
            ConnectError::Timeout {
                step: Step::Upgrade,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "127.0.0.1 did not complete the WebSocket upgrade within 0.02 s"
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out_in_tls() {
    let port = serve(silence).await;
    let timeouts = Timeouts {
        tls: Duration::from_millis(20),
        ..Timeouts::default()
    };
    let options = Options {
        connector: Connector::new(Authority::new().trust(), timeouts),
        ..Options::default()
    };
    let error = refused(&format!("wss://127.0.0.1:{port}/"), options).await;
    assert!(
        matches!(
            error,
            ConnectError::Timeout {
                step: Step::Tls,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refusal_comes_with_status_reason_and_body() {
    let answer =
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 25\r\n\r\n<Error>not today</Error>\r\n";
    let port = serve(answering(answer)).await;
    let error = refused(
        &format!("ws://127.0.0.1:{port}/?secret=hidden"),
        Options::default(),
    )
    .await;
    assert_eq!(error.status(), Some(403));
    assert_eq!(
        error.to_string(),
        "127.0.0.1 refused the session's connection: HTTP 403 Forbidden: <Error>not today</Error> \
         (it was not signed, for there are no AWS credentials)"
    );
}

#[tokio::test]
async fn a_server_of_another_kind_is_recognised() {
    let port = serve(answering(b"220 mail.example ESMTP\r\n")).await;
    let error = refused(&format!("ws://127.0.0.1:{port}/"), Options::default()).await;
    assert!(
        matches!(
            error,
            ConnectError::NotWebSocket {
                problem: NotWebSocket::NotHttp,
                ..
            }
        ),
        "{error:?}"
    );
}

/// A gateway with a certificate of `authority` for `name`, with an echoing shell behind it.
async fn gateway(authority: &Authority, name: &str) -> u16 {
    let acceptor = authority.acceptor(name);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            // A client that does not trust us leaves here.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let (_, socket) = ServerBuilder::new().accept(stream).await.unwrap();
            Node::open(socket).await.echo().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_session_runs_over_tls_with_a_trusted_authority() {
    let authority = Authority::new();
    let port = gateway(&authority, "localhost").await;
    let options = Options {
        connector: Connector::new(authority.trust(), Timeouts::default()),
        ..Options::default()
    };
    let mut session = connect(&format!("wss://localhost:{port}/"), options)
        .await
        .unwrap();
    assert_eq!(output(&mut session, 2).await, b"$ ");
    session.write(&[b'x'; 100_000]).await.unwrap();
    assert_eq!(output(&mut session, 100_000).await, [b'x'; 100_000]);
}

#[tokio::test]
async fn a_replaced_host_is_the_one_that_is_dialled_named_and_checked() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost");
    let (seen, mut names) = tokio::sync::mpsc::unbounded_channel();
    let port = serve(move |stream| {
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let sni = stream.get_ref().1.server_name().map(str::to_owned);
            let (request, socket) = ServerBuilder::new().accept(stream).await.unwrap();
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            seen.send((sni, host, request.uri().to_string())).unwrap();
            Node::open(socket).await.echo().await;
        }
    })
    .await;
    let replaced = format!("localhost:{port}");
    let policy = StreamPolicy::default().replace_host(&replaced).unwrap();
    let access = SessionAccess {
        session_id: SESSION.to_owned(),
        stream_url: Secret::new("wss://ssmmessages.xx-nowhere-1.amazonaws.com/v1/x?a=%2F"),
        token: Secret::new(TOKEN),
    };
    let start = SessionStart::new(access, &policy).unwrap();
    let options = Options {
        connector: Connector::new(authority.trust(), Timeouts::default()),
        ..Options::default()
    };
    let mut session = within_reason(ssm_session::connect(start, options))
        .await
        .unwrap();
    assert_eq!(output(&mut session, 2).await, b"$ ");
    assert_eq!(
        names.recv().await.unwrap(),
        (
            Some("localhost".to_owned()),
            replaced,
            "/v1/x?a=%2F".to_owned()
        )
    );
}

#[tokio::test]
async fn a_certificate_for_an_address_is_taken() {
    let authority = Authority::new();
    let port = gateway(&authority, "127.0.0.1").await;
    let options = Options {
        connector: Connector::new(authority.trust(), Timeouts::default()),
        ..Options::default()
    };
    let mut session = connect(&format!("wss://127.0.0.1:{port}/"), options)
        .await
        .unwrap();
    assert_eq!(output(&mut session, 2).await, b"$ ");
}

#[tokio::test]
async fn an_authority_nobody_trusts_is_refused() {
    let port = gateway(&Authority::new(), "localhost").await;
    let options = Options {
        connector: Connector::new(Authority::new().trust(), Timeouts::default()),
        ..Options::default()
    };
    let error = refused(&format!("wss://localhost:{port}/"), options).await;
    assert!(error.is_untrusted_certificate(), "{error:?}");
    assert_eq!(
        error.to_string(),
        "no secure connection to localhost could be made"
    );
}

#[tokio::test]
async fn the_system_does_not_vouch_for_an_authority_of_a_test() {
    let port = gateway(&Authority::new(), "localhost").await;
    let error = refused(&format!("wss://localhost:{port}/"), Options::default()).await;
    // A machine without any authority cannot even ask.
    assert!(
        error.is_untrusted_certificate() || matches!(error, ConnectError::Trust { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let port = gateway(&authority, "elsewhere.example").await;
    let options = Options {
        connector: Connector::new(authority.trust(), Timeouts::default()),
        ..Options::default()
    };
    let error = refused(&format!("wss://localhost:{port}/"), options).await;
    assert!(error.is_untrusted_certificate(), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_error() {
    let port = serve(|mut stream: TcpStream| async move {
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        silence(stream).await;
    })
    .await;
    let options = Options {
        connector: Connector::new(Authority::new().trust(), Timeouts::default()),
        ..Options::default()
    };
    let error = refused(&format!("wss://localhost:{port}/"), options).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    assert!(!error.is_untrusted_certificate());
}

#[tokio::test]
async fn damaged_authorities_are_reported_before_anything_is_said() {
    let port = serve(silence).await;
    let trust = Trust::default().with_pem("ca.pem", *b"nothing");
    let options = Options {
        connector: Connector::new(trust, Timeouts::default()),
        ..Options::default()
    };
    let error = refused(&format!("wss://127.0.0.1:{port}/"), options).await;
    let ConnectError::Trust { source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(source.to_string(), "ca.pem contains no certificate in PEM");
}
