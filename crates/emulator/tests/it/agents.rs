//! Agents that handle nothing, frozen on demand or held up by a program that does not read, and odd ones.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::AgentWays;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_proto::Acknowledge;
use ssm_session_proto::Flags;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SequenceNumber;
use ssm_session_proto::UnixMillis;
use tokio_websockets::Message as WebSocketMessage;
use uuid::Uuid;

use crate::support::Channel;
use crate::support::ask;
use crate::support::call;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

#[test]
fn a_frozen_agent_acknowledges_nothing_while_its_gateway_answers_pings_and_goes_on_when_thawed() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        let named = json!({"SessionId": session.session_id});
        let told = ask(&emulator, "Emulator.FreezeAgent", named.clone()).await;
        assert_eq!(told, json!({"Agents": 1}));
        channel.assert_alive().await;
        for number in 0..2 {
            channel.send(input(number, b"echo a$((1+1))b\n")).await;
        }
        channel.assert_only_pongs().await;
        let told = ask(&emulator, "Emulator.ThawAgent", named).await;
        assert_eq!(told, json!({"Agents": 1}));
        channel.receive(MessageType::ACKNOWLEDGE).await;
    });
}

#[test]
fn a_client_that_floods_a_frozen_agent_has_its_pings_answered() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        assert_eq!(emulator.freeze_agents(true, None).await, 1);
        // Far more than the 256 KiB that wait between gateway and agent.
        for number in 0..1000 {
            channel.send(input(number, &[b'#'; 4096])).await;
        }
        channel.assert_alive().await;
    });
}

#[test]
fn a_session_with_a_frozen_agent_can_be_ended() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        emulator.freeze_agents(true, None).await;
        emulator.terminate_session(&session.session_id).await;
        channel.receive(MessageType::CHANNEL_CLOSED).await;
        drop(channel);
        emulator.shutdown().await;
    });
}

#[test]
fn an_unknown_session_has_no_agent_to_freeze() {
    run(async {
        let emulator = emulator().await;
        let unknown = json!({"SessionId": "emulator-0"});
        let answer = call(&emulator, "Emulator.FreezeAgent", unknown).await;
        assert_eq!(answer.code(), "DoesNotExistException");
        assert_eq!(emulator.freeze_agents(true, None).await, 0);
    });
}

#[test]
fn a_program_that_does_not_read_its_terminal_withholds_acknowledgements_until_it_does() {
    run(async {
        let emulator = emulator().await;
        let directory = tempfile::tempdir().unwrap();
        let gate = directory.path().join("gate");
        let command = format!(
            "mkfifo {gate}; stty raw -echo; echo ready; : < {gate}; exec cat > /dev/null",
            gate = gate.display()
        );
        let session = emulator
            .start_session(StartSession {
                document_name: Some("AWS-StartInteractiveCommand".to_owned()),
                parameters: BTreeMap::from([("command".to_owned(), vec![command])]),
                ..StartSession::default()
            })
            .unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        // Far more than a terminal holds, which is some 20 KiB.
        for number in 0..INPUTS {
            channel.send(input(number, &[b'#'; 1024])).await;
        }
        let mut acknowledged = 0;
        for _ in 0..20 {
            channel.send(WebSocketMessage::ping("anybody?")).await;
            acknowledged += acknowledged_before_pong(&mut channel).await;
        }
        assert!(acknowledged < 100, "{acknowledged} of {INPUTS}");
        std::fs::write(&gate, "").unwrap();
        loop {
            let message = channel.receive(MessageType::ACKNOWLEDGE).await;
            let body: Value = serde_json::from_slice(&message.payload).unwrap();
            if body["AcknowledgedMessageSequenceNumber"] == INPUTS - 1 {
                break;
            }
        }
    });
}

#[test]
fn an_agent_that_notes_its_messages_late_sends_again_what_was_acknowledged_at_once() {
    run(async {
        let emulator = Emulator::start(Plan {
            agent_ways: AgentWays {
                keeps_after: Duration::from_secs(2),
                ..AgentWays::default()
            },
            ..plan()
        })
        .await
        .unwrap();
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        let first = channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        let acknowledgement = Message {
            message_type: MessageType::ACKNOWLEDGE,
            flags: Flags::SYN_FIN,
            payload_type: PayloadType::NONE,
            payload: serde_json::to_vec(&Acknowledge::of(&first)).unwrap().into(),
            ..first.clone()
        };
        let acknowledgement = WebSocketMessage::binary(acknowledgement.encode());
        channel.send(acknowledgement).await;
        while channel.receive(MessageType::OUTPUT_STREAM_DATA).await.id != first.id {}
    });
}

async fn acknowledged_before_pong(channel: &mut Channel) -> usize {
    let mut count = 0;
    loop {
        let message = channel.0.next().await.unwrap().unwrap();
        if message.is_pong() {
            return count;
        }
        let decoded = Message::decode(&message.into_payload().into());
        count += usize::from(decoded.unwrap().message_type == MessageType::ACKNOWLEDGE);
    }
}

/// What a client types, as the message of that number.
fn input(number: i64, data: &[u8]) -> WebSocketMessage {
    let message = Message {
        message_type: MessageType::INPUT_STREAM_DATA,
        schema_version: 1,
        created: UnixMillis(1),
        sequence_number: SequenceNumber(number),
        flags: Flags::NONE,
        id: Uuid::from_u128(1 + number.unsigned_abs() as u128),
        payload_type: PayloadType::OUTPUT,
        payload: Bytes::copy_from_slice(data),
    };
    WebSocketMessage::binary(message.encode())
}

const INPUTS: i64 = 200;
