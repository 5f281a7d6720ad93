//! Operations refused on purpose.

use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::Target;

use crate::signer::parts;
use crate::signer::request;
use crate::support::Answer;
use crate::support::Channel;
use crate::support::call;
use crate::support::plan;
use crate::support::run;
use crate::support::send;

#[test]
fn an_operation_is_refused_as_often_as_the_plan_says() {
    run(async {
        let emulator = refusing(&[
            "StartSession=ThrottlingException*2",
            "StartSession=InternalServerError*1",
        ])
        .await;
        for (status, code, text) in [
            (400, "ThrottlingException", "Rate exceeded"),
            (400, "ThrottlingException", "Rate exceeded"),
            (
                500,
                "InternalServerError",
                "An error occurred on the server side.",
            ),
        ] {
            let answer = call(&emulator, START, start(TARGET)).await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.json(), json!({"__type": code, "message": text}));
        }
        for _ in 0..2 {
            let answer = call(&emulator, START, start(TARGET)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    });
}

#[test]
fn a_refusal_without_a_number_stays() {
    run(async {
        let emulator = refusing(&["TerminateSession=ServiceUnavailable:Come back later."]).await;
        for _ in 0..5 {
            let answer = call(&emulator, TERMINATE, json!({"SessionId": "emulator-0"})).await;
            assert_eq!(answer.status, 503);
            assert_eq!(answer.json()["__type"], "ServiceUnavailable");
            assert_eq!(answer.message(), "Come back later.");
        }
        // Nothing else is refused.
        let answer = call(&emulator, START, start(TARGET)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    });
}

#[test]
fn a_denial_names_the_caller_the_action_and_the_node_or_session() {
    run(async {
        let session = json!({"SessionId": "emulator-0"});
        let session_arn = "arn:aws:ssm:us-east-1:123456789012:session/emulator-0";
        let all = "arn:aws:ssm:us-east-1:123456789012:*";
        let instance = "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0";
        let hybrid = "arn:aws:ssm:us-east-1:123456789012:managed-instance/mi-0123456789abcdef0";
        for (operation, body, resource) in [
            ("StartSession", start(TARGET), instance),
            ("StartSession", start("mi-0123456789abcdef0"), hybrid),
            ("StartSession", start(Target::CONTAINER), TASK_ARN),
            ("ResumeSession", session.clone(), session_arn),
            ("TerminateSession", session, session_arn),
            ("DescribeSessions", json!({"State": "Active"}), all),
            ("GetConnectionStatus", start(TARGET), all),
            ("DescribeInstanceInformation", json!({}), all),
        ] {
            assert_denied("AmazonSSM", operation, body, "ssm", resource).await;
        }
    });
}

#[test]
fn a_denial_names_the_caller_the_action_and_the_key_or_task() {
    run(async {
        let key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        for (operation, body) in [
            (
                "GenerateDataKey",
                json!({"KeyId": "alias/emulator-session", "NumberOfBytes": 64}),
            ),
            ("Decrypt", json!({"KeyId": key, "CiphertextBlob": ""})),
        ] {
            assert_denied("TrentService", operation, body, "kms", key).await;
        }
        let task = "0123456789abcdef0123456789abcdef";
        for (operation, body) in [
            (
                "ExecuteCommand",
                json!({"cluster": "emulator", "task": task, "command": "sh", "interactive": true}),
            ),
            (
                "DescribeTasks",
                json!({"cluster": "emulator", "tasks": [TASK_ARN]}),
            ),
        ] {
            let prefix = "AmazonEC2ContainerServiceV20141113";
            assert_denied(prefix, operation, body, "ecs", TASK_ARN).await;
        }
    });
}

#[test]
fn the_opening_of_a_data_channel_is_refused_with_a_status_of_its_own() {
    run(async {
        for (code, status) in [
            ("AccessDeniedException", 403),
            ("UnrecognizedClientException", 403),
            ("ThrottlingException", 429),
            ("InternalServerError", 500),
            ("ServiceUnavailableException", 503),
        ] {
            let emulator = refusing(&[&format!("OpenDataChannel={code}*1")]).await;
            let session = emulator.start_session(StartSession::default()).unwrap();
            let answer = opening(&emulator, &session.stream_url).await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.headers["x-amzn-errortype"], code);
            if code == "AccessDeniedException" {
                let resource = format!(
                    "arn:aws:ssm:us-east-1:123456789012:session/{}",
                    session.session_id
                );
                let message = denial("ssmmessages:OpenDataChannel", &resource);
                assert_eq!(answer.json(), json!({"message": message}));
            }
            // The second time it opens.
            Channel::open(&session).await;
        }
    });
}

#[test]
fn the_emulators_owner_is_not_concerned() {
    run(async {
        let emulator = refusing(&[
            "StartSession=AccessDeniedException",
            "ResumeSession=AccessDeniedException",
            "TerminateSession=AccessDeniedException",
        ])
        .await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let resumed = emulator.resume_session(&session.session_id).unwrap();
        assert!(resumed.is_some());
        emulator.terminate_session(&session.session_id).await;
    });
}

async fn assert_denied(prefix: &str, operation: &str, body: Value, service: &str, resource: &str) {
    let emulator = refusing(&[&format!("{operation}=AccessDeniedException")]).await;
    let answer = call(&emulator, &format!("{prefix}.{operation}"), body).await;
    assert_eq!(answer.code(), "AccessDeniedException");
    // So spelt by the services, other than in their own errors.
    let message = denial(&format!("{service}:{operation}"), resource);
    assert_eq!(answer.json()["Message"], message);
}

async fn refusing(refusals: &[&str]) -> Emulator {
    let refusals = refusals.iter().map(|text| text.parse().unwrap());
    Emulator::start(Plan {
        refusals: refusals.collect(),
        ..plan()
    })
    .await
    .unwrap()
}

async fn opening(emulator: &Emulator, url: &str) -> Answer {
    let (host, path, query) = parts(url);
    let headers = [("host".to_owned(), host.to_owned())];
    send(
        emulator,
        request("GET", &format!("{path}?{query}"), &headers, ""),
    )
    .await
}

fn denial(action: &str, resource: &str) -> String {
    format!(
        "User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
    )
}

fn start(target: &str) -> Value {
    json!({"Target": target})
}

const START: &str = "AmazonSSM.StartSession";
const TERMINATE: &str = "AmazonSSM.TerminateSession";
const TARGET: &str = "i-0123456789abcdef0";
const TASK_ARN: &str =
    "arn:aws:ecs:us-east-1:123456789012:task/emulator/0123456789abcdef0123456789abcdef";
