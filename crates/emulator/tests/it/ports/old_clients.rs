//! Clients that are not ours: their messages are made by hand.

use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_proto as proto;
use ssm_session_proto::ControlFlag;
use ssm_session_proto::Flags;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SequenceNumber;
use ssm_session_proto::UnixMillis;
use tokio_websockets::Message;
use uuid::Uuid;

use super::peer::start;
use super::server::Server;
use super::single::status;
use crate::support::Channel;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

const SSH: &str = "AWS-StartSSHSession";
const FORWARD: &str = "AWS-StartPortForwardingSession";

#[test]
fn a_client_before_smux_gets_plain_bytes_of_a_modern_agent() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let mut client = OldClient::open(&emulator, server.port, "1.1.69.0").await;
        client.send(b"plain".to_vec()).await;
        assert_eq!(client.output().await, "plain");
    });
}

#[test]
fn a_client_with_smux_gets_frames() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let mut client = OldClient::open(&emulator, server.port, "1.1.70").await;
        client.send(smux(0, 3, b"")).await;
        client.send(smux(2, 3, b"GET")).await;
        assert_eq!(client.output().await, smux(2, 3, b"GET"));
        client.send(smux(1, 3, b"")).await;
        assert_eq!(client.output().await, smux(1, 3, b""));
    });
}

#[test]
fn streams_of_even_numbers_are_served_and_what_is_for_no_stream_is_ignored() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let mut client = OldClient::open(&emulator, server.port, "1.2.764.0").await;
        client.send(smux(2, 9, b"nobody")).await;
        client.send(smux(1, 9, b"")).await;
        client.send(smux(0, 4, b"")).await;
        client.send(smux(0, 4, b"")).await;
        client.send(smux(2, 4, b"even")).await;
        assert_eq!(client.output().await, smux(2, 4, b"even"));
    });
}

#[test]
fn a_frame_of_another_version_fails_the_session() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let mut client = OldClient::open(&emulator, server.port, "1.2.764.0").await;
        client.send(b"GET / HTTP/1.1\r\n".to_vec()).await;
        client.channel.receive(MessageType::CHANNEL_CLOSED).await;
        assert_eq!(status(&emulator).await, "Failed");
    });
}

#[test]
fn the_flag_that_is_for_other_sessions_breaks_one_as_for_ssh_unacknowledged() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let mut client = OldClient::start(&emulator, SSH, server.port, "1.2.764.0").await;
        client.send(b"ping".to_vec()).await;
        assert_eq!(client.output().await, "ping");
        let number = client.next;
        client.send_flag(ControlFlag::DISCONNECT_TO_PORT).await;
        loop {
            let message = client.channel.next().await;
            match message.message_type {
                MessageType::CHANNEL_CLOSED => break,
                MessageType::ACKNOWLEDGE => {
                    let body: Value = serde_json::from_slice(&message.payload).unwrap();
                    assert_ne!(body["AcknowledgedMessageSequenceNumber"], number);
                }
                _ => {}
            }
        }
        assert_eq!(status(&emulator).await, "Failed");
    });
}

#[test]
fn a_multiplexed_session_takes_no_notice_of_that_flag() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let mut client = OldClient::open(&emulator, server.port, "1.2.764.0").await;
        client.send_flag(ControlFlag::DISCONNECT_TO_PORT).await;
        client.send(smux(0, 3, b"")).await;
        client.send(smux(2, 3, b"GET")).await;
        assert_eq!(client.output().await, smux(2, 3, b"GET"));
    });
}

#[test]
fn an_agent_before_the_flag_that_ends_sessions_ignores_it() {
    run(async {
        let server = Server::echo().await;
        let emulator = Emulator::start(Plan {
            agent_version: "2.3.722.0".to_owned(),
            ..plan()
        })
        .await
        .unwrap();
        let mut client = OldClient::start(&emulator, SSH, server.port, "1.2.764.0").await;
        client.send_flag(ControlFlag::TERMINATE_SESSION).await;
        client.send(b"still".to_vec()).await;
        assert_eq!(client.output().await, "still");
    });
}

/// The bare client end of a port session.
struct OldClient {
    channel: Channel,
    next: i64,
}

impl OldClient {
    /// Shakes hands as a client of this version, for a forward.
    async fn open(emulator: &Emulator, port: u16, version: &str) -> Self {
        Self::start(emulator, FORWARD, port, version).await
    }

    async fn start(emulator: &Emulator, document: &str, port: u16, version: &str) -> Self {
        let session = start(emulator, document, &[("portNumber", &port.to_string())]);
        let mut client = Self {
            channel: Channel::open(&session).await,
            next: 0,
        };
        let request = client.stream_message().await;
        assert_eq!(request.payload_type, PayloadType::HANDSHAKE_REQUEST);
        let response = json!({
            "ClientVersion": version,
            "ProcessedClientActions": [
                {"ActionType": "SessionType", "ActionStatus": 1, "ActionResult": null, "Error": ""},
            ],
            "Errors": null,
        });
        client
            .send_as(PayloadType::HANDSHAKE_RESPONSE, response.to_string().into())
            .await;
        let complete = client.stream_message().await;
        assert_eq!(complete.payload_type, PayloadType::HANDSHAKE_COMPLETE);
        client
    }

    async fn send(&mut self, payload: Vec<u8>) {
        self.send_as(PayloadType::OUTPUT, payload.into()).await;
    }

    async fn send_flag(&mut self, flag: ControlFlag) {
        let payload = flag.0.to_be_bytes().to_vec();
        self.send_as(PayloadType::FLAG, payload.into()).await;
    }

    async fn send_as(&mut self, payload_type: PayloadType, payload: Bytes) {
        let frame = message(self.next, payload_type, payload);
        self.next += 1;
        self.channel.send(Message::binary(frame)).await;
    }

    /// The payload of the next message.
    async fn output(&mut self) -> Bytes {
        self.stream_message().await.payload
    }

    /// The next message of the stream, acknowledged.
    async fn stream_message(&mut self) -> proto::Message {
        let received = self.channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        let body = json!({
            "AcknowledgedMessageType": "output_stream_data",
            "AcknowledgedMessageId": received.id.to_string(),
            "AcknowledgedMessageSequenceNumber": received.sequence_number.0,
            "IsSequentialMessage": true,
        });
        let acknowledgement = proto::Message {
            message_type: MessageType::ACKNOWLEDGE,
            payload: body.to_string().into(),
            payload_type: PayloadType::NONE,
            flags: Flags::SYN_FIN,
            ..input_message(0)
        };
        let frame = Message::binary(acknowledgement.encode());
        self.channel.send(frame).await;
        received
    }
}

/// A frame of smux version 1.
fn smux(command: u8, stream: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut frame = vec![1, command];
    frame.extend(length.to_le_bytes());
    frame.extend(stream.to_le_bytes());
    frame.extend(data);
    frame
}

/// A message of the client's stream.
pub(super) fn input(number: i64, payload: Vec<u8>) -> Bytes {
    message(number, PayloadType::OUTPUT, payload.into())
}

fn message(number: i64, payload_type: PayloadType, payload: Bytes) -> Bytes {
    let message = proto::Message {
        payload_type,
        payload,
        ..input_message(number)
    };
    message.encode()
}

fn input_message(number: i64) -> proto::Message {
    proto::Message {
        message_type: MessageType::INPUT_STREAM_DATA,
        schema_version: 1,
        created: UnixMillis(1),
        sequence_number: SequenceNumber(number),
        flags: Flags::NONE,
        id: Uuid::from_u128(1),
        payload_type: PayloadType::OUTPUT,
        payload: Bytes::new(),
    }
}
