//! One direction of a connection ends before the other.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ssm_session::LocalConnection;
use ssm_session::Options;
use ssm_session::Timeouts;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::rig::Destinations;
use super::rig::Forward;
use super::rig::echo;
use super::rig::patient;
use super::rig::spawn;
use super::rig::tcp_pair;
use crate::support::pattern;
use crate::support::within_reason;

const ANSWER: usize = 300_000;

/// Reads a question of 8 bytes and answers it at a sign.
async fn answer_at(sign: Arc<Notify>, mut pipe: DuplexStream) {
    let mut question = [0; 8];
    pipe.read_exact(&mut question).await.unwrap();
    assert_eq!(&question, b"question");
    sign.notified().await;
    pipe.write_all(&pattern(ANSWER)).await.unwrap();
}

fn answering_at(sign: &Arc<Notify>) -> Destinations {
    let sign = Arc::clone(sign);
    Box::new(move |_| {
        let sign = Arc::clone(&sign);
        Some(spawn(|pipe| answer_at(sign, pipe)))
    })
}

/// A program that says all it has to say before the destination answers.
async fn asks_and_shuts_down(
    mut program: impl AsyncRead + AsyncWrite + Unpin,
    connection: impl Into<LocalConnection>,
) {
    let sign = Arc::new(Notify::new());
    let mut forward = Forward::open(patient(), answering_at(&sign)).await;
    forward.session.forward(connection.into()).await.unwrap();
    program.write_all(b"question").await.unwrap();
    program.shutdown().await.unwrap();
    // Another connection comes and goes, so that the end of this one has been seen.
    let mut other = forward.pipe().await;
    other.write_all(b"question").await.unwrap();
    forward.has_streams(2).await;
    sign.notify_waiters();
    sign.notify_one();
    sign.notify_one();
    let mut received = Vec::new();
    within_reason(program.read_to_end(&mut received))
        .await
        .unwrap();
    assert!(received == pattern(ANSWER), "{} bytes", received.len());
}

#[tokio::test]
async fn a_program_that_shuts_down_its_tcp_connection_gets_the_answer() {
    let (program, ours) = tcp_pair().await;
    asks_and_shuts_down(program, ours).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_that_shuts_down_its_unix_socket_gets_the_answer() {
    let (program, ours) = tokio::net::UnixStream::pair().unwrap();
    asks_and_shuts_down(program, ours).await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_shuts_down_its_pipe_gets_the_answer() {
    let (program, ours) = tokio::io::duplex(1000);
    asks_and_shuts_down(program, LocalConnection::new(ours)).await;
}

/// Options under which only the program's going can end a stream in time.
async fn closing_leaves_no_stream<S, F>(connect: impl Fn() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = (S, LocalConnection)>,
{
    let destinations = |_| {
        Some(spawn(|mut pipe: DuplexStream| async move {
            pipe.read_to_end(&mut Vec::new()).await.unwrap();
        }))
    };
    let mut forward = Forward::open(patient(), Box::new(destinations)).await;
    for words in [&b""[..], b"one request"] {
        let (mut program, connection) = connect().await;
        forward.session.forward(connection).await.unwrap();
        program.write_all(words).await.unwrap();
        forward.has_streams(1).await;
        drop(program);
        forward.has_streams(0).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn closing_a_tcp_connection_ends_its_stream_at_once() {
    closing_leaves_no_stream(|| async {
        let (program, ours) = tcp_pair().await;
        (program, ours.into())
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn closing_a_unix_socket_ends_its_stream_at_once() {
    closing_leaves_no_stream(|| async {
        let (program, ours) = tokio::net::UnixStream::pair().unwrap();
        (program, ours.into())
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_that_goes_while_it_waits_for_the_answer_ends_its_stream() {
    let mut forward = Forward::to(patient(), |pipe| async move {
        std::future::pending::<()>().await;
        drop(pipe);
    })
    .await;
    let mut program = forward.tcp().await;
    program.write_all(b"question").await.unwrap();
    program.shutdown().await.unwrap();
    forward.has_streams(1).await;
    drop(program);
    forward.has_streams(0).await;
}

/// What a program wrote before it closed arrives, however much it is.
#[tokio::test]
async fn closing_right_after_writing_loses_nothing() {
    const TOTAL: usize = 4 * 1024 * 1024;
    let (whole, arrived) = tokio::sync::oneshot::channel();
    let mut whole = Some(whole);
    let destinations = move |_| {
        let whole = whole.take();
        Some(spawn(|mut pipe: DuplexStream| async move {
            let mut received = Vec::new();
            pipe.read_to_end(&mut received).await.unwrap();
            whole.unwrap().send(received).unwrap();
        }))
    };
    let forward = Forward::open(patient(), Box::new(destinations)).await;
    let mut program = forward.tcp().await;
    within_reason(program.write_all(&pattern(TOTAL)))
        .await
        .unwrap();
    drop(program);
    let received = within_reason(arrived).await.unwrap();
    assert!(received == pattern(TOTAL), "{} bytes", received.len());
}

#[tokio::test(start_paused = true)]
async fn a_program_that_closes_its_pipe_ends_its_stream_when_the_far_end_speaks() {
    let mut forward = Forward::to(patient(), |mut pipe| async move {
        pipe.write_all(b"welcome").await.unwrap();
        tokio::time::sleep_until(Instant::now() + Duration::from_secs(60)).await;
        pipe.write_all(b"anybody there?").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let mut program = forward.pipe().await;
    program.read_exact(&mut [0; 7]).await.unwrap();
    drop(program);
    forward.has_streams(0).await;
}

/// As `nc -l > file` waits for the end of what it is to store.
#[tokio::test(start_paused = true)]
async fn a_destination_that_waits_for_the_end_gets_it_after_a_limit() {
    let limit = Duration::from_secs(30);
    let (stored, storing) = tokio::sync::oneshot::channel();
    let mut stored = Some(stored);
    let destinations = move |_| {
        let stored = stored.take();
        Some(spawn(|mut pipe: DuplexStream| async move {
            let mut received = Vec::new();
            pipe.read_to_end(&mut received).await.unwrap();
            stored.unwrap().send((received, Instant::now())).unwrap();
        }))
    };
    let options = Options {
        timeouts: Timeouts {
            half_close: limit,
            ..Timeouts::default()
        },
        ..Options::default()
    };
    let mut forward = Forward::open(options, Box::new(destinations)).await;
    let mut program = forward.pipe().await;
    program.write_all(b"to be stored").await.unwrap();
    let closed = Instant::now();
    program.shutdown().await.unwrap();
    let (received, at) = within_reason(storing).await.unwrap();
    assert_eq!(received, b"to be stored");
    assert_eq!((at - closed).as_secs(), limit.as_secs());
    // The clock is paused: the end comes when the destination has stored it, and no later.
    assert_eq!(within_reason(program.read(&mut [0; 1])).await.unwrap(), 0);
    forward.has_streams(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_writes_to_a_destination_that_has_gone_learns_of_it() {
    let mut forward = Forward::to(patient(), |mut pipe| async move {
        pipe.write_all(b"no thanks").await.unwrap();
    })
    .await;
    let mut program = forward.pipe().await;
    let mut received = [0; 9];
    program.read_exact(&mut received).await.unwrap();
    forward.has_streams(0).await;
    let writing = async {
        while program.write_all(&[1; 100_000]).await.is_ok() {
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    };
    within_reason(writing).await;
    let mut next = Forward::to(patient(), echo).await;
    next.pipe().await;
    next.has_streams(1).await;
}

#[tokio::test]
async fn a_program_that_still_writes_gets_the_whole_answer_of_one_that_has_gone() {
    let forward = Forward::to(patient(), |mut pipe| async move {
        pipe.write_all(&pattern(ANSWER)).await.unwrap();
    })
    .await;
    let mut program = forward.tcp().await;
    // More than all buffers on the way hold, so that it must be taken for the program to go on.
    let upload = async {
        let (mut from, mut to) = program.split();
        to.write_all(&pattern(16 * 1024 * 1024)).await.ok();
        let mut received = Vec::new();
        let end = from.read_to_end(&mut received).await;
        (received, end)
    };
    let (received, _) = within_reason(upload).await;
    assert!(received == pattern(ANSWER), "{} bytes", received.len());
}
