use std::future::pending;
use std::future::poll_fn;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::agent::Outcome;
use crate::agent::job::End;

const SYN: u8 = 0;
const PSH: u8 = 2;
const NOP: u8 = 3;

#[tokio::test]
async fn a_connection_that_takes_long_holds_up_those_behind_it() {
    let (listener, mut session) = session(false).await;
    session.dial = Some(pending().boxed());
    for (id, data) in [(3, b"first"), (5, b"then.")] {
        session.input(&frame(SYN, id, b""));
        session.input(&frame(PSH, id, data));
    }
    assert!(poll_fn(|cx| Poll::Ready(session.poll(cx, true).is_pending())).await);
    assert_eq!(session.accepted, [StreamId(3), StreamId(5)]);
    session.dial = None;
    for expected in [b"first", b"then."] {
        let mut seen = [0; 5];
        let receive = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.read_exact(&mut seen).await.unwrap();
        };
        run(&mut session, receive).await;
        assert_eq!(&seen, expected);
    }
}

#[tokio::test]
async fn what_connections_do_not_take_is_bounded_and_kept() {
    let (listener, mut session) = session(false).await;
    session.input(&frame(SYN, 3, b""));
    let data = vec![7; 16 * 1024];
    let mut sent = 0;
    let turn = async |session: &mut Multiplexed| {
        poll_fn(|cx| Poll::Ready(session.poll(cx, true).is_ready())).await
    };
    // Into the connection first, which nobody reads from.
    let (mut connection, _) = run(&mut session, listener.accept()).await.unwrap();
    while session.takes_input() {
        session.input(&frame(PSH, 3, &data));
        sent += data.len();
        turn(&mut session).await;
    }
    assert!((BUCKET..BUCKET + data.len()).contains(&session.unwritten));
    let mut received = 0;
    let mut buffer = vec![0; 1 << 16];
    while received < sent {
        received += run(&mut session, connection.read(&mut buffer))
            .await
            .unwrap();
    }
    assert_eq!((received, session.unwritten), (sent, 0));
    assert!(session.takes_input());
}

#[tokio::test]
async fn a_message_of_many_tiny_pieces_loses_none() {
    let (listener, mut session) = session(false).await;
    session.input(&frame(SYN, 3, b""));
    let mut message = Vec::new();
    for byte in (0..=255).cycle().take(200_000) {
        message.extend(frame(PSH, 3, &[byte]));
    }
    session.input(&Bytes::from(message));
    let (mut connection, _) = run(&mut session, listener.accept()).await.unwrap();
    let mut seen = vec![0; 200_000];
    run(&mut session, connection.read_exact(&mut seen))
        .await
        .unwrap();
    assert!(seen.into_iter().eq((0..=255).cycle().take(200_000)));
}

#[tokio::test]
async fn a_server_that_sends_without_end_is_held_back_until_output_may_go() {
    let (listener, mut session) = session(false).await;
    session.input(&frame(SYN, 3, b""));
    let (mut connection, _) = run(&mut session, listener.accept()).await.unwrap();
    // More than the stream and the sockets hold.
    let data = vec![7; 32 << 20];
    let read = async {
        while session.mux.room(StreamId(3)) > 0 {
            assert!(poll_fn(|cx| Poll::Ready(session.poll(cx, false).is_pending())).await);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        written = connection.write_all(&data) => panic!("it took everything: {written:?}"),
        () = read => {}
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_client_is_sent_signs_of_life_and_given_up_without_any_of_its_own() {
    let (_listener, mut session) = session(true).await;
    let began = Instant::now();
    for _ in 0..2 {
        let Turn::Output { data, .. } = session.turn(true).await else {
            panic!("no output");
        };
        assert_eq!(data, frame(NOP, 0, b""));
    }
    assert_eq!(began.elapsed().as_secs(), 20);
    session.input(&frame(NOP, 0, b""));
    let end = loop {
        match session.turn(true).await {
            Turn::Ended(End { outcome, .. }) => break outcome,
            Turn::Output { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end, Outcome::failed(String::new()));
    assert_eq!(began.elapsed().as_secs(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_newer_client_is_left_in_peace() {
    let (_listener, mut session) = session(false).await;
    let turn = tokio::time::timeout(Duration::from_secs(3600), session.turn(true)).await;
    assert!(turn.is_err(), "{turn:?}");
}

async fn session(keepalive: bool) -> (TcpListener, Multiplexed) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let destination = Destination::resolve(None, port.to_string()).await.unwrap();
    let limits = Limits {
        payload: 1024,
        read: 1024,
    };
    let session = Multiplexed::new(destination, keepalive, limits);
    (listener, session)
}

/// Lets the session run until `future` is ready.
async fn run<T>(session: &mut Multiplexed, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            value = future.as_mut() => return value,
            turn = session.turn(true) => {
                assert!(matches!(turn, Turn::InputTaken | Turn::Output { .. }), "{turn:?}");
            }
        }
    }
}

fn frame(command: u8, stream: u32, data: &[u8]) -> Bytes {
    let length = u16::try_from(data.len()).unwrap();
    let mut frame = vec![1, command];
    frame.extend(length.to_le_bytes());
    frame.extend(stream.to_le_bytes());
    frame.extend(data);
    frame.into()
}
