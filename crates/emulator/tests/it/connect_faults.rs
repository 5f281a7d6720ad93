//! Faults at each step of connecting.

use std::net::SocketAddr;

use futures_util::StreamExt as _;
use serde_json::json;
use ssm_session::ApiErrorKind;
use ssm_session::ControlPlane as _;
use ssm_session_emulator::ConnectFault;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Failure;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_websockets::Message as WebSocketMessage;

use crate::support::Channel;
use crate::support::ask;
use crate::support::ask_at;
use crate::support::ask_for_channel;
use crate::support::call;
use crate::support::plan;
use crate::support::rest;
use crate::support::run;
use crate::support::say;
use crate::support::serving;

#[test]
fn a_stalled_step_before_the_upgrade_answers_nothing_while_others_are_served() {
    for step in ["accept", "upgrade"] {
        run(async {
            let emulator = failing(Failure::Stall, step).await;
            let session = emulator.start_session(StartSession::default()).unwrap();
            let mut stalled = ask_for_channel(&session.stream_url).await;
            let wanted = json!({"State": "Active"});
            let active = ask(&emulator, "AmazonSSM.DescribeSessions", wanted).await;
            assert_eq!(active["Sessions"][0]["SessionId"], session.session_id);
            emulator.shutdown().await;
            assert_eq!(rest(&mut stalled).await, b"", "{step}");
        });
    }
}

#[test]
fn a_cut_step_before_the_upgrade_ends_the_connection_without_an_answer() {
    for step in ["accept*1", "upgrade*1"] {
        run(async {
            let emulator = failing(Failure::Cut, step).await;
            let session = emulator.start_session(StartSession::default()).unwrap();
            let mut cut = ask_for_channel(&session.stream_url).await;
            assert_eq!(rest(&mut cut).await, b"", "{step}");
            let mut channel = Channel::open(&session).await;
            channel.receive(MessageType::START_PUBLICATION).await;
        });
    }
}

#[test]
fn a_fault_of_accepting_leaves_operations_alone() {
    run(async {
        let emulator = failing(Failure::Cut, "accept").await;
        let started = ask(
            &emulator,
            "AmazonSSM.StartSession",
            json!({"Target": "i-0123456789abcdef0"}),
        )
        .await;
        assert!(started["TokenValue"].is_string());
    });
}

#[test]
fn a_client_that_gives_a_stalled_step_up_leaves_nothing_of_it() {
    run(async {
        for step in ["accept", "upgrade"] {
            let emulator = failing(Failure::Stall, step).await;
            let session = emulator.start_session(StartSession::default()).unwrap();
            let mut stalled = ask_for_channel(&session.stream_url).await;
            stalled.shutdown().await.unwrap();
            assert_eq!(rest(&mut stalled).await, b"", "{step}");
        }
    });
}

#[test]
fn a_channel_that_stalls_behind_its_first_frame_answers_not_even_a_ping() {
    run(async {
        let emulator = failing(Failure::Stall, "open").await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut stalled = Channel::open(&session).await;
        stalled.send(WebSocketMessage::ping("anybody?")).await;
        emulator.shutdown().await;
        assert!(ends_without_a_word(stalled).await);
    });
}

#[test]
fn a_channel_is_cut_behind_its_first_frame_as_often_as_told() {
    run(async {
        let emulator = failing(Failure::Cut, "open*2").await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        for _ in 0..2 {
            assert!(ends_without_a_word(Channel::open(&session).await).await);
        }
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
    });
}

#[test]
fn a_wrong_token_is_refused_in_words_whatever_stalls() {
    run(async {
        let emulator = failing(Failure::Stall, "open").await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::connect(&session.stream_url).await;
        channel.send(WebSocketMessage::text("{}")).await;
        assert_eq!(channel.closed().await.0, 1003);
    });
}

#[test]
fn a_stalled_handshake_is_an_agent_that_does_not_begin_while_pings_are_answered() {
    run(async {
        let emulator = failing(Failure::Stall, "handshake*1").await;
        let stalled = emulator.start_session(encrypted()).unwrap();
        let mut channel = Channel::open(&stalled).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        channel.assert_only_pongs().await;
        // It is this agent that stalls, not the step of the next one.
        let other = emulator.start_session(encrypted()).unwrap();
        handshake_request(&mut Channel::open(&other).await).await;
        channel.assert_only_pongs().await;
        assert_eq!(emulator.freeze_agents(false, None).await, 2);
        handshake_request(&mut channel).await;
    });
}

#[test]
fn a_handshake_is_cut_behind_its_request_and_taken_up_by_the_next_channel() {
    run(async {
        let emulator = failing(Failure::Cut, "handshake*1").await;
        let session = emulator.start_session(encrypted()).unwrap();
        let mut cut = Channel::open(&session).await;
        handshake_request(&mut cut).await;
        assert!(ends_without_a_word(cut).await);
        handshake_request(&mut Channel::open(&session).await).await;
    });
}

#[test]
fn a_session_is_cut_when_its_first_output_has_gone_out_and_later_channels_at_once() {
    run(async {
        let emulator = failing(Failure::Cut, "established*2").await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut first = Channel::open(&session).await;
        first.receive(MessageType::OUTPUT_STREAM_DATA).await;
        assert!(ends_without_a_word(first).await);
        let mut second = Channel::open(&session).await;
        second.receive(MessageType::START_PUBLICATION).await;
        assert!(ends_without_a_word(second).await);
        let mut third = Channel::open(&session).await;
        third.receive(MessageType::OUTPUT_STREAM_DATA).await;
        third.assert_alive().await;
    });
}

#[test]
fn an_established_channel_that_stalls_answers_no_ping() {
    run(async {
        let emulator = failing(Failure::Stall, "established").await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        channel.send(WebSocketMessage::ping("anybody?")).await;
        emulator.shutdown().await;
        assert!(ends_without_a_word(channel).await);
    });
}

#[test]
fn an_operation_is_never_answered_or_cut_off_and_has_no_effect() {
    run(async {
        let emulator = Emulator::start(Plan {
            connect_faults: vec![
                fault(Failure::Cut, "StartSession*1"),
                fault(Failure::Stall, "StartSession*1"),
            ],
            ..plan()
        })
        .await
        .unwrap();
        let mut cut = post(emulator.local_addr(), "AmazonSSM.StartSession").await;
        assert_eq!(rest(&mut cut).await, b"");
        let mut stalled = post(emulator.local_addr(), "AmazonSSM.StartSession").await;
        let wanted = json!({"State": "Active"});
        let active = ask(&emulator, "AmazonSSM.DescribeSessions", wanted).await;
        assert_eq!(active["Sessions"], json!([]));
        emulator.shutdown().await;
        assert_eq!(rest(&mut stalled).await, b"");
    });
}

#[test]
fn options_say_which_steps_fail_and_how() {
    run(async {
        let options = ["--cut", "StartSession*1", "--stall", "open"];
        let (_emulator, address) = serving(&options).await;
        let mut cut = post(address, "AmazonSSM.StartSession").await;
        assert_eq!(rest(&mut cut).await, b"");
        let target = json!({"Target": "i-0123456789abcdef0"});
        let started = ask_at(address, "AmazonSSM.StartSession", target).await;
        let text = |name: &str| started[name].as_str().unwrap();
        let stalled = Channel::open_with(text("StreamUrl"), text("TokenValue")).await;
        let named = json!({"SessionId": text("SessionId")});
        ask_at(address, "AmazonSSM.TerminateSession", named).await;
        assert!(ends_without_a_word(stalled).await);
    });
}

#[test]
fn a_client_in_the_process_suffers_like_others() {
    run(async {
        let emulator = failing(Failure::Cut, "ResumeSession*1").await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let control_plane = emulator.control_plane();
        let cut = control_plane.resume_session(&session.session_id).await;
        assert_eq!(cut.unwrap_err().kind(), ApiErrorKind::Transient);
        let resumed = control_plane.resume_session(&session.session_id).await;
        assert_eq!(resumed.unwrap().session_id, session.session_id);
        emulator.set_connect_faults(vec![fault(Failure::Stall, "ResumeSession")]);
        let stalled = control_plane.resume_session(&session.session_id);
        let (stalled, ()) = tokio::join!(stalled, emulator.shutdown());
        assert_eq!(stalled.unwrap_err().kind(), ApiErrorKind::Transient);
    });
}

#[test]
fn faults_are_replaced_while_the_emulator_runs() {
    run(async {
        let emulator = failing(Failure::Cut, "open").await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        assert!(ends_without_a_word(Channel::open(&session).await).await);
        ask(&emulator, "Emulator.SetFaults", json!({})).await;
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        let faults = json!({"Cut": ["upgrade*1"], "Stall": ["ResumeSession"]});
        ask(&emulator, "Emulator.SetFaults", faults).await;
        let mut cut = ask_for_channel(&session.stream_url).await;
        assert_eq!(rest(&mut cut).await, b"");
        for wrong in [
            json!({"Cut": ["dial"]}),
            json!({"Stall": ["open*0"]}),
            json!({"Stop": []}),
        ] {
            let answer = call(&emulator, "Emulator.SetFaults", wrong).await;
            assert_eq!(answer.code(), "ValidationException");
        }
    });
}

fn fault(failure: Failure, step: &str) -> ConnectFault {
    ConnectFault::parse(failure, step).unwrap()
}

async fn failing(failure: Failure, step: &str) -> Emulator {
    Emulator::start(Plan {
        connect_faults: vec![fault(failure, step)],
        ..plan()
    })
    .await
    .unwrap()
}

/// A session with a handshake.
fn encrypted() -> StartSession {
    StartSession {
        document_name: Some("Emulator-EncryptedShell".to_owned()),
        ..StartSession::default()
    }
}

/// Sends an operation and reads no answer.
async fn post(address: SocketAddr, operation: &str) -> TcpStream {
    let body = r#"{"Target":"i-0123456789abcdef0"}"#;
    let length = body.len();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: emulator\r\nX-Amz-Target: {operation}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    say(address, request.as_bytes()).await
}

/// Whether the connection ends without a close frame or anything else.
async fn ends_without_a_word(mut channel: Channel) -> bool {
    !matches!(channel.0.next().await, Some(Ok(_)))
}

async fn handshake_request(channel: &mut Channel) {
    let message = channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
    assert_eq!(message.payload_type, PayloadType::HANDSHAKE_REQUEST);
}
