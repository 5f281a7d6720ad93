use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;

/// A program's end of a connection, and ours.
async fn connected(listen_at: &str, connect_to: &str) -> Option<(TcpStream, LocalConnection)> {
    let listener = TcpListener::bind(listen_at).await.ok()?;
    let port = listener.local_addr().unwrap().port();
    let address: SocketAddr = format!("{connect_to}:{port}").parse().unwrap();
    let program = TcpStream::connect(address).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    assert!(!stream.nodelay().unwrap());
    Some((program, stream.into()))
}

/// Reads to the end of what the program sends.
#[cfg(unix)]
async fn end_of(connection: &mut LocalConnection) -> Vec<u8> {
    let mut read = Vec::new();
    connection.read_to_end(&mut read).await.unwrap();
    read
}

/// Asks until the answer is `expected`: a program that closes is for a moment between the two.
#[cfg(target_os = "linux")]
async fn becomes(connection: &mut LocalConnection, expected: PeerState) {
    let asking = async {
        while connection.peer_state() != expected {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    let asked = tokio::time::timeout(limit, asking).await;
    asked.expect("the state should come");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn linux_tells_a_program_that_waits_for_the_answer_from_one_that_has_gone() {
    for (listen_at, connect_to) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("[::1]:0", "[::1]"),
        // A socket for both families shows IPv4 addresses as IPv6.
        ("[::]:0", "127.0.0.1"),
        ("[::]:0", "[::ffff:127.0.0.1]"),
        ("127.0.0.1:0", "[::ffff:127.0.0.1]"),
    ] {
        let Some((mut program, mut connection)) = connected(listen_at, connect_to).await else {
            continue;
        };
        assert_eq!(connection.peer_state(), PeerState::Held);
        program.write_all(b"question").await.unwrap();
        program.shutdown().await.unwrap();
        assert_eq!(end_of(&mut connection).await, b"question");
        assert_eq!(connection.peer_state(), PeerState::Held, "{connect_to}");
        connection.write_all(b"answer").await.unwrap();
        drop(program);
        becomes(&mut connection, PeerState::Gone).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn linux_tells_a_program_that_closed_at_once() {
    let (mut program, mut connection) = connected("127.0.0.1:0", "127.0.0.1").await.unwrap();
    program.write_all(b"bye").await.unwrap();
    drop(program);
    assert_eq!(end_of(&mut connection).await, b"bye");
    becomes(&mut connection, PeerState::Gone).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_that_closed_with_a_reset_is_gone() {
    let (program, mut connection) = connected("127.0.0.1:0", "127.0.0.1").await.unwrap();
    program.set_zero_linger().unwrap();
    drop(program);
    becomes(&mut connection, PeerState::Gone).await;
}

#[tokio::test]
async fn a_program_the_kernel_never_knew_is_not_taken_for_gone() {
    let (_program, stream) = tokio::io::duplex(64);
    let mut connection = LocalConnection::new(stream);
    let behind_translation = [PeerState::NotFound, PeerState::NotFound];
    let seen_before = [PeerState::Held, PeerState::NotFound];
    let judged = behind_translation.map(|found| connection.judge(found));
    assert_eq!(judged, [PeerState::Unknown; 2]);
    let judged = seen_before.map(|found| connection.judge(found));
    assert_eq!(judged, [PeerState::Held, PeerState::Gone]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_tells_the_two_apart() {
    let (mut program, stream) = UnixStream::pair().unwrap();
    let mut connection = LocalConnection::from(stream);
    program.shutdown().await.unwrap();
    assert_eq!(end_of(&mut connection).await, b"");
    assert_eq!(connection.peer_state(), PeerState::Held);
    drop(program);
    assert_eq!(connection.peer_state(), PeerState::Gone);
}

#[tokio::test]
async fn of_a_pipe_in_this_process_nothing_is_known() {
    let (mut program, stream) = tokio::io::duplex(64);
    let mut connection = LocalConnection::new(stream);
    program.shutdown().await.unwrap();
    assert_eq!(connection.peer_state(), PeerState::Unknown);
}

#[tokio::test]
async fn a_reset_shows_as_an_error_behind_what_was_sent() {
    let (mut program, mut connection) = connected("127.0.0.1:0", "127.0.0.1").await.unwrap();
    connection.write_all(b"half an ans").await.unwrap();
    let mut received = [0; 11];
    program.read_exact(&mut received).await.unwrap();
    connection.reset();
    let error = program.read(&mut received).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
