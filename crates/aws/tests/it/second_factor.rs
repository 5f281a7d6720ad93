//! Roles that ask for the code of an MFA device.

use serde_json::json;

use crate::program::Program;
use crate::server::Asked;
use crate::server::SECRET;
use crate::server::Server;
use crate::server::sts_error;

const STATUS: &str = "status i-0123456789abcdef0";
const SERIAL: &str = "arn:aws:iam::123456789012:mfa/me";
const CONFIG: &str = "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = 5EKRET\n\
    [profile ops]\nrole_arn = arn:aws:iam::123456789012:role/ops\nsource_profile = base\n\
    mfa_serial = arn:aws:iam::123456789012:mfa/me\nrole_session_name = me\nexternal_id = ext\nduration_seconds = 7200\n";
/// How botocore 1.44.5 names its cache of that role.
const CACHE: &str = "cli/cache/eb4b3e73654de4b46fb18017b5c614bb26131c79.json";

fn program(server: &Server) -> Program {
    Program::near(&server.endpoint).file("config", CONFIG)
}

#[tokio::test]
async fn a_role_is_assumed_with_the_code_that_is_asked_for_once() {
    let server = Server::willing().await;
    let arguments =
        format!("profile=ops code=5EKRET-123456 {STATUS} , {STATUS} , sign host.example /");
    let text = program(&server).args(&arguments).success().await;
    assert!(
        text.starts_with(&format!(
            "asked for a code of {SERIAL}\nConnected\nConnected\n"
        )),
        "{text}"
    );
    assert!(text.contains("Credential=AKIDROLE/"), "{text}");
    let asked = server.sts("AssumeRole");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].access_key(), "AKIDBASE");
    for field in [
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fops",
        "RoleSessionName=me",
        "ExternalId=ext",
        "DurationSeconds=7200",
        "SerialNumber=arn%3Aaws%3Aiam%3A%3A123456789012%3Amfa%2Fme",
        "TokenCode=5EKRET-123456",
    ] {
        assert!(asked[0].body.contains(field), "{field}: {}", asked[0].body);
    }
    assert_eq!(server.calls()[0].access_key(), "AKIDROLE");
}

#[tokio::test]
async fn with_nobody_to_ask_the_user_learns_how_to_get_by() {
    let server = Server::willing().await;
    assert_eq!(
        program(&server)
            .args(&format!("profile=ops {STATUS}"))
            .failure()
            .await,
        format!(
            "profile ops needs a code of the MFA device {SERIAL}, and there is nobody to ask for it here; \
             run `aws sts get-caller-identity --profile ops`, which keeps the role for an hour, and try again"
        )
    );
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_signature_beside_connecting_never_asks() {
    let server = Server::willing().await;
    let text = program(&server)
        .args("profile=ops code=123456 sign host.example /")
        .failure()
        .await;
    assert!(text.starts_with("profile ops needs a code"), "{text}");
}

#[tokio::test]
async fn a_wrong_code_is_to_be_followed_by_the_next() {
    let words = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
    let refusal = sts_error("AccessDenied", words);
    let server =
        Server::new(move |asked: &Asked| asked.is_for_sts("AssumeRole").then(|| refusal.clone()))
            .await;
    let outcome = program(&server)
        .args(&format!("profile=ops code=1 {STATUS}"))
        .run()
        .await;
    assert_eq!(
        outcome.stderr,
        format!(
            "the code of the MFA device {SERIAL} is not accepted: MultiFactorAuthentication failed with \
             invalid MFA one time pass code; wait for the next code and try again\n"
        )
    );
}

#[tokio::test]
async fn a_role_further_down_the_chain_is_asked_for_too() {
    let server = Server::willing().await;
    let config = format!(
        "{CONFIG}[profile top]\nrole_arn = arn:aws:iam::2:role/top\nsource_profile = ops\n"
    );
    let program = program(&server).file("config", &config);
    let text = program
        .args(&format!("profile=top code=1 {STATUS}"))
        .success()
        .await;
    assert_eq!(text, format!("asked for a code of {SERIAL}\nConnected"));
    let asked = server.sts("AssumeRole");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].access_key(), "AKIDROLE");
    assert!(asked[1].body.contains("role%2Ftop"), "{}", asked[1].body);
    assert!(!asked[1].body.contains("TokenCode"), "{}", asked[1].body);
}

#[tokio::test]
async fn the_source_may_be_the_environment() {
    let server = Server::willing().await;
    let config = CONFIG.replace("source_profile = base", "credential_source = Environment");
    let program = Program::ready(&server.endpoint).file("config", &config);
    program
        .args(&format!("profile=ops code=1 {STATUS}"))
        .success()
        .await;
    assert_eq!(server.sts("AssumeRole")[0].access_key(), "AKIDENVIRONMENT");
}

fn cached(expiration: &str) -> String {
    let cached = json!({ "Credentials": {
        "AccessKeyId": "AKIDCACHE",
        "SecretAccessKey": SECRET,
        "SessionToken": SECRET,
        "Expiration": expiration,
    } });
    cached.to_string()
}

#[tokio::test]
async fn what_the_aws_cli_keeps_of_the_role_needs_no_code() {
    let server = Server::willing().await;
    let program = program(&server).file(CACHE, &cached("2096-01-01T00:00:00UTC"));
    let text = program
        .args(&format!("profile=ops {STATUS}"))
        .success()
        .await;
    assert_eq!(text, "Connected");
    assert!(server.sts("AssumeRole").is_empty());
    assert_eq!(server.calls()[0].access_key(), "AKIDCACHE");
}

#[tokio::test]
async fn what_the_aws_cli_kept_too_long_is_asked_for_again() {
    let server = Server::willing().await;
    let program = program(&server).file(CACHE, &cached("2020-01-01T00:00:00UTC"));
    let text = program
        .args(&format!("profile=ops code=1 {STATUS}"))
        .success()
        .await;
    assert_eq!(text, format!("asked for a code of {SERIAL}\nConnected"));
}

#[tokio::test]
async fn a_chain_without_end_is_an_error() {
    let config = "[profile ops]\nrole_arn = a\nmfa_serial = m\nsource_profile = other\n\
        [profile other]\nrole_arn = b\nsource_profile = ops\n";
    let program = Program::new()
        .env("AWS_REGION", "eu-west-1")
        .file("config", config);
    assert_eq!(
        program
            .args(&format!("profile=ops code=1 {STATUS}"))
            .failure()
            .await,
        "profile ops cannot be used: its chain of source_profile does not end; check it in ~/.aws/config"
    );
}
