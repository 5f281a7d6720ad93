//! Opening, keeping and replacing data channels.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_proto::ChannelClosed;
use ssm_session_proto::MessageType;
use tokio_websockets::ClientBuilder;
use tokio_websockets::Config;
use tokio_websockets::Message;

use crate::support::Channel;
use crate::support::emulator;
use crate::support::open_frame;
use crate::support::plan;
use crate::support::run;
use crate::support::send;

#[test]
fn a_first_frame_without_token_closes_the_channel_with_the_services_words() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let text = format!(
            "Channel {}: request to open data channel does not contain token.",
            session.session_id
        );
        for frame in [
            "",
            "hello",
            "{}",
            r#"{"TokenValue":null}"#,
            r#"{"TokenValue":" "}"#,
            "[]",
        ] {
            let mut channel = Channel::connect(&session.stream_url).await;
            channel.send(Message::text(frame)).await;
            assert_eq!(channel.closed().await, (1003, text.clone()), "{frame}");
        }
    });
}

#[test]
fn the_token_of_another_session_or_of_before_a_resume_opens_nothing() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let other = emulator.start_session(StartSession::default()).unwrap();
        let resumed = emulator
            .resume_session(&session.session_id)
            .unwrap()
            .unwrap();
        for token in [&other.token, &session.token] {
            let mut channel = Channel::connect(&session.stream_url).await;
            channel
                .send(Message::text(open_frame(token.expose())))
                .await;
            let (code, text) = channel.closed().await;
            assert_eq!(code, 1008);
            assert!(
                text.contains("the token does not open this data channel"),
                "{text}"
            );
        }
        let mut channel = Channel::open(&resumed).await;
        channel.receive(MessageType::START_PUBLICATION).await;
    });
}

#[test]
fn a_token_alone_is_enough() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::connect(&session.stream_url).await;
        let frame = serde_json::json!({"TokenValue": session.token.expose()}).to_string();
        channel.send(Message::binary(frame.into_bytes())).await;
        channel.receive(MessageType::START_PUBLICATION).await;
    });
}

#[test]
fn a_channel_that_says_nothing_is_closed() {
    run(async {
        let open_limit = Duration::from_millis(1);
        let emulator = Emulator::start(Plan {
            open_limit,
            ..plan()
        })
        .await
        .unwrap();
        let session = emulator.start_session(StartSession::default()).unwrap();
        let (code, text) = Channel::connect(&session.stream_url).await.closed().await;
        assert_eq!(code, 1008);
        assert!(text.contains("in time"), "{text}");
    });
}

#[test]
fn unknown_and_ended_sessions_are_refused_before_the_upgrade() {
    run(async {
        let emulator = emulator().await;
        assert_eq!(upgrade_status(&emulator, "emulator-0").await, (404, false));
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        emulator.terminate_session(&session.session_id).await;
        channel.receive(MessageType::CHANNEL_CLOSED).await;
        assert_eq!(
            upgrade_status(&emulator, &session.session_id).await,
            (403, true)
        );
    });
}

#[test]
fn a_plain_request_for_a_channel_is_told_to_upgrade() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let path = format!("/v1/data-channel/{}", session.session_id);
        let request = hyper::Request::get(path)
            .body(http_body_util::Full::default())
            .unwrap();
        let answer = send(&emulator, request).await;
        assert_eq!(answer.status, 426);
        assert_eq!(answer.headers["sec-websocket-version"], "13");
    });
}

#[test]
fn pings_are_answered_before_and_after_the_first_frame() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::connect(&session.stream_url).await;
        channel.send(Message::ping("early")).await;
        assert_eq!(pong(&mut channel).await, "early");
        channel
            .send(Message::text(open_frame(session.token.expose())))
            .await;
        channel.receive(MessageType::START_PUBLICATION).await;
        channel.send(Message::ping("keepalive")).await;
        assert_eq!(pong(&mut channel).await, "keepalive");
    });
}

#[test]
fn a_fragmented_first_frame_is_put_together() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let builder = ClientBuilder::new()
            .config(Config::default().frame_size(7))
            .uri(&session.stream_url)
            .unwrap();
        let mut channel = Channel(builder.connect().await.unwrap().0);
        channel
            .send(Message::text(open_frame(session.token.expose())))
            .await;
        channel.receive(MessageType::START_PUBLICATION).await;
    });
}

#[test]
fn a_second_client_replaces_the_first() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut first = Channel::open(&session).await;
        first.receive(MessageType::START_PUBLICATION).await;
        let mut second = Channel::open(&session).await;
        second.receive(MessageType::START_PUBLICATION).await;
        let (code, text) = first.closed().await;
        assert_eq!(
            (code, text.as_str()),
            (1008, "the channel was opened again")
        );
        second.send(Message::ping("still here")).await;
        assert_eq!(pong(&mut second).await, "still here");
    });
}

#[test]
fn frames_that_are_no_messages_do_not_end_the_session() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.send(Message::text("hello")).await;
        channel.send(Message::binary(vec![0xff_u8; 50])).await;
        channel.send(Message::binary(vec![0xff_u8; 500])).await;
        channel.send(Message::ping("alive")).await;
        assert_eq!(pong(&mut channel).await, "alive");
    });
}

#[test]
fn a_frame_beyond_the_limit_closes_the_socket_and_not_the_session() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        let too_much = vec![0; ssm_session_proto::MAX_FRAME + 1];
        // Whether the service hangs up during or after this is a matter of buffers.
        channel.0.send(Message::binary(too_much)).await.ok();
        while let Some(Ok(_)) = channel.0.next().await {}
        let mut again = Channel::open(&session).await;
        again.receive(MessageType::START_PUBLICATION).await;
    });
}

#[test]
fn the_end_of_a_session_is_a_channel_closed_message_and_a_normal_close() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        emulator.terminate_session(&session.session_id).await;
        let message = channel.receive(MessageType::CHANNEL_CLOSED).await;
        let body: ChannelClosed = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(
            (body.session_id, body.output),
            (session.session_id, String::new())
        );
        assert_eq!(channel.closed().await, (1000, String::new()));
    });
}

#[test]
fn shutting_down_ends_the_sessions_and_every_connection() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut open = Channel::open(&session).await;
        open.receive(MessageType::START_PUBLICATION).await;
        let mut silent = Channel::connect(&session.stream_url).await;
        let ended = async {
            open.receive(MessageType::CHANNEL_CLOSED).await;
            assert_eq!(open.closed().await, (1000, String::new()));
            while let Some(Ok(_)) = silent.0.next().await {}
        };
        tokio::join!(emulator.shutdown(), ended);
    });
}

async fn pong(channel: &mut Channel) -> Bytes {
    loop {
        let message = channel.0.next().await.unwrap().unwrap();
        if message.is_pong() {
            return message.into_payload().into();
        }
    }
}

/// The status of a refused upgrade, and whether the answer says that the session is terminated.
async fn upgrade_status(emulator: &Emulator, session_id: &str) -> (u16, bool) {
    let request = hyper::Request::get(format!("/v1/data-channel/{session_id}"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(http_body_util::Full::default())
        .unwrap();
    let answer = send(emulator, request).await;
    (
        answer.status.as_u16(),
        answer.text.contains("already terminated"),
    )
}
