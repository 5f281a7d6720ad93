//! Peers that break the WebSocket protocol, or keep to it and mean harm. What they can make the
//! client keep is in `ceiling`.

use std::time::Duration;

use futures_util::SinkExt as _;
use ssm_session::Close;
use ssm_session::EndedBy;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionAccess;
use ssm_session::SessionEvent;
use ssm_session::SessionStart;
use ssm_session::StreamPolicy;
use ssm_session::Timeouts;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;
use tokio::io::WriteHalf;
use tokio::task::JoinHandle;
use tokio_websockets::CloseCode;
use tokio_websockets::Message;
use tokio_websockets::WebSocketStream;

use crate::support::end;
use crate::support::receive;
use crate::support::session_with;
use crate::support::within_reason;

/// Where to write raw bytes to the client; what it sends is read and thrown away.
fn raw(socket: WebSocketStream<DuplexStream>) -> WriteHalf<DuplexStream> {
    let (mut reader, writer) = tokio::io::split(socket.into_inner());
    tokio::spawn(async move {
        let mut taken = vec![0; 4096];
        while matches!(reader.read(&mut taken).await, Ok(1..)) {}
    });
    writer
}

/// How a session ends whose peer sends these bytes and then nothing.
async fn end_after(bytes: Vec<u8>) -> Close {
    let (mut session, _peer) = session_with(Options::default(), 4096, |socket| async move {
        let mut writer = raw(socket);
        drop(writer.write_all(&bytes).await);
        std::future::pending::<()>().await;
    })
    .await;
    end(&mut session).await
}

#[tokio::test(start_paused = true)]
async fn frames_against_the_rules_end_the_connection_at_once_and_in_words() {
    let began = tokio::time::Instant::now();
    for (rule, bytes) in [
        ("a reserved bit", &[0xc2, 0][..]),
        ("another reserved bit", &[0x92, 0]),
        ("a reserved opcode", &[0x83, 0]),
        ("a reserved control opcode", &[0x8b, 0]),
        ("a masked frame", &[0x82, 0x81, 1, 2, 3, 4, 5]),
        ("a ping in fragments", &[0x09, 0]),
        ("a ping that is too long", &[0x89, 126, 0, 200]),
        ("a fragment of nothing", &[0x80, 0]),
        ("a message amid another", &[0x02, 1, b'x', 0x82, 0]),
        ("a length longer than it need be", &[0x82, 126, 0, 1, b'x']),
        (
            "the same in eight bytes",
            &[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1],
        ),
        ("a gigabyte", &[0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0]),
        (
            "all there can be",
            &[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255],
        ),
        ("text that is no UTF-8", &[0x81, 2, 0xc3, 0x28]),
        ("the same in fragments", &[0x01, 1, 0xc3, 0x80, 1, 0x28]),
        ("a close frame of one byte", &[0x88, 1, 3]),
        ("close code 0", &[0x88, 2, 0, 0]),
        ("close code 999", &[0x88, 2, 0x03, 0xe7]),
        ("close code 1005", &[0x88, 2, 0x03, 0xed]),
        ("close code 1006", &[0x88, 2, 0x03, 0xee]),
        ("close code 65535", &[0x88, 2, 0xff, 0xff]),
        (
            "a close reason that is no UTF-8",
            &[0x88, 4, 0x03, 0xe8, 0xc3, 0x28],
        ),
    ] {
        let close = end_after(bytes.to_vec()).await;
        assert_eq!(close.by, EndedBy::Network, "{rule}: {close:?}");
        let cause = close
            .message
            .strip_prefix("the connection to localhost was lost before the session was set up: ")
            .unwrap();
        assert!((5..200).contains(&cause.len()), "{rule}: {cause}");
        assert!(!cause.contains(char::is_control), "{rule}: {cause}");
    }
    // None of them was merely waited out. The clock is paused.
    assert!(began.elapsed() < Timeouts::default().keepalive);
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_full_of_escapes_is_told_fit_for_a_terminal() {
    let reason = "\x1b]0;owned\x07\x1b[2J\r\n\u{202e}\u{9b}".repeat(5);
    let mut bytes = vec![0x88, u8::try_from(reason.len() + 2).unwrap(), 0x03, 0xf3];
    bytes.extend(reason.as_bytes());
    let close = end_after(bytes).await;
    assert_eq!(close.close_code, Some(1011));
    assert!(close.message.contains("owned"), "{}", close.message);
    let unfit = |c: char| c.is_control() || c == '\u{202e}';
    assert!(!close.message.contains(unfit), "{:?}", close.message);
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_close_frame_is_not_heard() {
    let mut bytes = vec![0x88, 2, 0x03, 0xe8];
    bytes.extend([0x82, 1, b'x'].repeat(1000));
    let close = end_after(bytes).await;
    assert_eq!(close.close_code, Some(1000));
}

/// A session of little patience with silence, on a clock that runs. Its peer says `first`, and
/// `then` for ever.
async fn under_flood(first: &'static [u8], then: &'static [u8]) -> (Session, JoinHandle<()>) {
    let options = Options {
        timeouts: Timeouts {
            keepalive: Duration::from_millis(20),
            silence: Duration::from_millis(100),
            ..Timeouts::default()
        },
        ..Options::default()
    };
    session_with(options, 4096, move |socket| async move {
        let mut writer = raw(socket);
        drop(writer.write_all(first).await);
        let many = then.repeat(200);
        while writer.write_all(&many).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn a_message_that_is_never_complete_is_no_sign_of_life() {
    let (mut session, peer) = under_flood(&[0x02, 1, b'x'], &[0x00, 0x00]).await;
    let message = end(&mut session).await.message;
    assert!(message.contains("nothing was heard for 0.1 s"), "{message}");
    within_reason(peer).await.unwrap();
}

#[tokio::test]
async fn a_session_under_a_flood_of_pings_can_still_be_left() {
    let (mut session, peer) = under_flood(&[], &[0x89, 0x00]).await;
    session.terminate();
    let close = end(&mut session).await;
    assert_eq!(close.by, EndedBy::Us);
    // The peer does not stop: the connection is closed all the same.
    within_reason(peer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_pings_and_never_reads_is_given_up() {
    let (mut session, _peer) = session_with(Options::default(), 1024, |mut socket| async move {
        while socket.feed(Message::ping(vec![0; 125])).await.is_ok() {
            if socket.flush().await.is_err() {
                break;
            }
        }
    })
    .await;
    let message = end(&mut session).await.message;
    assert!(message.contains("nothing was heard for 45 s"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_says_goodbye_does_not_keep_the_task() {
    let (mut session, peer) = session_with(Options::default(), 4096, |mut socket| async move {
        receive(&mut socket).await.unwrap();
        let (mut reader, _writer) = tokio::io::split(socket.into_inner());
        // The close frame is not answered; the end of the connection must come all the same.
        reader.read_to_end(&mut Vec::new()).await.unwrap();
    })
    .await;
    session.terminate();
    end(&mut session).await;
    within_reason(peer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_in_reply_to_everything_ends_the_session_once() {
    let (mut session, _peer) = session_with(Options::default(), 4096, |mut socket| async move {
        for _ in 0..3 {
            let close = Message::close(Some(CloseCode::GOING_AWAY), "");
            drop(socket.send(close).await);
        }
        while receive(&mut socket).await.is_some() {}
    })
    .await;
    let event = within_reason(session.next_event()).await;
    assert!(matches!(event, Some(SessionEvent::Closed(_))), "{event:?}");
    assert_eq!(session.next_event().await, None);
}

#[test]
fn an_answer_of_the_api_without_measure_is_refused() {
    let access = |url: usize, token: usize| {
        let access = SessionAccess {
            session_id: "s".to_owned(),
            stream_url: ssm_session::Secret::new(format!("ws://localhost/{}", "x".repeat(url))),
            token: ssm_session::Secret::new("x".repeat(token)),
        };
        SessionStart::new(access, &StreamPolicy::default()).map(|_| ())
    };
    assert_eq!(access(4000, 4000), Ok(()));
    let error = access(100_000_000, 300).unwrap_err().to_string();
    assert_eq!(
        error,
        "the stream URL has 100000015 bytes, more than the 16384 that are taken"
    );
    let error = access(300, 100_000_000).unwrap_err().to_string();
    assert_eq!(
        error,
        "the session's token has 100000000 bytes, more than the 16384 that are taken"
    );
}
