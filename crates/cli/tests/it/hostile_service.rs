//! Services that mean harm: the program ends with words, or goes on, in little memory either way.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use serde_json::json;
use ssm_session_proto::Acknowledge;
use ssm_session_proto::Flags;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SequenceNumber;
use ssm_session_proto::UnixMillis;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_websockets::ServerBuilder;
use uuid::Uuid;

use crate::account::ssh_words;
use crate::account::with_credentials;
use crate::output::GUARD;
use crate::plugin::Piped;
use crate::plugin::command;

/// The most memory the program may have had at any time. A debug build has some 20 MiB in an ordinary session.
const CEILING: u64 = 48 << 20;
/// What comes on top where messages wait for one before them: up to 64 MiB of them, and what it costs to keep them.
const WAITING: u64 = 96 << 20;
/// What is thrown at it, more than either.
const FLOOD: usize = 256 << 20;
/// A write that takes so long waits for the program to read on.
const STUCK: Duration = Duration::from_secs(2);

/// The service's side of a connection, on which it writes what it likes.
struct Attack {
    plugin: Piped,
    stream: TcpStream,
    /// The most memory seen, in bytes.
    peak: u64,
}

impl Attack {
    /// Starts the program against a service, and takes its connection as it is.
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let response = json!({"SessionId": "s-1", "StreamUrl": url, "TokenValue": "hidden"});
        let plugin = Piped::start(command(&["connect", &response.to_string()]));
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            plugin,
            stream,
            peak: 0,
        }
    }

    /// The same, once the connection is a WebSocket.
    async fn upgraded() -> Self {
        let started = Self::start().await;
        let server = ServerBuilder::new();
        let (_, socket) = server.accept(started.stream).await.unwrap();
        Self {
            stream: socket.into_inner(),
            ..started
        }
    }

    /// Writes the same bytes over and over; `false` if the program stopped reading or hung up before all was written.
    async fn flood(&mut self, bytes: &[u8]) -> bool {
        let pieces = bytes.repeat((1 << 20) / bytes.len() + 1);
        let mut written = 0;
        while written < FLOOD {
            self.note_memory();
            let writing = self.stream.write_all(&pieces);
            match tokio::time::timeout(STUCK, writing).await {
                Ok(Ok(())) => written += pieces.len(),
                Ok(Err(_)) | Err(_) => return false,
            }
        }
        true
    }

    /// The same, a little of it, while what the program writes is read.
    async fn flood_and_read(&mut self, bytes: &[u8]) -> bool {
        let pieces = bytes.repeat((1 << 16) / bytes.len() + 1);
        for _ in 0..FLOOD / 4 / pieces.len() {
            if !self.write_and_read(&pieces).await {
                return false;
            }
        }
        true
    }

    /// Writes while what the program writes is read; `false` if it hung up.
    async fn write_and_read(&mut self, mut bytes: &[u8]) -> bool {
        self.note_memory();
        let mut buffer = vec![0; 1 << 16];
        let (mut reader, mut writer) = self.stream.split();
        while !bytes.is_empty() {
            let turn = async {
                tokio::select! {
                    read = reader.read(&mut buffer) => read.is_ok_and(|count| count > 0).then_some(0),
                    count = writer.write(bytes) => count.ok(),
                }
            };
            match tokio::time::timeout(GUARD, turn).await.expect("it goes on") {
                Some(count) => bytes = &bytes[count..],
                None => return false,
            }
        }
        true
    }

    fn note_memory(&mut self) {
        let id = self.plugin.process.id().expect("the program is waited for");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        // One that has ended, and is not yet waited for, has none.
        let peak = status.lines().find_map(|line| {
            let size = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
            size.parse::<u64>().ok()
        });
        self.peak = self.peak.max(peak.unwrap_or_default() * 1024);
    }

    /// It has ended by itself, with one sentence that has these words; the sentence.
    async fn assert_failed(mut self, words: &str) -> String {
        let all = self.plugin.stderr.until_end().await;
        assert!(all.starts_with("session-manager-plugin: "), "{all}");
        assert_eq!(all.lines().count(), 1, "{all}");
        assert!(all.contains(words), "{all}");
        assert!(!all.contains("hidden"), "{all}");
        assert_eq!(self.plugin.stdout.until_end().await, "");
        assert_eq!(self.plugin.status().await.code(), Some(1));
        self.assert_below(CEILING);
        all
    }

    /// It goes on, and ends when it is told to.
    async fn assert_ends_by_signal(mut self, ceiling: u64) {
        self.note_memory();
        self.plugin.signal(Signal::TERM);
        assert_eq!(self.plugin.status().await.code(), Some(143));
        assert!(self.peak > 1 << 20, "nothing was measured");
        self.assert_below(ceiling);
    }

    fn assert_below(&self, ceiling: u64) {
        let (peak, ceiling) = (self.peak >> 10, ceiling >> 10);
        assert!(peak < ceiling, "{peak} KiB of at most {ceiling}");
    }
}

/// A WebSocket frame of a server.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![first];
    if length < 126 {
        frame.push(u8::try_from(length).unwrap());
    } else {
        frame.push(126);
        frame.extend(u16::try_from(length).unwrap().to_be_bytes());
    }
    frame.extend(payload);
    frame
}

const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
const CLOSE: u8 = 0x88;

fn message(message_type: MessageType, number: i64, payload: &[u8]) -> Vec<u8> {
    let message = Message {
        message_type,
        schema_version: 1,
        created: UnixMillis(1_700_000_000_000),
        sequence_number: SequenceNumber(number),
        flags: Flags::NONE,
        id: Uuid::from_u128(1),
        payload_type: PayloadType::OUTPUT,
        payload: Bytes::copy_from_slice(payload),
    };
    frame(BINARY, &message.encode())
}

#[tokio::test]
async fn a_frame_of_a_gigabyte_is_refused_before_it_has_come() {
    let mut attack = Attack::upgraded().await;
    let header = [&[BINARY, 127][..], &(1_u64 << 30).to_be_bytes()].concat();
    attack.stream.write_all(&header).await.unwrap();
    assert!(!attack.flood(&[0; 1024]).await);
    attack.assert_failed("exceeds the limit of 4194304").await;
}

#[tokio::test]
async fn a_message_of_endless_fragments_is_refused_at_its_limit() {
    let mut attack = Attack::upgraded().await;
    let first = frame(0x02, &[0; 1024]);
    attack.stream.write_all(&first).await.unwrap();
    assert!(!attack.flood(&frame(0x00, &[0; 32 << 10])).await);
    attack.assert_failed("exceeds the limit of 4194304").await;
}

#[tokio::test]
async fn an_endless_answer_to_the_upgrade_is_refused_at_its_limit() {
    let mut attack = Attack::start().await;
    attack
        .stream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\n")
        .await
        .unwrap();
    assert!(
        !attack
            .flood(b"x-more: and more and more and more\r\n")
            .await
    );
    attack.assert_failed("answer").await;
}

#[tokio::test]
async fn an_endless_answer_of_the_api_is_not_hoarded() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let plugin = Piped::start(with_credentials(&ssh_words(&endpoint, &[])));
    let (stream, _) = listener.accept().await.unwrap();
    let mut attack = Attack {
        plugin,
        stream,
        peak: 0,
    };
    // A server that answers before it is asked is hung up on.
    let mut header = [0; 4096];
    assert_ne!(attack.stream.read(&mut header).await.unwrap(), 0);
    let header = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\n\r\n";
    attack.stream.write_all(header).await.unwrap();
    assert!(!attack.flood(b"[[[[").await);
    attack.assert_failed("Systems Manager").await;
}

#[tokio::test]
async fn a_flood_of_pings_is_answered_without_hoarding_the_answers() {
    let mut attack = Attack::upgraded().await;
    assert!(attack.flood_and_read(&frame(PING, &[0; 125])).await);
    attack.assert_ends_by_signal(CEILING).await;
}

#[tokio::test]
async fn pings_of_a_service_that_reads_no_answer_are_not_hoarded() {
    let mut attack = Attack::upgraded().await;
    attack.flood(&frame(PING, &[0; 125])).await;
    attack.assert_ends_by_signal(CEILING).await;
}

#[tokio::test]
async fn a_flood_of_acknowledgements_of_what_was_never_sent_is_passed_over() {
    let mut attack = Attack::upgraded().await;
    let mut flood = Vec::new();
    for number in [0, 1, -1, i64::MAX, i64::MIN] {
        let data = message(MessageType::INPUT_STREAM_DATA, number, b"x");
        let sent =
            Message::decode(&Bytes::from(data).slice(2..)).map(|sent| Acknowledge::of(&sent));
        let payload = sent.unwrap().to_json();
        flood.extend(message(MessageType::ACKNOWLEDGE, 0, &payload));
    }
    assert!(attack.flood_and_read(&flood).await);
    attack.assert_ends_by_signal(CEILING).await;
}

#[tokio::test]
async fn messages_far_ahead_that_leave_a_gap_are_kept_up_to_a_bound() {
    let mut attack = Attack::upgraded().await;
    let mut number = 1;
    for _ in 0..FLOOD / (64 << 10) {
        let mut batch = Vec::new();
        while batch.len() < 60 << 10 {
            batch.extend(message(
                MessageType::OUTPUT_STREAM_DATA,
                number,
                &[b'x'; 1024],
            ));
            number += 1;
        }
        if !attack.write_and_read(&batch).await {
            break;
        }
    }
    attack.assert_ends_by_signal(CEILING + WAITING).await;
}

#[tokio::test]
async fn output_that_nobody_reads_is_not_hoarded() {
    let mut attack = Attack::upgraded().await;
    let mut number = 0;
    for _ in 0..FLOOD >> 20 {
        let mut batch = Vec::new();
        while batch.len() < 1 << 20 {
            batch.extend(message(
                MessageType::OUTPUT_STREAM_DATA,
                number,
                &[b'x'; 16 << 10],
            ));
            number += 1;
        }
        attack.note_memory();
        let writing = attack.write_and_read(&batch);
        match tokio::time::timeout(STUCK, writing).await {
            Ok(goes_on) => assert!(goes_on),
            Err(_) => break,
        }
    }
    attack.assert_ends_by_signal(CEILING).await;
}

#[tokio::test]
async fn no_text_of_the_service_reaches_the_terminal_with_its_control_characters() {
    let evil = "\x1b]0;title\x07\x1b[2Jgone\u{9b}31m";
    let closed = json!({
        "MessageType": "channel_closed",
        "MessageId": Uuid::from_u128(2).to_string(),
        "CreatedDate": "2026-01-01T00:00:00Z",
        "DestinationId": "s-1",
        "SessionId": "s-1",
        "SchemaVersion": 1,
        "Output": evil,
    });
    let mut attack = Attack::upgraded().await;
    let text = message(
        MessageType::CHANNEL_CLOSED,
        0,
        closed.to_string().as_bytes(),
    );
    attack.stream.write_all(&text).await.unwrap();
    let said = attack.plugin.stderr.until_end().await;
    assert!(said.contains("gone"), "{said:?}");
    assert!(!said.trim_end().contains(char::is_control), "{said:?}");

    let mut attack = Attack::upgraded().await;
    let reason = [&1011_u16.to_be_bytes()[..], evil.as_bytes()].concat();
    attack
        .stream
        .write_all(&frame(CLOSE, &reason))
        .await
        .unwrap();
    let said = attack.assert_failed("gone").await;
    assert!(!said.trim_end().contains(char::is_control), "{said:?}");

    let mut attack = Attack::start().await;
    let answer = format!("HTTP/1.1 403 {evil}\r\ncontent-length: 0\r\n\r\n");
    attack.stream.write_all(answer.as_bytes()).await.unwrap();
    let said = attack.assert_failed("its answer is not HTTP/1.1").await;
    assert!(!said.trim_end().contains(char::is_control), "{said:?}");

    let mut attack = Attack::start().await;
    let length = evil.len();
    let answer = format!("HTTP/1.1 403 No\r\ncontent-length: {length}\r\n\r\n{evil}");
    attack.stream.write_all(answer.as_bytes()).await.unwrap();
    let said = attack.assert_failed("403").await;
    assert!(!said.trim_end().contains(char::is_control), "{said:?}");
}
