//! What the service ends by itself or on demand: sessions, channels, tokens.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use serde_json::json;
use ssm_session_emulator::ChannelClose;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Limits;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::StartedSession;
use ssm_session_proto::ChannelClosed;
use ssm_session_proto::MessageType;
use tokio_websockets::Message;

use crate::support::Channel;
use crate::support::ask;
use crate::support::call;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

const IDLE: &str = "Your session timed out due to inactivity and has been terminated.";
const TICK: Duration = Duration::from_millis(20);

#[test]
fn an_idle_session_is_ended_with_the_services_words() {
    run(async {
        let emulator = limited(Limits {
            // Time for the client to come, and too little for the agent to send anything again, which would count.
            idle: Some(8 * TICK),
            ..Limits::default()
        })
        .await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        assert_eq!(words(&mut channel).await, IDLE);
        assert_eq!(channel.closed().await, (1000, String::new()));
        assert_eq!(status(&emulator).await, "Terminated");
        assert!(is_gone(&emulator, &session));
    });
}

#[test]
fn a_session_idles_without_its_client_too() {
    run(async {
        let emulator = limited(Limits {
            idle: Some(TICK),
            ..Limits::default()
        })
        .await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        until_over(&emulator).await;
        assert!(is_gone(&emulator, &session));
    });
}

#[test]
fn a_session_that_is_as_old_as_it_may_be_ends_however_busy_it_is() {
    run(async {
        let emulator = limited(Limits {
            lifetime: Some(10 * TICK),
            ..Limits::default()
        })
        .await;
        let session = emulator.start_session(busy()).unwrap();
        let mut channel = Channel::open(&session).await;
        let words = words(&mut channel).await;
        assert!(words.contains("as long as a session may"), "{words}");
        assert_eq!(status(&emulator).await, "Terminated");
    });
}

#[test]
fn a_channel_that_has_lasted_its_time_is_closed_with_bye_and_the_session_lives_on() {
    run(async {
        let emulator = limited(Limits {
            channel: Some(TICK),
            ..Limits::default()
        })
        .await;
        let mut session = emulator.start_session(StartSession::default()).unwrap();
        for _ in 0..3 {
            let mut channel = Channel::open(&session).await;
            channel.receive(MessageType::START_PUBLICATION).await;
            assert_eq!(channel.closed().await, (1000, "Bye".to_owned()));
            assert_eq!(status(&emulator).await, "Disconnected");
            session = resume(&emulator, &session);
        }
    });
}

#[test]
fn a_token_that_has_expired_opens_nothing_and_says_so() {
    run(async {
        let emulator = limited(Limits {
            token: Some(Duration::from_nanos(1)),
            ..Limits::default()
        })
        .await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let (code, text) = Channel::open(&session).await.closed().await;
        assert_eq!(code, 1008);
        assert!(text.contains("the token has expired"), "{text}");
        let resumed = resume(&emulator, &session);
        let (_, text) = Channel::open(&resumed).await.closed().await;
        assert!(text.contains("the token has expired"), "{text}");
        // An old one is no better for having been a token once.
        let (_, text) = Channel::open(&session).await.closed().await;
        assert!(text.contains("does not open"), "{text}");
    });
}

#[test]
fn a_limit_of_nothing_is_refused() {
    run(async {
        let limits = Limits {
            channel: Some(Duration::ZERO),
            ..Limits::default()
        };
        let error = Emulator::start(Plan { limits, ..plan() }).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("the limit `channel` is 0"), "{error}");
    });
}

#[test]
fn a_channel_closed_on_demand_is_closed_as_asked_for() {
    run(async {
        let emulator = emulator().await;
        let mut session = emulator.start_session(StartSession::default()).unwrap();
        for how in [ChannelClose::Bye, ChannelClose::Cut] {
            let mut channel = Channel::open(&session).await;
            channel.receive(MessageType::START_PUBLICATION).await;
            assert_eq!(emulator.close_channels(how, None).await, 1);
            assert_eq!(status(&emulator).await, "Disconnected");
            match how {
                ChannelClose::Bye => {
                    assert_eq!(channel.closed().await, (1000, "Bye".to_owned()));
                }
                _ => assert!(is_cut(channel).await),
            }
            session = resume(&emulator, &session);
        }
    });
}

#[test]
fn a_silenced_channel_stays_open_and_answers_nothing_until_the_session_ends() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut silent = Channel::open(&session).await;
        silent.receive(MessageType::START_PUBLICATION).await;
        let how = ChannelClose::Silence;
        assert_eq!(emulator.close_channels(how, None).await, 1);
        assert_eq!(emulator.close_channels(how, None).await, 0);
        assert_eq!(status(&emulator).await, "Connected");
        silent.send(Message::ping("anyone there?")).await;

        // Whoever comes next takes over, and is answered.
        let mut next = Channel::open(&resume(&emulator, &session)).await;
        next.receive(MessageType::START_PUBLICATION).await;
        next.send(Message::ping("hello")).await;
        while !next.0.next().await.unwrap().unwrap().is_pong() {}
        // No more than what was said before.
        while let Some(message) = silent.0.next().now_or_never() {
            assert!(message.unwrap().unwrap().is_binary());
        }

        emulator.terminate_session(&session.session_id).await;
        assert_eq!(words(&mut next).await, "");
        assert_eq!(next.closed().await, (1000, String::new()));
        assert!(is_cut(silent).await);
    });
}

#[test]
fn a_session_ends_without_its_silenced_client() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(busy()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        emulator.close_channels(ChannelClose::Silence, None).await;
        emulator.terminate_session(&session.session_id).await;
        assert!(is_cut(channel).await);
        assert_eq!(status(&emulator).await, "Terminated");
    });
}

#[test]
fn channels_are_closed_by_operation_one_or_all() {
    run(async {
        let emulator = emulator().await;
        let operation = "Emulator.CloseChannel";
        assert_eq!(
            ask(&emulator, operation, json!({})).await,
            json!({"Closed": 0})
        );
        let mut channels = Vec::new();
        for _ in 0..3 {
            let session = emulator.start_session(StartSession::default()).unwrap();
            let mut channel = Channel::open(&session).await;
            channel.receive(MessageType::START_PUBLICATION).await;
            channels.push((session.session_id, channel));
        }
        let (id, first) = channels.remove(0);
        let body = json!({"SessionId": id, "How": "Cut"});
        assert_eq!(ask(&emulator, operation, body).await, json!({"Closed": 1}));
        assert!(is_cut(first).await);
        assert_eq!(
            ask(&emulator, operation, json!({})).await,
            json!({"Closed": 2})
        );
        for (_, channel) in channels {
            assert_eq!(channel.closed().await, (1000, "Bye".to_owned()));
        }
    });
}

#[test]
fn an_operation_on_channels_that_makes_no_sense_is_refused() {
    run(async {
        let emulator = emulator().await;
        for (body, code) in [
            (json!({"SessionId": "emulator-0"}), "DoesNotExistException"),
            (json!({"How": "Gently"}), "ValidationException"),
            (json!({"Who": "all"}), "ValidationException"),
        ] {
            let answer = call(&emulator, "Emulator.CloseChannel", body).await;
            assert_eq!(answer.code(), code, "{answer:?}");
        }
    });
}

async fn limited(limits: Limits) -> Emulator {
    Emulator::start(Plan { limits, ..plan() }).await.unwrap()
}

/// A session that says something all the time.
fn busy() -> StartSession {
    StartSession {
        document_name: Some("AWS-StartInteractiveCommand".to_owned()),
        parameters: [("command".to_owned(), vec!["yes".to_owned()])].into(),
        ..StartSession::default()
    }
}

fn resume(emulator: &Emulator, session: &StartedSession) -> StartedSession {
    emulator
        .resume_session(&session.session_id)
        .unwrap()
        .expect("the session runs")
}

fn is_gone(emulator: &Emulator, session: &StartedSession) -> bool {
    emulator
        .resume_session(&session.session_id)
        .unwrap()
        .is_none()
}

/// What the service tells the user at the end.
async fn words(channel: &mut Channel) -> String {
    let message = channel.receive(MessageType::CHANNEL_CLOSED).await;
    let body: ChannelClosed = serde_json::from_slice(&message.payload).unwrap();
    body.output
}

/// Whether the connection ends without a close frame.
async fn is_cut(mut channel: Channel) -> bool {
    loop {
        match channel.0.next().await {
            Some(Ok(message)) if message.is_close() => return false,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return true,
        }
    }
}

/// Of the one session there is.
async fn status(emulator: &Emulator) -> String {
    for state in ["Active", "History"] {
        let page = ask(
            emulator,
            "AmazonSSM.DescribeSessions",
            json!({"State": state}),
        )
        .await;
        if let Some(session) = page["Sessions"].as_array().unwrap().first() {
            return session["Status"].as_str().unwrap().to_owned();
        }
    }
    panic!("no session");
}

async fn until_over(emulator: &Emulator) {
    while status(emulator).await != "Terminated" {
        tokio::task::yield_now().await;
    }
}
