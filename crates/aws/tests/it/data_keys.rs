//! What KMS is asked, and what the user reads when there is no key.

use serde_json::json;

use crate::program::Program;
use crate::server::Server;

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1";

async fn refusal(code: &str, message: &str) -> String {
    let server = Server::refusing(code, message).await;
    let program = Program::ready(&server.endpoint);
    program.args(&format!("data-key {KEY}")).failure().await
}

#[tokio::test]
async fn a_key_is_asked_for_with_length_and_context_and_signed() {
    let server = Server::willing().await;
    let arguments = format!("data-key {KEY} aws:ssm:SessionId=s-1 aws:ssm:TargetId=i-1");
    assert_eq!(
        Program::ready(&server.endpoint)
            .args(&arguments)
            .success()
            .await,
        "a key of 64 bytes, 184 bytes under the KMS key"
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].operation(), "TrentService.GenerateDataKey");
    assert_eq!(
        asked[0].json(),
        json!({
            "KeyId": KEY,
            "NumberOfBytes": 64,
            "EncryptionContext": { "aws:ssm:SessionId": "s-1", "aws:ssm:TargetId": "i-1" },
        })
    );
    let authorization = asked[0].header("authorization");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDENVIRONMENT/"),
        "{authorization}"
    );
    assert!(
        authorization.contains("/eu-west-1/kms/aws4_request"),
        "{authorization}"
    );
    assert!(authorization.contains("host;"), "{authorization}");
    assert_eq!(
        format!("http://{}", asked[0].header("host")),
        server.endpoint
    );
}

#[tokio::test]
async fn denied_access_names_the_permission_and_the_key() {
    let words = "User: arn:aws:iam::1:user/me is not authorized to perform: kms:GenerateDataKey";
    assert_eq!(
        refusal("AccessDeniedException", words).await,
        format!(
            "access to the session's KMS key {KEY} is denied: {words}; ask for kms:GenerateDataKey on that key"
        )
    );
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_named_with_the_region() {
    let text = refusal("NotFoundException", "Key 'arn:…' does not exist").await;
    let expected =
        format!("KMS key {KEY} does not exist in eu-west-1: Key 'arn:…' does not exist;");
    assert!(text.contains(&expected), "{text}");
}

#[tokio::test]
async fn a_key_of_another_region_is_recognised() {
    let server = Server::refusing("NotFoundException", "Invalid arn eu-west-1").await;
    let program = Program::ready(&server.endpoint);
    let text = program
        .args(&format!("region=us-east-2 data-key {KEY}"))
        .failure()
        .await;
    assert!(
        text.contains("is in eu-west-1, but was looked for in us-east-2: Invalid arn eu-west-1; start the session in"),
        "{text}"
    );
}

#[tokio::test]
async fn a_disabled_key_is_to_be_enabled() {
    let text = refusal("DisabledException", "arn:… is disabled.").await;
    assert!(
        text.contains("cannot be used: arn:… is disabled; enable the key, or"),
        "{text}"
    );
}

#[tokio::test]
async fn another_refusal_keeps_its_words() {
    let text = refusal("DryRunOperationException", "dry").await;
    assert_eq!(text, format!("KMS gave no data key for {KEY}: dry"));
}

#[tokio::test]
async fn an_answer_without_a_key_is_no_key() {
    let server = Server::answering(200, json!({})).await;
    let program = Program::ready(&server.endpoint);
    assert_eq!(
        program.args(&format!("data-key {KEY}")).failure().await,
        "KMS answered GenerateDataKey without a data key; check AWS_ENDPOINT_URL_KMS"
    );
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_explained_without_the_request() {
    let program = Program::ready("nonsense");
    assert_eq!(
        program.args(&format!("data-key {KEY}")).failure().await,
        format!("KMS gave no data key for {KEY}: endpoint must contain scheme")
    );
}
