//! The signature of a data channel's opening: with what, and when there is none.

use crate::program::Program;
use crate::server::Server;

const SIGN: &str =
    "sign ssmmessages.eu-west-1.amazonaws.com /v1/data-channel/s?role=publish_subscribe";

#[tokio::test]
async fn keys_in_the_environment_sign_without_a_look_at_the_files() {
    let program = Program::new()
        .keys()
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("AWS_SESSION_TOKEN", "5EKRET-token")
        .file("config", "this is not a configuration file");
    let text = program.args(SIGN).success().await;
    assert!(text.contains("Credential=AKIDENVIRONMENT/"), "{text}");
    assert!(
        text.contains("/eu-central-1/ssmmessages/aws4_request"),
        "{text}"
    );
    assert!(
        text.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"),
        "{text}"
    );
    assert!(text.contains("x-amz-security-token: …"), "{text}");
}

#[tokio::test]
async fn without_a_token_host_and_date_are_signed() {
    let program = Program::new().keys();
    let text = program
        .args(&format!("region=eu-west-1 {SIGN}"))
        .success()
        .await;
    assert!(text.contains("SignedHeaders=host;x-amz-date,"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[tokio::test]
async fn a_profile_signs_with_its_keys_and_region() {
    let config = "[profile work]\nregion = eu-north-1\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = 5EKRET\n";
    let program = Program::new().keys().file("config", config);
    let text = program
        .args(&format!("profile=work {SIGN}"))
        .success()
        .await;
    assert!(text.contains("Credential=AKIDPROFILE/"), "{text}");
    assert!(text.contains("/eu-north-1/ssmmessages/"), "{text}");
}

#[tokio::test]
async fn without_credentials_anywhere_nothing_is_signed() {
    let text = Program::new()
        .args(&format!("region=eu-west-1 {SIGN}"))
        .success()
        .await;
    assert_eq!(text, "unsigned");
}

#[tokio::test]
async fn credentials_that_are_there_and_unusable_are_an_error() {
    let config = "[profile work]\nsso_account_id = 1\nsso_role_name = dev\nsso_region = eu-west-1\nsso_start_url = https://x/\n";
    let program = Program::new().file("config", config);
    let text = program
        .args(&format!("region=eu-west-1 profile=work {SIGN}"))
        .failure()
        .await;
    assert!(
        text.contains("run `aws sso login --profile work`"),
        "{text}"
    );
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_by_what_the_last_answer_said() {
    let server = Server::at("Fri, 01 Jan 2100 00:00:00 GMT").await;
    let program = Program::ready(&server.endpoint);
    let text = program
        .args(&format!("status i-1 , {SIGN}"))
        .success()
        .await;
    assert!(text.contains("x-amz-date: 21000101T0"), "{text}");
}
