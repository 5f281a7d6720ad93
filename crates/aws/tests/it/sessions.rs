//! What Systems Manager is asked, and what the user reads when it refuses.

use std::net::Ipv4Addr;

use serde_json::json;
use tokio::net::TcpListener;

use crate::program::Program;
use crate::server::Server;

const SESSION: &str = "me-0123456789abcdef0";

async fn refusal(arguments: &str, code: &str, message: &str) -> String {
    let server = Server::refusing(code, message).await;
    let program = Program::ready(&server.endpoint);
    program.args(arguments).failure().await
}

#[tokio::test]
async fn a_session_is_started_with_document_parameters_and_reason() {
    let server = Server::willing().await;
    let program = Program::ready(&server.endpoint);
    let arguments = "start i-1 document=Doc reason=why command=a command=b";
    assert_eq!(
        program.args(arguments).success().await,
        format!("session {SESSION}, a URL of 101 characters, a token of 21")
    );
    let asked = server.asked();
    assert_eq!(asked[0].operation(), "AmazonSSM.StartSession");
    assert_eq!(
        asked[0].json(),
        json!({
            "Target": "i-1",
            "DocumentName": "Doc",
            "Reason": "why",
            "Parameters": { "command": ["a", "b"] },
        })
    );
    assert!(
        asked[0]
            .header("authorization")
            .contains("/eu-west-1/ssm/aws4_request")
    );
}

#[tokio::test]
async fn what_is_not_given_is_not_sent() {
    let server = Server::willing().await;
    Program::ready(&server.endpoint)
        .args("start i-1")
        .success()
        .await;
    assert_eq!(server.asked()[0].json(), json!({ "Target": "i-1" }));
}

#[tokio::test]
async fn the_other_operations_name_what_they_are_for() {
    let server = Server::willing().await;
    let program = Program::ready(&server.endpoint);
    let arguments = format!(
        "resume {SESSION} , terminate {SESSION} , describe {SESSION} , status i-0123456789abcdef0"
    );
    assert_eq!(
        program.args(&arguments).success().await,
        format!(
            "session {SESSION}, a URL of 101 characters, a token of 21\nterminated\n\
             target i-0123456789abcdef0\nConnected"
        )
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[0].json(), json!({ "SessionId": SESSION }));
    assert_eq!(asked[1].json(), json!({ "SessionId": SESSION }));
    let filters = json!([{ "key": "SessionId", "value": SESSION }]);
    assert_eq!(
        asked[2].json(),
        json!({ "State": "Active", "Filters": filters })
    );
    assert_eq!(asked[3].json(), json!({ "Target": "i-0123456789abcdef0" }));
}

#[tokio::test]
async fn resuming_a_session_without_getting_a_token_means_that_it_is_over() {
    let server = Server::answering(200, json!({ "SessionId": SESSION })).await;
    let program = Program::ready(&server.endpoint);
    assert_eq!(
        program.args(&format!("resume {SESSION}")).failure().await,
        format!("session {SESSION} is over; start another one")
    );
}

#[tokio::test]
async fn a_session_that_does_not_exist_is_over_and_need_not_be_ended() {
    let server = Server::refusing("DoesNotExistException", "no such session").await;
    let program = Program::ready(&server.endpoint);
    let outcome = program
        .args(&format!("resume {SESSION} , terminate {SESSION}"))
        .run()
        .await;
    assert_eq!(outcome.stdout, "terminated\n");
    assert_eq!(
        outcome.stderr,
        format!("session {SESSION} is over; start another one\n")
    );
}

#[tokio::test]
async fn a_session_that_is_not_listed_is_over() {
    let server = Server::answering(200, json!({ "Sessions": [] })).await;
    let program = Program::ready(&server.endpoint);
    assert_eq!(
        program.args(&format!("describe {SESSION}")).failure().await,
        format!("session {SESSION} is over; start another one")
    );
}

#[tokio::test]
async fn a_target_that_is_not_connected_is_explained_by_its_kind() {
    for (target, reason) in [
        ("i-1", "no instance profile"),
        ("mi-1", "registered no more"),
        ("ecs:c_t_r", "without enableExecuteCommand"),
    ] {
        let text = refusal(
            &format!("start {target}"),
            "TargetNotConnected",
            "not connected.",
        )
        .await;
        let beginning = format!("target {target} is not connected in eu-west-1: ");
        assert!(text.starts_with(&beginning), "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn denied_access_names_action_and_resource() {
    let arn = "arn:aws:ec2:eu-west-1:123456789012:instance/i-1";
    let words =
        format!("User: me is not authorized to perform: ssm:StartSession on resource: {arn}");
    assert_eq!(
        refusal("start i-1", "AccessDeniedException", &words).await,
        format!("access is denied: {words}; ask for ssm:StartSession on {arn}")
    );
    assert_eq!(
        refusal("terminate s-1", "AccessDeniedException", "no").await,
        "access is denied: no; ask for ssm:TerminateSession on s-1"
    );
}

#[tokio::test]
async fn a_document_or_parameter_that_is_refused_is_named() {
    let text = refusal(
        "start i-1 document=Doc",
        "InvalidDocument",
        "Document Doc does not exist.",
    )
    .await;
    assert!(
        text.starts_with(
            "session document Doc cannot be used in eu-west-1: Document Doc does not exist; "
        ),
        "{text}"
    );
    let text = refusal(
        "start i-1 document=Doc a=b",
        "InvalidParameters",
        "a is unknown",
    )
    .await;
    assert!(
        text.starts_with("session document Doc does not take these parameters: a is unknown; "),
        "{text}"
    );
    let text = refusal(
        "start x",
        "ValidationException",
        "Value 'x' at 'target' failed",
    )
    .await;
    assert!(
        text.contains("use i-…, mi-…, or ecs:cluster_task_runtime"),
        "{text}"
    );
}

#[tokio::test]
async fn throttling_and_failures_are_to_be_tried_again() {
    let server = Server::answering(
        400,
        json!({ "__type": "ThrottlingException", "message": "Rate exceeded" }),
    )
    .await;
    let program = Program::ready(&server.endpoint).env("AWS_MAX_ATTEMPTS", "1");
    assert_eq!(
        program.args("start i-1").failure().await,
        "Systems Manager is asked too often: Rate exceeded; wait a little and try again"
    );
    let server = Server::answering(
        500,
        json!({ "__type": "InternalServerError", "message": "oh" }),
    )
    .await;
    let program = Program::ready(&server.endpoint).env("AWS_MAX_ATTEMPTS", "1");
    assert_eq!(
        program.args("start i-1").failure().await,
        "Systems Manager failed: oh; try again"
    );
}

#[tokio::test]
async fn credentials_that_are_not_accepted_are_to_be_renewed() {
    let text = refusal(
        "start i-1",
        "ExpiredTokenException",
        "The security token is expired",
    )
    .await;
    assert_eq!(
        text,
        "the AWS credentials have expired: The security token is expired; renew them and try again"
    );
    let words = "The security token included in the request is invalid";
    let text = refusal("start i-1", "UnrecognizedClientException", words).await;
    assert!(
        text.starts_with(&format!("AWS does not accept the credentials: {words}; ")),
        "{text}"
    );
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_unreachable() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let program = Program::ready(&endpoint).env("AWS_MAX_ATTEMPTS", "1");
    let text = program.args("start i-1").failure().await;
    assert!(
        text.starts_with("Systems Manager could not be reached: 127.0.0.1 port "),
        "{text}"
    );
    assert!(
        text.ends_with("region eu-west-1 and AWS_ENDPOINT_URL_SSM"),
        "{text}"
    );
}

#[tokio::test]
async fn an_answer_without_a_token_starts_no_session() {
    let server = Server::answering(200, json!({ "SessionId": "s", "StreamUrl": "wss://x/" })).await;
    let program = Program::ready(&server.endpoint);
    assert_eq!(
        program.args("start i-1").failure().await,
        "Systems Manager answered StartSession without a token; check AWS_ENDPOINT_URL_SSM"
    );
}
