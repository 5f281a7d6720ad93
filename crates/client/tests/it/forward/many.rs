//! Many connections at once, good and bad.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use ssm_session::Listener;
use ssm_session::Options;
use ssm_session::SessionEvent;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;

use super::rig::Forward;
use super::rig::echo;
use super::rig::patient;
use super::rig::round_trip;
use super::rig::spawn;
use crate::support::pattern;
use crate::support::within_reason;

const MIB: usize = 1024 * 1024;

/// Sends for as long as anybody takes it.
async fn flood(mut pipe: DuplexStream) {
    while pipe.write_all(&[b'f'; 16 * 1024]).await.is_ok() {}
}

#[tokio::test]
async fn a_program_talks_through_a_listener_to_its_destination() {
    let forward = Forward::to(patient(), echo).await;
    let mut listener = Listener::bind_port(0).unwrap();
    let port = listener.port().unwrap();
    for host in ["127.0.0.1", "::1"] {
        let Ok(mut program) = TcpStream::connect((host, port)).await else {
            assert_eq!(host, "::1");
            continue;
        };
        let connection = listener.accept().await.unwrap();
        forward.session.forward(connection).await.unwrap();
        let data = pattern(MIB);
        assert!(round_trip(&mut program, &data).await == data);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_talks_through_a_unix_socket() {
    let forward = Forward::to(patient(), echo).await;
    let (mut program, ours) = tokio::net::UnixStream::pair().unwrap();
    forward.session.forward(ours.into()).await.unwrap();
    let data = pattern(MIB);
    assert!(round_trip(&mut program, &data).await == data);
}

#[tokio::test(start_paused = true)]
async fn an_embedder_talks_through_a_pipe_of_its_own() {
    let forward = Forward::to(patient(), echo).await;
    let mut program = forward.pipe().await;
    let data = pattern(MIB);
    assert!(round_trip(&mut program, &data).await == data);
}

#[tokio::test]
async fn five_hundred_connections_are_served_at_once_and_leave_no_stream() {
    const COUNT: usize = 500;
    let mut forward = Forward::to(patient(), echo).await;
    let mut programs = Vec::new();
    for _ in 0..COUNT {
        programs.push(forward.tcp().await);
    }
    forward.has_streams(COUNT).await;
    let talks = programs
        .into_iter()
        .enumerate()
        .map(|(number, mut program)| {
            tokio::spawn(async move {
                let data = format!("{number} ").repeat(2000);
                let echoed = round_trip(&mut program, data.as_bytes()).await;
                assert!(echoed == data.as_bytes(), "{number}");
            })
        });
    for talk in talks.collect::<Vec<_>>() {
        within_reason(talk).await.unwrap();
    }
    forward.has_streams(0).await;
}

#[tokio::test]
async fn connections_that_cannot_be_made_are_reset_beside_good_ones() {
    let destinations = |number| (number != 1).then(|| spawn(echo));
    let mut forward = Forward::open(patient(), Box::new(destinations)).await;
    let mut good = forward.tcp().await;
    assert_eq!(round_trip(&mut good, b"good").await, b"good");
    let mut bad = forward.tcp().await;
    forward.event(&SessionEvent::ConnectionRefused).await;
    let error = within_reason(bad.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(round_trip(&mut good, b"still good").await, b"still good");
    let mut next = forward.tcp().await;
    assert_eq!(round_trip(&mut next, b"next").await, b"next");
    forward.has_streams(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_never_reads_is_cut_off_and_the_others_go_on() {
    let destinations = |number| {
        Some(if number == 0 {
            spawn(flood)
        } else {
            spawn(echo)
        })
    };
    let mut forward = Forward::open(patient(), Box::new(destinations)).await;
    let mut stuck = forward.tcp().await;
    let mut programs = Vec::new();
    for _ in 0..100 {
        programs.push(forward.tcp().await);
    }
    let data = pattern(10_000);
    for program in &mut programs {
        assert!(round_trip(program, &data).await == data);
    }
    forward.event(&SessionEvent::ConnectionOverrun).await;
    for program in &mut programs {
        assert!(round_trip(program, &data).await == data);
    }
    // It gets what its socket had taken, and then an error and no end.
    let mut buffer = vec![0; MIB];
    let error = loop {
        match within_reason(stuck.read(&mut buffer)).await {
            Ok(0) => panic!("cut off, and it looks like the end"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    drop(programs);
    forward.has_streams(0).await;
}

/// Counts what it gets rid of, up to `limit`.
async fn send_counted(mut pipe: DuplexStream, limit: usize, sent: Arc<AtomicUsize>) {
    for piece in pattern(limit).chunks(16 * 1024) {
        if pipe.write_all(piece).await.is_err() {
            return;
        }
        sent.fetch_add(piece.len(), Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_program_holds_its_destination_back_and_loses_nothing() {
    const TOTAL: usize = 24 * MIB;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let destinations = move |_| {
        Some(spawn(|pipe| {
            send_counted(pipe, TOTAL, Arc::clone(&counter))
        }))
    };
    let forward = Forward::open(patient(), Box::new(destinations)).await;
    let mut program = forward.pipe().await;
    // The clock is paused: this passes when nothing can move any more.
    settle().await;
    let held = sent.load(Ordering::Relaxed);
    assert!(
        (MIB..16 * MIB).contains(&held),
        "{held} bytes are on the way"
    );
    let mut received = Vec::new();
    within_reason(program.read_to_end(&mut received))
        .await
        .unwrap();
    assert!(received == pattern(TOTAL));
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_reads_slowly_holds_its_program_back_and_no_other() {
    let destinations = |number| {
        Some(if number == 0 {
            spawn(|pipe| async move {
                std::future::pending::<()>().await;
                drop(pipe);
            })
        } else {
            spawn(echo)
        })
    };
    let forward = Forward::open(Options::default(), Box::new(destinations)).await;
    let mut idle = forward.pipe().await;
    let mut busy = forward.pipe().await;
    let data = pattern(4 * MIB);
    let writing = tokio::spawn(async move {
        idle.write_all(&pattern(4 * MIB)).await.unwrap();
        idle
    });
    assert!(round_trip(&mut busy, &data).await == data);
    drop(writing);
}

#[tokio::test(start_paused = true)]
async fn connections_from_before_the_session_is_established_are_kept_for_it() {
    let forward = Forward::to(Options::default(), echo).await;
    let early = (0..20).map(|_| forward.pipe());
    let mut programs = futures_util::future::join_all(early).await;
    for program in &mut programs {
        assert_eq!(round_trip(program, b"early").await, b"early");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_hand_over_is_given_up_is_closed() {
    let mut forward = Forward::to(Options::default(), echo).await;
    let (mut program, ours) = tokio::io::duplex(64);
    let connection = ssm_session::LocalConnection::new(ours);
    tokio::select! {
        biased;
        _ = forward.session.forward(connection) => panic!("the session is not established yet"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(within_reason(program.read(&mut [0; 1])).await.unwrap(), 0);
    let mut next = forward.pipe().await;
    assert_eq!(round_trip(&mut next, b"next").await, b"next");
    forward.has_streams(1).await;
}

async fn settle() {
    let never = std::future::pending::<()>();
    drop(tokio::time::timeout(std::time::Duration::from_secs(5), never).await);
}
