//! Connections through proxies, over loopback sockets.

mod proxy;
mod unfit;

use ssm_session::ConnectError;
use ssm_session::Connector;
use ssm_session::Options;
use ssm_session::Proxies;
use ssm_session::ProxyFailure;
use ssm_session::Session;
use ssm_session::Timeouts;
use ssm_session::Trust;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio_websockets::ServerBuilder;

use self::proxy::Kind;
use self::proxy::Proxy;
use self::unfit::Then;
use self::unfit::scripted;
use crate::node::Node;
use crate::server::Authority;
use crate::server::closed_port;
use crate::server::serve;
use crate::server::silence;
use crate::support::output;
use crate::support::start;
use crate::support::within_reason;

/// A name that stands in no DNS: only a proxy leads there.
const HOST: &str = "ssmmessages.xx-nowhere-1.amazonaws.com";
const TARGET: &str = "ssmmessages.xx-nowhere-1.amazonaws.com:443";

/// An echoing shell behind TLS with a certificate for [`HOST`].
async fn gateway(authority: &Authority) -> u16 {
    let acceptor = authority.acceptor(HOST);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let (_, socket) = ServerBuilder::new().accept(stream).await.unwrap();
            Node::open(socket).await.echo().await;
        }
    })
    .await
}

fn proxies(variables: &[(&str, &str)]) -> Proxies {
    let value = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Proxies::from_variables(value).unwrap()
}

/// Connects by way of `proxy`, the value of a variable.
async fn connect(trust: Trust, proxy: &str) -> Result<Session, ConnectError> {
    let connector = Connector::new(trust, Timeouts::default());
    let options = Options {
        connector: connector.with_proxies(proxies(&[("HTTPS_PROXY", proxy)])),
        ..Options::default()
    };
    let url = format!("wss://{HOST}/v1/x");
    within_reason(ssm_session::connect(start(&url), options)).await
}

/// The failure of the proxy at `port`, and the whole message.
async fn failure(trust: Trust, proxy: &str, port: u16) -> (ProxyFailure, String) {
    let error = connect(trust, proxy).await.unwrap_err();
    let message = error.to_string();
    let ConnectError::Proxy { failure, .. } = error else {
        panic!("{error:?}");
    };
    let expected = format!("the proxy localhost:{port} gave no connection to {HOST}");
    assert_eq!(message, expected);
    let message = failure.to_string();
    (failure, message)
}

async fn echoes(session: &mut Session) {
    assert_eq!(output(session, 2).await, b"$ ");
    session.write(&[b'x'; 100_000]).await.unwrap();
    assert_eq!(output(session, 100_000).await, [b'x'; 100_000]);
}

#[tokio::test]
async fn a_session_runs_through_every_kind_of_proxy_and_the_proxy_gets_the_name() {
    let authority = Authority::new();
    let gateway = gateway(&authority).await;
    for (scheme, kind, tls) in [
        ("http", Kind::Http, false),
        ("https", Kind::Http, true),
        ("socks5", Kind::Socks, false),
        ("socks5h", Kind::Socks, false),
    ] {
        for credentials in [None, Some(("d\\user", "p@:/ é"))] {
            let acceptor = tls.then(|| authority.acceptor("localhost"));
            let mut proxy = Proxy::start(kind, gateway, credentials, acceptor).await;
            let user_info = credentials.map_or("", |_| "d%5Cuser:p%40%3a%2F%20%C3%A9@");
            let url = format!("{scheme}://{user_info}localhost:{}", proxy.port);
            let mut session = connect(authority.trust(), &url).await.unwrap();
            echoes(&mut session).await;
            assert_eq!(proxy.targets.recv().await.unwrap(), TARGET, "{url}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_wants_a_password_gets_an_error_that_says_so() {
    for (scheme, kind) in [("http", Kind::Http), ("socks5", Kind::Socks)] {
        let proxy = Proxy::start(kind, 1, Some(("user", "right")), None).await;
        let port = proxy.port;
        let url = format!("{scheme}://localhost:{port}");
        let (failure, message) = failure(Trust::default(), &url, port).await;
        assert!(matches!(failure, ProxyFailure::CredentialsWanted));
        assert_eq!(message, "it wants a user name and a password");
        assert_eq!(
            failure.advice(),
            "put them into the proxy's URL, as in http://user:password@host:port, with special \
             characters percent-encoded"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_is_reported_and_not_shown() {
    for (scheme, kind) in [("http", Kind::Http), ("socks5", Kind::Socks)] {
        let mut proxy = Proxy::start(kind, 1, Some(("user", "right")), None).await;
        let url = format!("{scheme}://user:hunter2@localhost:{}", proxy.port);
        let error = connect(Trust::default(), &url).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        let (failure, _) = failure(Trust::default(), &url, proxy.port).await;
        assert!(matches!(failure, ProxyFailure::CredentialsRefused));
        assert!(proxy.targets.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_target_the_proxy_cannot_reach_is_the_targets_fault() {
    for (scheme, kind, words) in [
        ("http", Kind::Http, "HTTP 502 Bad Gateway"),
        ("socks5", Kind::Socks, "SOCKS reply 5, connection refused"),
    ] {
        let mut proxy = Proxy::start(kind, closed_port().await, None, None).await;
        let port = proxy.port;
        let url = format!("{scheme}://localhost:{port}");
        let (failure, message) = failure(Trust::default(), &url, port).await;
        assert!(matches!(failure, ProxyFailure::Target(_)), "{failure:?}");
        assert_eq!(message, format!("it could not reach that host ({words})"));
        assert_eq!(proxy.targets.recv().await.unwrap(), TARGET);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named_with_its_port() {
    let port = closed_port().await;
    let url = format!("socks5://localhost:{port}");
    let (failure, _) = failure(Trust::default(), &url, port).await;
    let ProxyFailure::Unreachable(error) = &failure else {
        panic!("{failure:?}");
    };
    assert!(matches!(**error, ConnectError::Tcp { port: named, .. } if named == port));
    assert_eq!(failure.advice(), "check the proxy's scheme, host and port");
}

#[tokio::test]
async fn the_certificate_of_a_proxy_is_checked() {
    let acceptor = Authority::new().acceptor("localhost");
    let proxy = Proxy::start(Kind::Http, 1, None, Some(acceptor)).await;
    let url = format!("https://localhost:{}", proxy.port);
    let trust = Authority::new().trust();
    let error = connect(trust, &url).await.unwrap_err();
    assert!(error.is_untrusted_certificate(), "{error:?}");
    assert_eq!(
        error.advice(),
        Some("add the certificate authority of the proxy to those trusted")
    );
}

#[tokio::test]
async fn the_certificate_behind_a_proxy_is_checked_for_the_target() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("elsewhere.example");
    let gateway = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move { drop(acceptor.accept(stream).await) }
    })
    .await;
    let proxy = Proxy::start(Kind::Http, gateway, None, None).await;
    let url = format!("http://localhost:{}", proxy.port);
    let error = connect(authority.trust(), &url).await.unwrap_err();
    assert!(error.is_untrusted_certificate(), "{error:?}");
    assert!(matches!(&error, ConnectError::Tls { host, .. } if host == HOST));
}

#[tokio::test]
async fn what_comes_together_with_a_proxys_answer_is_not_lost() {
    for (scheme, said) in [
        ("http", &b"HTTP/1.1 200 OK\r\n\r\nfirst words"[..]),
        (
            "socks5",
            b"\x05\x00\x05\x00\x00\x01\x7f\0\0\x01\0\x50first words",
        ),
        (
            "socks5",
            b"\x05\x00\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50first words",
        ),
    ] {
        let port = scripted(said, Then::End).await;
        let proxy = format!("{scheme}://localhost:{port}");
        let connector = Connector::default().with_proxies(proxies(&[("HTTP_PROXY", &proxy)]));
        let mut connection = within_reason(connector.connect("host.example", 80, false))
            .await
            .unwrap();
        let mut received = String::new();
        within_reason(connection.read_to_string(&mut received))
            .await
            .unwrap();
        assert_eq!(received, "first words", "{scheme}");
    }
}

#[tokio::test]
async fn a_plain_connection_goes_through_the_proxy_for_plain_ones() {
    let target = serve(|mut stream| async move {
        drop(stream.write_all(b"hello").await);
        silence(stream).await;
    })
    .await;
    let mut proxy = Proxy::start(Kind::Http, target, None, None).await;
    let url = format!("http://localhost:{}", proxy.port);
    let connector = Connector::default().with_proxies(proxies(&[("HTTP_PROXY", &url)]));
    let mut connection = within_reason(connector.connect("fd00::1", 80, false))
        .await
        .unwrap();
    assert!(!connection.is_tls());
    let mut received = [0; 5];
    within_reason(connection.read_exact(&mut received))
        .await
        .unwrap();
    assert_eq!(&received, b"hello");
    assert_eq!(proxy.targets.recv().await.unwrap(), "[fd00::1]:80");
}

#[tokio::test]
async fn this_machine_is_reached_without_the_proxy() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost");
    let port = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let (_, socket) = ServerBuilder::new().accept(stream).await.unwrap();
            Node::open(socket).await.echo().await;
        }
    })
    .await;
    let mut proxy = Proxy::start(Kind::Http, 1, None, None).await;
    let url = format!("http://localhost:{}", proxy.port);
    let connector = Connector::new(authority.trust(), Timeouts::default());
    let options = Options {
        connector: connector.with_proxies(proxies(&[("ALL_PROXY", &url)])),
        ..Options::default()
    };
    let start = start(&format!("wss://localhost:{port}/"));
    let mut session = within_reason(ssm_session::connect(start, options))
        .await
        .unwrap();
    echoes(&mut session).await;
    assert!(proxy.targets.try_recv().is_err());
}

#[tokio::test]
async fn a_listed_host_is_reached_without_the_proxy() {
    let mut proxy = Proxy::start(Kind::Http, 1, None, None).await;
    let url = format!("http://localhost:{}", proxy.port);
    let around = proxies(&[("ALL_PROXY", &url), ("NO_PROXY", "listed.example")]);
    let connector = Connector::default().with_proxies(around);
    // A name that fails on this machine before anybody is asked for it.
    let host = "a\0b.listed.example";
    let error = within_reason(connector.connect(host, 443, true))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::Resolve { host: named, .. } if named == host),
        "{error:?}"
    );
    assert!(proxy.targets.try_recv().is_err());
}
