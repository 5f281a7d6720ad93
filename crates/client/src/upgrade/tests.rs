use super::*;
use crate::stream_policy::StreamPolicy;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn url() -> StreamUrl {
    let policy = StreamPolicy::default().allow_host("host.example").unwrap();
    StreamUrl::parse(
        "wss://host.example:8443/v1/x?a=1&sig=s3cr3t%2Fvalue",
        &policy,
    )
    .unwrap()
}

fn signature() -> Vec<Field> {
    let field = |name, value: &str| Field {
        name,
        value: Secret::new(value),
    };
    vec![
        field("x-amz-security-token", "t0k3n-of-sts"),
        field("authorization", "AWS4-HMAC-SHA256 …"),
    ]
}

/// What `answer` leads to, sent in pieces of `piece` bytes, after which the peer hangs up.
async fn outcome_in_pieces(answer: &[u8], piece: usize) -> Result<Bytes, Failure> {
    let mut stream = tokio_stream_of(answer, piece);
    exchange(&mut stream, &url(), &[], KEY).await
}

async fn outcome(answer: &[u8]) -> Result<Bytes, Failure> {
    outcome_in_pieces(answer, usize::MAX).await
}

fn tokio_stream_of(answer: &[u8], piece: usize) -> impl AsyncRead + AsyncWrite + Unpin {
    let (ours, mut theirs) = tokio::io::duplex(piece.min(64 * 1024));
    let answer = answer.to_vec();
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(&mut theirs);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(reader.read_buf(&mut request).await.unwrap(), 0);
        }
        // The client stops reading once it knows enough.
        drop(writer.write_all(&answer).await);
    });
    ours
}

fn switched(extra: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUPGRADE: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{extra}\r\n"
    )
    .into_bytes()
}

fn refusal(outcome: Result<Bytes, Failure>) -> Refusal {
    match outcome {
        Err(Failure::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn problem(outcome: Result<Bytes, Failure>) -> NotWebSocket {
    match outcome {
        Err(Failure::Answer(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_carries_path_query_and_host_as_given() {
    let request = request(&url(), &signature(), KEY);
    let request = request.expose();
    assert!(
        request.starts_with(
            "GET /v1/x?a=1&sig=s3cr3t%2Fvalue HTTP/1.1\r\nHost: host.example:8443\r\n"
        )
    );
    assert!(request.contains(&format!(
        "\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    )));
    assert!(!request.contains("Extensions") && !request.contains("Protocol:"));
    assert!(request.ends_with(
        "\r\nx-amz-security-token: t0k3n-of-sts\r\nauthorization: AWS4-HMAC-SHA256 …\r\n\r\n"
    ));
}

#[tokio::test]
async fn bytes_after_the_header_are_handed_on() {
    let mut answer = switched("");
    answer.extend(b"\x81\x02hi");
    assert_eq!(outcome(&answer).await.unwrap(), &b"\x81\x02hi"[..]);
}

#[tokio::test]
async fn an_answer_in_single_bytes_is_understood() {
    assert!(
        outcome_in_pieces(&switched(""), 1)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_refusal_keeps_status_reason_and_the_start_of_its_body() {
    let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 30\r\n\r\n{\"message\":\r\n\t\"\x1b[1mno entry\"}\nmore";
    let refusal = refusal(outcome(answer).await);
    assert_eq!(
        (refusal.status, refusal.reason.as_str()),
        (403, "Forbidden")
    );
    assert_eq!(refusal.excerpt, "{\"message\": \" [1mno entry\"}");
    assert_eq!(
        refusal.to_string(),
        "HTTP 403 Forbidden: {\"message\": \" [1mno entry\"}"
    );
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let answer = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n4\r\n bar\r\n0\r\n\r\n";
    assert_eq!(refusal(outcome(answer).await).excerpt, "foo bar");
}

#[tokio::test]
async fn a_refusal_without_body_or_reason_is_a_status() {
    assert_eq!(
        refusal(outcome(b"HTTP/1.1 503\r\n\r\n").await).to_string(),
        "HTTP 503"
    );
    assert_eq!(
        refusal(outcome(b"HTTP/1.0 101 Ok\r\n\r\n").await).status,
        101
    );
}

#[tokio::test]
async fn a_long_body_is_cut() {
    let mut answer = b"HTTP/1.1 500 Oops\r\n\r\n".to_vec();
    answer.extend(vec![b'x'; 100_000]);
    let refusal = refusal(outcome(&answer).await);
    assert_eq!(refusal.excerpt.chars().count(), MAX_EXCERPT);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_does_not_hold_up_the_report() {
    let (mut ours, mut theirs) = tokio::io::duplex(1024);
    theirs
        .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno")
        .await
        .unwrap();
    let refusal = refusal(exchange(&mut ours, &url(), &signature(), KEY).await);
    assert_eq!(refusal.excerpt, "no");
    drop(theirs);
}

#[tokio::test]
async fn a_body_that_repeats_the_query_shows_none_of_it() {
    let answer =
        b"HTTP/1.1 403 No\r\n\r\nno /v1/x?a=1&sig=s3cr3t%2Fvalue or sig=s3cr3t%2Fvalue for you";
    let refusal = refusal(outcome(answer).await);
    assert_eq!(refusal.excerpt, "no /v1/x?[…] or sig=[…] for you");
}

#[tokio::test]
async fn a_body_that_repeats_the_signature_shows_none_of_it() {
    let (mut ours, mut theirs) = tokio::io::duplex(1024);
    let answer = b"HTTP/1.1 403 No\r\n\r\nwe calculated x-amz-security-token:t0k3n-of-sts";
    theirs.write_all(answer).await.unwrap();
    theirs.shutdown().await.unwrap();
    let refusal = refusal(exchange(&mut ours, &url(), &signature(), KEY).await);
    assert_eq!(refusal.excerpt, "we calculated x-amz-security-token:[…]");
}

#[tokio::test]
async fn other_answers_are_told_apart() {
    assert_eq!(problem(outcome(b"").await), NotWebSocket::Ended);
    assert_eq!(
        problem(outcome(b"HTTP/1.1 101 Sw").await),
        NotWebSocket::Ended
    );
    assert_eq!(
        problem(outcome(b"SSH-2.0-OpenSSH_9.2\r\n").await),
        NotWebSocket::NotHttp
    );
    let endless = format!("HTTP/1.1 101 X\r\nA: {}", "x".repeat(MAX_HEADER));
    assert_eq!(
        problem(outcome(endless.as_bytes()).await),
        NotWebSocket::HeaderTooLong
    );
    let many = format!(
        "HTTP/1.1 101 X\r\n{}\r\n",
        "A: b\r\n".repeat(MAX_FIELDS + 1)
    );
    assert_eq!(
        problem(outcome(many.as_bytes()).await),
        NotWebSocket::HeaderTooLong
    );
}

#[tokio::test]
async fn a_switch_must_be_to_our_websocket() {
    let answer = String::from_utf8(switched("")).unwrap();
    let without = |part: &str, new: &str| answer.replace(part, new).into_bytes();
    assert_eq!(
        problem(outcome(&without("WebSocket\r", "h2c\r")).await),
        NotWebSocket::UpgradeHeader
    );
    assert_eq!(
        problem(outcome(&without(", Upgrade", "")).await),
        NotWebSocket::ConnectionHeader
    );
    assert_eq!(
        problem(outcome(&without(ACCEPT, "AAAA")).await),
        NotWebSocket::AcceptHeader
    );
    let extended = switched("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    assert_eq!(
        problem(outcome(&extended).await),
        NotWebSocket::UnaskedExtension
    );
}
