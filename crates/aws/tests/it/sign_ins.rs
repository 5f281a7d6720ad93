//! Credentials from a sign-in: IAM Identity Center in both forms, and the console.

use serde_json::json;

use crate::program::Program;
use crate::server::Asked;
use crate::server::SECRET;
use crate::server::Server;
use crate::sources::STATUS;
use crate::sources::signer;

const SSO: &str = "[profile work]\nsso_session = corp\nsso_account_id = 123456789012\n\
    sso_role_name = dev\n[sso-session corp]\nsso_region = eu-west-1\n\
    sso_start_url = https://corp.awsapps.com/start\n";
/// The AWS CLI names the file by the SHA-1 of the session's name.
const SSO_CACHE: &str = "sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
const SIGN_IN: &str = "the AWS sign-in of profile work is missing or has expired; \
    run `aws sso login --profile work` and try again";

fn sso_token(expires: &str) -> String {
    let token = json!({
        "accessToken": "5EKRET-sso",
        "expiresAt": expires,
        "region": "eu-west-1",
        "startUrl": "https://corp.awsapps.com/start",
    });
    token.to_string()
}

#[tokio::test]
async fn a_sign_in_is_turned_into_credentials() {
    let server = Server::willing().await;
    let program = Program::near(&server.endpoint)
        .file("config", SSO)
        .file(SSO_CACHE, &sso_token("2096-01-01T00:00:00Z"));
    let key = signer(&server, program, &format!("profile=work {STATUS}")).await;
    assert_eq!(key, "AKIDSSO");
    let asked = server.asked();
    assert_eq!(
        asked[0].path,
        "/federation/credentials?role_name=dev&account_id=123456789012"
    );
    assert_eq!(asked[0].header("x-amz-sso_bearer_token"), "5EKRET-sso");
}

#[tokio::test]
async fn an_older_form_of_sign_in_is_turned_into_credentials() {
    let server = Server::willing().await;
    let config = "[profile work]\nsso_account_id = 123456789012\nsso_role_name = dev\n\
        sso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n";
    // The SHA-1 of the start URL.
    let cache = "sso/cache/a51746d4aa793ae07b25e90c3a5db96fc7832bd7.json";
    let program = Program::near(&server.endpoint)
        .file("config", config)
        .file(cache, &sso_token("2096-01-01T00:00:00Z"));
    let key = signer(&server, program, &format!("profile=work {STATUS}")).await;
    assert_eq!(key, "AKIDSSO");
}

#[tokio::test]
async fn a_sign_in_that_is_over_is_renewed_with_its_refresh_token() {
    let server = Server::willing().await;
    let token = json!({
        "accessToken": "5EKRET-old",
        "expiresAt": "2020-01-01T00:00:00Z",
        "refreshToken": "5EKRET-refresh",
        "clientId": "client",
        "clientSecret": "5EKRET-client",
        "registrationExpiresAt": "2096-01-01T00:00:00Z",
        "region": "eu-west-1",
        "startUrl": "https://corp.awsapps.com/start",
    });
    let program = Program::near(&server.endpoint)
        .file("config", SSO)
        .file(SSO_CACHE, &token.to_string());
    let key = signer(&server, program, &format!("profile=work {STATUS}")).await;
    assert_eq!(key, "AKIDSSO");
    let asked = server.asked();
    assert_eq!(asked[0].path, "/token");
    assert_eq!(asked[0].json()["grantType"], "refresh_token");
    assert_eq!(
        asked[1].header("x-amz-sso_bearer_token"),
        format!("{SECRET}-renewed")
    );
}

#[tokio::test]
async fn a_profile_without_a_sign_in_is_told_to_sign_in() {
    let program = Program::new().file("config", SSO);
    let arguments = format!("profile=work region=eu-west-1 {STATUS}");
    assert_eq!(program.args(&arguments).failure().await, SIGN_IN);
}

#[tokio::test]
async fn a_profile_whose_sign_in_has_expired_is_told_to_sign_in() {
    let program = Program::new()
        .file("config", SSO)
        .file(SSO_CACHE, &sso_token("2020-01-01T00:00:00Z"));
    let arguments = format!("profile=work region=eu-west-1 {STATUS}");
    assert_eq!(program.args(&arguments).failure().await, SIGN_IN);
}

#[tokio::test]
async fn a_sign_in_that_aws_no_longer_takes_is_to_be_renewed() {
    let server = Server::new(|asked: &Asked| {
        let refusal = json!({ "__type": "UnauthorizedException", "message": "Session token not found or invalid" });
        asked.path.starts_with("/federation/").then(|| (401, refusal.to_string()))
    })
    .await;
    let program = Program::near(&server.endpoint)
        .file("config", SSO)
        .file(SSO_CACHE, &sso_token("2096-01-01T00:00:00Z"));
    assert_eq!(
        program
            .args(&format!("profile=work {STATUS}"))
            .failure()
            .await,
        SIGN_IN
    );
}

#[tokio::test]
async fn the_sign_in_command_names_the_profile_that_signs_in() {
    let config =
        format!("{SSO}[profile ops]\nrole_arn = arn:aws:iam::1:role/ops\nsource_profile = work\n");
    let program = Program::new().file("config", &config);
    let text = program
        .args(&format!("profile=ops region=eu-west-1 {STATUS}"))
        .failure()
        .await;
    assert!(
        text.contains("run `aws sso login --profile work`"),
        "{text}"
    );
}

const LOGIN: &str = "[default]\nlogin_session = arn:aws:iam::0123456789012:user/Admin\n";
/// The SHA-256 of the session's name.
const LOGIN_CACHE: &str =
    "login/cache/36db1d138ff460920374e4c3d8e01f53f9f73537e89c88d639f68393df0e2726.json";

#[tokio::test]
async fn a_console_sign_in_gives_credentials() {
    let server = Server::willing().await;
    let token = json!({
        "accessToken": {
            "accessKeyId": "AKIDLOGIN",
            "secretAccessKey": SECRET,
            "sessionToken": SECRET,
            "accountId": "012345678901",
            "expiresAt": "2096-01-01T00:00:00Z",
        },
        "tokenType": "aws_sigv4",
        "refreshToken": SECRET,
        "idToken": SECRET,
        "clientId": "arn:aws:signin:::devtools/same-device",
        "dpopKey": SECRET,
    });
    let program = Program::near(&server.endpoint)
        .file("config", LOGIN)
        .file(LOGIN_CACHE, &token.to_string());
    assert_eq!(signer(&server, program, STATUS).await, "AKIDLOGIN");
}

#[tokio::test]
async fn a_console_sign_in_that_is_missing_is_to_be_made() {
    let program = Program::new()
        .env("AWS_REGION", "eu-west-1")
        .file("config", LOGIN);
    assert_eq!(
        program.args(STATUS).failure().await,
        "the AWS sign-in of profile default is missing or has expired; run `aws login` and try again"
    );
}

#[tokio::test]
async fn a_role_that_was_not_granted_is_not_mistaken_for_a_missing_sign_in() {
    let server = Server::new(|asked: &Asked| {
        let refusal = json!({ "__type": "ForbiddenException", "message": "No access" });
        asked
            .path
            .starts_with("/federation/")
            .then(|| (403, refusal.to_string()))
    })
    .await;
    let program = Program::near(&server.endpoint)
        .file("config", SSO)
        .file(SSO_CACHE, &sso_token("2096-01-01T00:00:00Z"));
    assert_eq!(
        program
            .args(&format!("profile=work {STATUS}"))
            .failure()
            .await,
        "the credentials of profile work cannot be used: ForbiddenException: No access; \
         check profile work in ~/.aws/config"
    );
}

/// How botocore 1.44.5 names the AWS CLI's cache of that role.
const CLI_CACHE: &str = "cli/cache/df9e4b71e9a8d8a52fa7c4b994f925408ca39a5b.json";

fn cached(expiration: &str) -> String {
    let cached = json!({ "ProviderType": "sso", "Credentials": {
        "AccessKeyId": "AKIDCACHE",
        "SecretAccessKey": SECRET,
        "SessionToken": SECRET,
        "Expiration": expiration,
        "AccountId": "123456789012",
    } });
    cached.to_string()
}

#[tokio::test]
async fn what_the_aws_cli_has_been_granted_is_not_asked_for_again() {
    let server = Server::willing().await;
    let program = Program::near(&server.endpoint)
        .file("config", SSO)
        .file(CLI_CACHE, &cached("2096-01-01T00:00:00Z"));
    let key = signer(&server, program, &format!("profile=work {STATUS}")).await;
    assert_eq!(key, "AKIDCACHE");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_the_aws_cli_keeps_and_aws_refuses_is_asked_for_again() {
    let server = Server::new(|asked: &Asked| {
        let refusal = json!({ "__type": "ExpiredTokenException", "message": "revoked" });
        (asked.access_key() == "AKIDCACHE").then(|| (400, refusal.to_string()))
    })
    .await;
    let program = Program::near(&server.endpoint)
        .file("config", SSO)
        .file(SSO_CACHE, &sso_token("2096-01-01T00:00:00Z"))
        .file(CLI_CACHE, &cached("2096-01-01T00:00:00Z"));
    let arguments = format!("profile=work {STATUS}");
    assert_eq!(program.args(&arguments).success().await, "Connected");
    let calls = server.calls();
    let signers: Vec<_> = calls.iter().map(Asked::access_key).collect();
    assert_eq!(signers, ["AKIDCACHE", "AKIDSSO"]);
}

#[tokio::test]
async fn what_the_aws_cli_kept_too_long_is_asked_for_again() {
    let server = Server::willing().await;
    let program = Program::near(&server.endpoint)
        .file("config", SSO)
        .file(SSO_CACHE, &sso_token("2096-01-01T00:00:00Z"))
        .file(CLI_CACHE, &cached("2020-01-01T00:00:00Z"));
    let key = signer(&server, program, &format!("profile=work {STATUS}")).await;
    assert_eq!(key, "AKIDSSO");
}
