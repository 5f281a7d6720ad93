//! Proxies that say nothing, too little or something else.

use std::time::Duration;

use ssm_session::ConnectError;
use ssm_session::Connector;
use ssm_session::ProxyFailure;
use ssm_session::Timeouts;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::HOST;
use super::connect;
use super::proxies;
use crate::server::Authority;
use crate::server::serve;
use crate::server::silence;
use crate::support::within_reason;

/// What a proxy says in bytes, and how it then goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    Silence,
    End,
}

/// Says `bytes` to whoever comes, whatever they say.
pub(super) async fn scripted(bytes: &'static [u8], then: Then) -> u16 {
    serve(move |mut stream: TcpStream| async move {
        drop(stream.write_all(bytes).await);
        match then {
            Then::Silence => silence(stream).await,
            // Whatever the client says is read, lest the end become a reset.
            Then::End => {
                drop(stream.shutdown().await);
                silence(stream).await;
            }
        }
    })
    .await
}

/// The failure of a connection through the proxy `scheme` at `port`, with little patience.
async fn impatient(scheme: &str, port: u16) -> ConnectError {
    let limit = Duration::from_millis(20);
    let timeouts = Timeouts {
        proxy: limit,
        tls: limit,
        ..Timeouts::default()
    };
    let proxy = format!("{scheme}://user:password@localhost:{port}");
    let connector = Connector::new(Authority::new().trust(), timeouts)
        .with_proxies(proxies(&[("ALL_PROXY", &proxy)]));
    within_reason(connector.connect(HOST, 443, true))
        .await
        .unwrap_err()
}

/// Answers that are cut off, at every step.
const UNFINISHED: [(&str, &[u8]); 9] = [
    ("http", b""),
    ("http", b"HTTP/1.1 2"),
    ("http", b"HTTP/1.1 200 OK\r\nA: b\r\n"),
    ("socks5", b""),
    ("socks5", b"\x05"),
    ("socks5", b"\x05\x02\x01"),
    ("socks5", b"\x05\x02\x01\x00\x05\x00"),
    ("socks5", b"\x05\x00\x05\x00\x00\x01\x7f\x00"),
    ("socks5", b"\x05\x00\x05\x00\x00\x03\x09local"),
];

#[tokio::test]
async fn a_proxy_that_falls_silent_is_given_up_at_every_step() {
    for (scheme, said) in UNFINISHED {
        let error = impatient(scheme, scripted(said, Then::Silence).await).await;
        assert!(error.is_timeout(), "{said:?}: {error:?}");
        let ConnectError::Proxy { failure, .. } = error else {
            panic!("{said:?}: {error:?}");
        };
        assert_eq!(failure.to_string(), "it did not answer within 0.02 s");
    }
    let error = impatient("https", scripted(b"", Then::Silence).await).await;
    assert!(error.is_timeout(), "{error:?}");
    assert!(
        matches!(
            &error,
            ConnectError::Proxy {
                failure: ProxyFailure::Unreachable(_),
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn silence_behind_a_proxys_answer_is_the_hosts() {
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    let error = impatient("http", scripted(answer, Then::Silence).await).await;
    assert_eq!(
        error.to_string(),
        format!("{HOST} did not complete the TLS handshake within 0.02 s")
    );
}

/// Patience for what ends by itself.
async fn patient(scheme: &str, port: u16) -> ProxyFailure {
    let proxy = format!("{scheme}://user:password@localhost:{port}");
    let error = connect(Authority::new().trust(), &proxy).await.unwrap_err();
    match error {
        ConnectError::Proxy { failure, .. } => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_proxy_that_hangs_up_is_noticed_at_every_step() {
    for (scheme, said) in UNFINISHED {
        let failure = patient(scheme, scripted(said, Then::End).await).await;
        assert!(
            matches!(failure, ProxyFailure::Io(_)),
            "{said:?}: {failure:?}"
        );
    }
    let failure = patient("https", scripted(b"", Then::End).await).await;
    assert!(
        matches!(failure, ProxyFailure::Unreachable(_)),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_socks_proxy_that_hangs_up_on_a_request_could_not_reach_the_target() {
    for said in [&b"\x05\x00"[..], b"\x05\x02\x01\x00"] {
        let failure = patient("socks5", scripted(said, Then::End).await).await;
        assert_eq!(
            failure.to_string(),
            "it could not reach that host (it hung up instead of a reply)"
        );
    }
}

#[tokio::test]
async fn what_is_no_proxy_is_recognised() {
    let endless = || {
        let header = [&b"HTTP/1.1 200 OK\r\nA: "[..], &[b'x'; 20_000]].concat();
        &*header.leak()
    };
    let many: String = std::iter::repeat_n("A: b\r\n", 100).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{many}\r\n").leak().as_bytes();
    for (scheme, said, like) in [
        ("http", &b"220 mail.example ESMTP\r\n"[..], "an HTTP proxy"),
        ("http", b"\x05\x00", "an HTTP proxy"),
        ("http", endless(), "an HTTP proxy"),
        ("http", many, "an HTTP proxy"),
        ("socks5", b"HTTP/1.1 400 Bad\r\n\r\n", "a SOCKS5 proxy"),
        ("socks5", b"\x04\x00", "a SOCKS5 proxy"),
        ("socks5", b"\x05\x01", "a SOCKS5 proxy"),
        ("socks5", b"\x05\x00\x04\x00\x00\x01", "a SOCKS5 proxy"),
        ("socks5", b"\x05\x00\x05\x00\x00\x02", "a SOCKS5 proxy"),
    ] {
        let failure = patient(scheme, scripted(said, Then::Silence).await).await;
        assert_eq!(
            failure.to_string(),
            format!("it does not answer as {like} does"),
            "{scheme}"
        );
    }
    let failure = patient(
        "https",
        scripted(b"HTTP/1.1 400 Bad\r\n\r\n", Then::Silence).await,
    )
    .await;
    assert!(
        matches!(failure, ProxyFailure::Unreachable(_)),
        "{failure:?}"
    );
}
