//! What the user reads when there is no key.

use std::net::Ipv4Addr;

use serde_json::json;
use tokio::net::TcpListener;

use crate::kms::Kms;
use crate::program::KEY;
use crate::program::Program;

async fn refusal(code: &str, message: &str) -> String {
    let kms = Kms::refusing(code, message).await;
    Program::ready(&kms.endpoint).failure().await
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
    assert!(
        text.contains(&format!(
            "KMS key {KEY} does not exist in eu-west-1: Key 'arn:…' does not exist;"
        )),
        "{text}"
    );
}

#[tokio::test]
async fn a_key_of_another_region_is_recognised() {
    let kms = Kms::refusing("NotFoundException", "Invalid arn eu-west-1").await;
    let text = Program::ready(&kms.endpoint)
        .arg("region=us-east-2")
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
async fn credentials_that_are_not_accepted_are_to_be_renewed() {
    let text = refusal(
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )
    .await;
    assert!(
        text.starts_with("AWS does not accept the credentials: The security token"),
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
    let kms = Kms::answering(200, json!({})).await;
    let text = Program::ready(&kms.endpoint).failure().await;
    assert_eq!(
        text,
        "KMS answered without a data key; check AWS_ENDPOINT_URL_KMS"
    );
}

#[tokio::test]
async fn without_credentials_the_user_learns_how_to_get_some() {
    assert_eq!(
        Program::new()
            .env("AWS_REGION", "eu-west-1")
            .failure()
            .await,
        "no AWS credentials were found for the session's KMS key; \
         run `aws configure` or `aws sso login`, or name a profile"
    );
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_named() {
    let program = Program::new()
        .arg("profile=nowhere")
        .arg("region=eu-west-1");
    assert_eq!(
        program.failure().await,
        "no AWS credentials of profile nowhere were found for the session's KMS key; \
         check profile nowhere in ~/.aws/config, or sign in"
    );
}

#[tokio::test]
async fn a_profile_with_a_mistake_is_explained() {
    let config = "[profile work]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = gone\n";
    let text = Program::new()
        .file("config", config)
        .arg("profile=work")
        .failure()
        .await;
    assert!(
        text.contains("check profile work in ~/.aws/config"),
        "{text}"
    );
    assert!(text.contains("(profile `gone` was not defined"), "{text}");
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_explained_without_the_request() {
    let text = Program::ready("nonsense").failure().await;
    assert_eq!(
        text,
        format!("KMS gave no data key for {KEY}: endpoint must contain scheme")
    );
}

#[tokio::test]
async fn without_a_region_the_user_is_asked_for_one() {
    let program = Program::new()
        .env("AWS_ACCESS_KEY_ID", "A")
        .env("AWS_SECRET_ACCESS_KEY", "s");
    assert_eq!(
        program.failure().await,
        "no AWS region is known for the session's KMS key; set AWS_REGION, or region in the profile"
    );
}

const SSO: &str = "[profile work]\nregion = eu-west-1\nsso_session = corp\nsso_account_id = 123456789012\n\
    sso_role_name = dev\n[sso-session corp]\nsso_region = eu-west-1\n\
    sso_start_url = https://corp.awsapps.com/start\n";
const SIGN_IN: &str = "the AWS sign-in of profile work is missing or has expired; \
    run `aws sso login --profile work` and start the session again";

#[tokio::test]
async fn an_sso_profile_without_a_sign_in_is_told_to_sign_in() {
    let program = Program::new().file("config", SSO).arg("profile=work");
    assert_eq!(program.failure().await, SIGN_IN);
}

#[tokio::test]
async fn an_sso_profile_whose_sign_in_has_expired_is_told_to_sign_in() {
    let token = json!({
        "accessToken": "over",
        "expiresAt": "2020-01-01T00:00:00Z",
        "region": "eu-west-1",
        "startUrl": "https://corp.awsapps.com/start",
    });
    // The AWS CLI names the file by the SHA-1 of the session's name.
    let cache = "sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
    let program = Program::new()
        .file("config", SSO)
        .file(cache, &token.to_string());
    assert_eq!(program.arg("profile=work").failure().await, SIGN_IN);
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_unreachable() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let text = Program::ready(&endpoint).failure().await;
    assert!(
        text.starts_with("KMS could not be reached for the session's key: "),
        "{text}"
    );
    assert!(text.contains("127.0.0.1 port "), "{text}");
    assert!(
        text.ends_with("check the network, the region and AWS_ENDPOINT_URL_KMS"),
        "{text}"
    );
}
