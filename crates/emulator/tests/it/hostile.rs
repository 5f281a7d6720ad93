//! Clients that mean harm: others are served beside them, and the emulator keeps its size.

use futures_util::StreamExt as _;
use serde_json::json;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::StartedSession;
use ssm_session_proto::MessageType;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_websockets::Message;

use crate::support::Channel;
use crate::support::ask;
use crate::support::ask_at;
use crate::support::ask_for_channel;
use crate::support::emulator;
use crate::support::kib;
use crate::support::open_frame;
use crate::support::rest;
use crate::support::run;
use crate::support::say;
use crate::support::serving;

#[test]
fn a_request_whose_head_never_ends_loses_its_connection() {
    run(async {
        let emulator = emulator().await;
        let mut slow = say(emulator.local_addr(), b"POST / HTTP/1.1\r\nHost: ").await;
        tokio::time::pause();
        assert_eq!(rest(&mut slow).await, b"");
    });
}

#[test]
fn a_request_whose_body_never_ends_is_answered_all_the_same() {
    run(async {
        let emulator = emulator().await;
        let head = "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSSM.StartSession\r\n\
                    Content-Length: 100\r\n\r\n{";
        let mut slow = say(emulator.local_addr(), head.as_bytes()).await;
        let mut first = [0; 12];
        tokio::time::pause();
        slow.read_exact(&mut first).await.unwrap();
        assert_eq!(first, *b"HTTP/1.1 400");
        let answer = rest(&mut slow).await;
        assert!(contains(&answer, b"RequestTimeoutException"));
    });
}

#[test]
fn a_head_beyond_the_limit_is_refused() {
    run(async {
        let emulator = emulator().await;
        let head = format!("POST / HTTP/1.1\r\nX-Large: {}", "x".repeat(256 * 1024));
        let mut large = say(emulator.local_addr(), head.as_bytes()).await;
        let answer = rest(&mut large).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"));
        ask(&emulator, "AmazonSSM.DescribeSessions", active()).await;
    });
}

#[test]
fn a_frame_of_a_gigabyte_ends_the_socket_at_its_header_and_not_the_session() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        for opened in [false, true] {
            let mut stream = upgraded(&session.stream_url).await;
            if opened {
                stream.write_all(&masked(&session)).await.unwrap();
            }
            stream.write_all(GIGABYTE).await.unwrap();
            rest(&mut stream).await;
        }
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
    });
}

#[test]
fn a_first_frame_beyond_the_limit_ends_the_socket() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::connect(&session.stream_url).await;
        let token = "x".repeat(64 * 1024);
        channel.send(Message::text(open_frame(&token))).await;
        while let Some(Ok(_)) = channel.0.next().await {}
    });
}

#[test]
fn pings_before_the_first_frame_come_to_an_end() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut stream = upgraded(&session.stream_url).await;
        // A masked ping without text.
        let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(1000);
        stream.write_all(&pings).await.ok();
        rest(&mut stream).await;
    });
}

#[test]
fn a_flood_of_connections_costs_itself_and_nobody_else() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        let mut flood = Vec::new();
        for _ in 0..FLOOD {
            flood.push(say(emulator.local_addr(), b"POST").await);
        }
        let told = ask(&emulator, "AmazonSSM.DescribeSessions", active()).await;
        assert_eq!(told["Sessions"][0]["Status"], "Connected");
        assert_eq!(rest(&mut flood[0]).await, b"");
        channel.assert_alive().await;
    });
}

#[test]
fn a_flood_of_sockets_without_a_first_frame_costs_itself_and_nobody_else() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut flood = Vec::new();
        for _ in 0..FLOOD {
            flood.push(upgraded(&session.stream_url).await);
        }
        assert_eq!(rest(&mut flood[0]).await, b"");
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_emulator_under_attack_keeps_its_size() {
    run(async {
        let (emulator, address) = serving(&[]).await;
        let id = emulator.id().unwrap();
        let target = json!({"Target": "i-0123456789abcdef0"});
        let session = ask_at(address, "AmazonSSM.StartSession", target).await;
        let url = session["StreamUrl"].as_str().unwrap();
        let before = kib(id, "VmHWM");
        let head = [b"POST / HTTP/1.1\r\nX: ", &[b'x'; 60 * 1024][..]].concat();
        let body = [
            &b"POST / HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n"[..],
            &[b'x'; 256 * 1024],
        ]
        .concat();
        let frame = [&[0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0][..], &[0; 60 * 1024]].concat();
        let mut attackers = Vec::new();
        for _ in 0..FLOOD {
            attackers.push(say(address, &head).await);
            attackers.push(say(address, &body).await);
            let mut socket = upgraded(url).await;
            socket.write_all(&frame).await.ok();
            attackers.push(socket);
            let mut socket = upgraded(url).await;
            socket.write_all(GIGABYTE).await.ok();
            attackers.push(socket);
        }
        // It is still there, and has dealt with what came before.
        ask_at(address, "AmazonSSM.DescribeSessions", active()).await;
        let grown = kib(id, "VmHWM") - before;
        assert!(grown < 128 * 1024, "{grown} KiB more than {before}");
    });
}

/// A socket behind the upgrade, for bytes that no library sends.
async fn upgraded(url: &str) -> TcpStream {
    let mut stream = ask_for_channel(url).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    stream
}

/// The first frame, under a mask of zeros.
fn masked(session: &StartedSession) -> Vec<u8> {
    let text = open_frame(session.token.expose());
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&[0x81, 0x80 | 126], &length[..], &[0; 4], text.as_bytes()].concat()
}

fn active() -> serde_json::Value {
    json!({"State": "Active"})
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|part| part == wanted)
}

/// More than the emulator keeps of connections that are no data channels.
const FLOOD: usize = 300;
/// The header of a binary frame of 2^30 bytes.
const GIGABYTE: &[u8] = &[0x82, 0x80 | 127, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4];
