//! What a hostile peer can make the client keep: there is a ceiling to it, whatever comes.
//!
//! Each test is one thread, with the driver, the peer and a pipe between them. What the peer and
//! the pipe take counts too.

use std::time::Duration;

use bytes::Bytes;
use ssm_session::LocalConnection;
use ssm_session::Options;
use ssm_session::OutputStream;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::Flags;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SequenceNumber;
use ssm_session_proto::UnixMillis;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use crate::forward::rig::NEW_AGENT;
use crate::forward::rig::forward_config;
use crate::memory::live;
use crate::node::Node;
use crate::node::now;
use crate::support::session_with;
use crate::support::within_reason;

const MIB: usize = 1024 * 1024;
/// Of this 64 MiB are messages that came before their turn, 4 MiB a frame as long as one may be,
/// and as much again while it is put together.
const CEILING: usize = 80 * MIB;

/// A frame of a server, which masks nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => frame.push(u8::try_from(length).unwrap()),
        Ok(length) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// A message of the agent's, with output of so many bytes.
fn output(number: usize, length: usize) -> Vec<u8> {
    let message = Message {
        message_type: MessageType::OUTPUT_STREAM_DATA,
        schema_version: 1,
        created: UnixMillis(1_700_000_000_000),
        sequence_number: SequenceNumber(i64::try_from(number).unwrap()),
        flags: Flags::NONE,
        id: Uuid::from_u128(u128::try_from(number).unwrap() + 1),
        payload_type: PayloadType::OUTPUT,
        payload: Bytes::from(vec![b'x'; length]),
    };
    frame(0x82, &message.encode())
}

/// Whether the peer reads what the client sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    Reads,
    OnlyWrites,
}

/// The most memory in use while a peer sends all of `attack`, or as much as is taken from it, and
/// the session that it attacked. The session's application takes no events.
async fn most_memory(
    peer: Peer,
    attack: impl Iterator<Item = Vec<u8>> + Send + 'static,
) -> (usize, Session) {
    let before = live();
    let attacking = |socket: tokio_websockets::WebSocketStream<tokio::io::DuplexStream>| async move {
        let (mut reader, mut writer) = tokio::io::split(socket.into_inner());
        let mut reading = tokio::spawn(async move {
            let mut taken = vec![0; 64 * 1024];
            while peer == Peer::Reads && matches!(reader.read(&mut taken).await, Ok(1..)) {}
            std::future::pending::<()>().await;
        });
        let mut most = 0;
        let writing = async {
            for bytes in attack {
                for piece in bytes.chunks(64 * 1024) {
                    if writer.write_all(piece).await.is_err() {
                        return;
                    }
                    most = most.max(live());
                }
            }
        };
        // The clock is paused, so that this passes once the client takes nothing more.
        let writing = tokio::time::timeout(Duration::from_secs(5), writing);
        drop(writing.await);
        reading.abort();
        drop((&mut reading).await);
        most.max(live()).saturating_sub(before)
    };
    let (session, attacker) = session_with(Options::default(), 64 * 1024, attacking).await;
    (attacker.await.unwrap(), session)
}

async fn stays_below(
    ceiling: usize,
    peer: Peer,
    attack: impl Iterator<Item = Vec<u8>> + Send + 'static,
) {
    let (most, _session) = most_memory(peer, attack).await;
    assert!(most < ceiling, "{} KiB", most / 1024);
}

#[tokio::test(start_paused = true)]
async fn messages_ahead_of_their_turn() {
    let attack = (1..16 * 1024).map(|number| output(number, 16 * 1024));
    let (most, _session) = most_memory(Peer::Reads, attack).await;
    // As much is kept as may be, and no more.
    assert!((60 * MIB..CEILING).contains(&most), "{} KiB", most / 1024);
}

/// What is kept of a frame must not keep its neighbours with it.
#[tokio::test(start_paused = true)]
async fn small_messages_ahead_of_their_turn_among_large_ones_that_are_dropped() {
    let first = std::iter::once(output(0, 1));
    let attack = (2..160).flat_map(|number| [output(0, MIB), output(number, 1)]);
    stays_below(16 * MIB, Peer::Reads, first.chain(attack)).await;
}

#[tokio::test(start_paused = true)]
async fn small_output_that_nobody_takes_among_large_messages_that_are_dropped() {
    let attack = (0..160).flat_map(|number| [output(number, 1), output(0, MIB)]);
    stays_below(16 * MIB, Peer::Reads, attack).await;
}

#[tokio::test(start_paused = true)]
async fn output_that_nobody_takes() {
    for length in [1, 1000, MIB] {
        let attack = (0..64 * MIB / (length + 1000)).map(move |number| output(number, length));
        stays_below(16 * MIB, Peer::Reads, attack).await;
    }
}

#[tokio::test(start_paused = true)]
async fn frames_as_long_as_they_may_be() {
    let attack = (0..20).map(|_| frame(0x81, &vec![b'x'; 4 * MIB]));
    stays_below(24 * MIB, Peer::Reads, attack).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_announces_a_gigabyte() {
    let announced = [0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0].to_vec();
    let attack = std::iter::once(announced).chain((0..64).map(|_| vec![0; MIB]));
    stays_below(4 * MIB, Peer::Reads, attack).await;
}

#[tokio::test(start_paused = true)]
async fn fragments_without_an_end() {
    for length in [1, 1000, MIB] {
        let first = std::iter::once(frame(0x02, b"x"));
        let attack = (0..64 * MIB / (length + 1000)).map(move |_| frame(0, &vec![0; length]));
        stays_below(24 * MIB, Peer::Reads, first.chain(attack)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn pings_without_an_end() {
    for peer in [Peer::Reads, Peer::OnlyWrites] {
        let attack = (0..200_000).map(|_| frame(0x89, &[0; 125]));
        stays_below(4 * MIB, peer, attack).await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_whose_acknowledgements_nobody_takes() {
    let attack = (0..100_000).map(|number| output(number, 1));
    stays_below(16 * MIB, Peer::OnlyWrites, attack).await;
}

/// A frame of a multiplexed session: so many bytes for a stream.
fn push(stream: u32, length: u16) -> Vec<u8> {
    let mut frame = vec![1, 2];
    frame.extend(length.to_le_bytes());
    frame.extend(stream.to_le_bytes());
    frame.extend(vec![b'x'; usize::from(length)]);
    frame
}

/// Of each message one byte is for a program that does not read, and the rest for nobody.
#[tokio::test(start_paused = true)]
async fn small_data_that_no_program_reads_in_large_messages() {
    let before = live();
    let (session, node) = session_with(Options::default(), 64 * 1024, |socket| async move {
        let mut node = Node::open_as(socket, forward_config(NEW_AGENT)).await;
        let mut stream = None;
        let mut most = 0;
        let mut left = 160;
        while let Some(event) = node.event().await {
            match event {
                AgentEvent::Started { .. } => node.agent().accept_input(),
                // It begins with the number of the stream that is opened.
                AgentEvent::Input(data) => {
                    let number = data[4..8].try_into().unwrap();
                    stream = stream.or_else(|| Some(u32::from_le_bytes(number)));
                }
                _ => {}
            }
            let Some(stream) = stream else { continue };
            let message = [push(stream, 1), push(stream + 2, u16::MAX).repeat(15)].concat();
            while left > 0 && node.agent().write(OutputStream::Stdout, &message, now()) > 0 {
                left -= 1;
            }
            most = most.max(live());
            if left == 0 {
                break;
            }
        }
        most.saturating_sub(before)
    })
    .await;
    let (_program, ours) = tokio::io::duplex(64);
    let forwarded = session.forward(LocalConnection::new(ours)).await;
    forwarded.unwrap();
    let most = within_reason(node).await.unwrap();
    assert!(most < 32 * MIB, "{} KiB", most / 1024);
}

#[tokio::test(start_paused = true)]
async fn a_session_under_attack_still_gives_what_it_took() {
    let attack = (0..100).flat_map(|number| [output(number, 1000), output(0, MIB)]);
    let (_, mut session) = most_memory(Peer::Reads, attack).await;
    let mut taken = 0;
    while taken < 100_000 {
        match session.next_event().await.unwrap() {
            SessionEvent::Output { data, .. } => taken += data.len(),
            SessionEvent::Closed(close) => panic!("{taken} bytes, then {close:?}"),
            _ => {}
        }
    }
}
