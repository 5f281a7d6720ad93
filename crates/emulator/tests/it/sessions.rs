//! Sessions on the control plane.

use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::Document;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::Target;
use ssm_session_proto::MessageType;

use crate::support::Channel;
use crate::support::ask;
use crate::support::call;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

#[test]
fn a_started_session_has_an_id_an_address_and_a_token() {
    run(async {
        let emulator = emulator().await;
        let session = ask(&emulator, START, json!({"Target": TARGET})).await;
        let id = session["SessionId"].as_str().unwrap();
        assert!(id.starts_with("emulator-"), "{id}");
        let url = session["StreamUrl"].as_str().unwrap();
        let path = format!(
            "ws://{}/v1/data-channel/{id}?role=publish_subscribe&cell-number=",
            emulator.local_addr()
        );
        assert!(url.starts_with(&path), "{url}");
        assert_eq!(session["TokenValue"].as_str().unwrap().len(), 64);
        let other = ask(&emulator, START, json!({"Target": TARGET})).await;
        assert_ne!(session["SessionId"], other["SessionId"]);
        assert_ne!(session["TokenValue"], other["TokenValue"]);
    });
}

#[test]
fn a_target_without_agent_is_not_connected() {
    run(async {
        let targets = vec![Target::new("i-00000001").unwrap().disconnected()];
        let emulator = Emulator::start(Plan { targets, ..plan() }).await.unwrap();
        for target in ["i-00000001", "i-00000002", "ecs:a_b_c", "nonsense"] {
            let answer = call(&emulator, START, json!({"Target": target})).await;
            assert_eq!(answer.code(), "TargetNotConnected");
            assert_eq!(answer.message(), format!("{target} is not connected."));
        }
    });
}

#[test]
fn a_document_that_does_not_exist_is_refused() {
    run(async {
        let emulator = emulator().await;
        let request = json!({"Target": TARGET, "DocumentName": "AWS-RunShellScript"});
        let answer = call(&emulator, START, request).await;
        assert_eq!(answer.code(), "InvalidDocument");
        assert!(answer.message().contains("does not exist"));
    });
}

#[test]
fn parameters_must_fit_the_document() {
    run(async {
        let text = r#"{"schemaVersion":"1.0","sessionType":"InteractiveCommands",
            "parameters":{"n":{"type":"String","allowedPattern":"^[0-9]+$"}},
            "properties":{"linux":{"commands":"echo {{ n }}"}}}"#;
        let documents = vec![Document::parse("Count", text).unwrap()];
        let emulator = Emulator::start(Plan {
            documents,
            ..plan()
        })
        .await
        .unwrap();
        for (parameters, reason) in [
            (json!({}), "Parameter n is required"),
            (json!({"n": ["x"]}), "does not match its pattern"),
            (json!({"n": ["1", "2"]}), "takes one value"),
            (json!({"n": ["1"], "m": ["1"]}), "no parameter m"),
        ] {
            let request =
                json!({"Target": TARGET, "DocumentName": "Count", "Parameters": parameters});
            let answer = call(&emulator, START, request).await;
            assert_eq!(answer.code(), "InvalidParameters");
            assert!(answer.message().contains(reason), "{}", answer.message());
        }
        let request = json!({"Target": TARGET, "DocumentName": "Count", "Parameters": {"n": "1"}});
        assert_eq!(
            call(&emulator, START, request).await.code(),
            "ValidationException"
        );
    });
}

#[test]
fn texts_out_of_their_length_are_refused() {
    run(async {
        let emulator = emulator().await;
        for request in [
            json!({"Target": ""}),
            json!({"Target": "i".repeat(401)}),
            json!({"Target": TARGET, "Reason": ""}),
            json!({"Target": TARGET, "Reason": "r".repeat(257)}),
        ] {
            assert_eq!(
                call(&emulator, START, request).await.code(),
                "ValidationException"
            );
        }
    });
}

#[test]
fn a_session_is_active_until_it_ends_and_history_after() {
    run(async {
        let emulator = emulator().await;
        let session = emulator
            .start_session(StartSession {
                reason: Some("to see".to_owned()),
                ..StartSession::default()
            })
            .unwrap();
        let active = described(&emulator, json!({"State": "Active"})).await;
        assert_eq!(active.len(), 1);
        assert_eq!(active[0]["SessionId"], session.session_id);
        assert_eq!(active[0]["Target"], TARGET);
        assert_eq!(active[0]["Status"], "Connecting");
        assert_eq!(active[0]["DocumentName"], "SSM-SessionManagerRunShell");
        assert_eq!(active[0]["Owner"], OWNER);
        assert_eq!(active[0]["Reason"], "to see");
        assert!(active[0]["StartDate"].is_f64());
        assert!(active[0].get("EndDate").is_none());

        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        let active = described(&emulator, json!({"State": "Active"})).await;
        assert_eq!(active[0]["Status"], "Connected");

        let answer = ask(
            &emulator,
            TERMINATE,
            json!({"SessionId": session.session_id}),
        )
        .await;
        assert_eq!(answer, json!({"SessionId": session.session_id}));
        channel.receive(MessageType::CHANNEL_CLOSED).await;
        assert!(
            described(&emulator, json!({"State": "Active"}))
                .await
                .is_empty()
        );
        let history = described(&emulator, json!({"State": "History"})).await;
        assert_eq!(history[0]["Status"], "Terminated");
        assert!(history[0]["EndDate"].is_f64());
    });
}

#[test]
fn sessions_are_filtered_and_come_in_pages_newest_first() {
    run(async {
        let emulator = emulator().await;
        let ids: Vec<_> = (0..5)
            .map(|_| {
                emulator
                    .start_session(StartSession::default())
                    .unwrap()
                    .session_id
            })
            .collect();
        let first = ask(
            &emulator,
            DESCRIBE,
            json!({"State": "Active", "MaxResults": 3}),
        )
        .await;
        let request = json!({"State": "Active", "MaxResults": 3, "NextToken": first["NextToken"]});
        let second = ask(&emulator, DESCRIBE, request).await;
        let newest_first: Vec<_> = ids.iter().rev().cloned().collect();
        assert_eq!(
            [session_ids(&first), session_ids(&second)].concat(),
            newest_first
        );
        assert!(second.get("NextToken").is_none());

        for (key, value, count) in [
            ("SessionId", ids[2].as_str(), 1),
            ("Target", TARGET, 5),
            ("Target", "i-00000009", 0),
            ("Owner", OWNER, 5),
            ("Status", "Connecting", 5),
            ("Status", "Connected", 0),
            ("InvokedAfter", "2020-01-01T00:00:00Z", 5),
            ("InvokedBefore", "2020-01-01T00:00:00Z", 0),
        ] {
            let request = json!({"State": "Active", "Filters": [{"key": key, "value": value}]});
            assert_eq!(
                described(&emulator, request).await.len(),
                count,
                "{key}={value}"
            );
        }
        for (request, code) in [
            (json!({}), "ValidationException"),
            (json!({"State": "Past"}), "ValidationException"),
            (
                json!({"State": "Active", "MaxResults": 201}),
                "ValidationException",
            ),
            (
                json!({"State": "Active", "NextToken": "x"}),
                "InvalidNextToken",
            ),
            (
                json!({"State": "Active", "Filters": [{"key": "Colour", "value": "x"}]}),
                "InvalidFilterKey",
            ),
            (
                json!({"State": "Active", "Filters": [{"key": "InvokedAfter", "value": "today"}]}),
                "ValidationException",
            ),
        ] {
            assert_eq!(call(&emulator, DESCRIBE, request).await.code(), code);
        }
    });
}

#[test]
fn a_running_session_is_resumed_with_a_new_token_and_address() {
    run(async {
        let emulator = emulator().await;
        let started = ask(&emulator, START, json!({"Target": TARGET})).await;
        let resumed = ask(
            &emulator,
            RESUME,
            json!({"SessionId": started["SessionId"]}),
        )
        .await;
        assert_eq!(resumed["SessionId"], started["SessionId"]);
        assert_ne!(resumed["TokenValue"], started["TokenValue"]);
        assert_ne!(resumed["StreamUrl"], started["StreamUrl"]);
    });
}

#[test]
fn a_session_that_is_over_is_answered_without_token_and_an_unknown_one_with_an_error() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        emulator.terminate_session(&session.session_id).await;
        channel.receive(MessageType::CHANNEL_CLOSED).await;
        let resumed = ask(&emulator, RESUME, json!({"SessionId": session.session_id})).await;
        assert_eq!(resumed, json!({"SessionId": session.session_id}));
        let unknown = call(&emulator, RESUME, json!({"SessionId": "emulator-0"})).await;
        assert_eq!(unknown.code(), "DoesNotExistException");
    });
}

#[test]
fn terminating_twice_or_nothing_is_no_error() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        for id in [
            session.session_id.as_str(),
            &session.session_id,
            "emulator-0",
        ] {
            let answer = ask(&emulator, TERMINATE, json!({"SessionId": id})).await;
            assert_eq!(answer, json!({"SessionId": id}));
        }
    });
}

async fn described(emulator: &Emulator, request: Value) -> Vec<Value> {
    let answer = ask(emulator, DESCRIBE, request).await;
    answer["Sessions"].as_array().unwrap().clone()
}

fn session_ids(answer: &Value) -> Vec<String> {
    let sessions = answer["Sessions"].as_array().unwrap();
    sessions
        .iter()
        .map(|session| session["SessionId"].as_str().unwrap().to_owned())
        .collect()
}

const START: &str = "AmazonSSM.StartSession";
const RESUME: &str = "AmazonSSM.ResumeSession";
const TERMINATE: &str = "AmazonSSM.TerminateSession";
const DESCRIBE: &str = "AmazonSSM.DescribeSessions";
const TARGET: &str = "i-0123456789abcdef0";
const OWNER: &str = "arn:aws:iam::123456789012:user/emulator";
