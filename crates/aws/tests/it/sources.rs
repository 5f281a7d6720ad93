//! Where credentials come from, and what the user reads when they are missing, over or refused.

use serde_json::json;

use crate::program::Program;
use crate::server::Asked;
use crate::server::SECRET;
use crate::server::Server;
use crate::server::sts_error;

pub(crate) const STATUS: &str = "status i-0123456789abcdef0";
const PROFILE: &str = "[profile work]\nregion = eu-central-1\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = 5EKRET\n";

/// Whose signature the one call of the JSON protocol bears.
pub(crate) async fn signer(server: &Server, program: Program, arguments: &str) -> String {
    assert_eq!(program.args(arguments).success().await, "Connected");
    let calls = server.calls();
    assert_eq!(calls.len(), 1);
    calls[0].access_key().to_owned()
}

#[tokio::test]
async fn a_named_profile_goes_before_the_environment_and_brings_its_region() {
    let server = Server::willing().await;
    let program = Program::ready(&server.endpoint)
        .without("AWS_REGION")
        .file("config", PROFILE);
    let key = signer(&server, program, &format!("profile=work {STATUS}")).await;
    assert_eq!(key, "AKIDPROFILE");
    assert!(
        server.calls()[0]
            .header("authorization")
            .contains("/eu-central-1/ssm/")
    );
}

#[tokio::test]
async fn the_environment_goes_before_a_profile_nobody_named() {
    let server = Server::willing().await;
    let program = Program::ready(&server.endpoint)
        .file("config", PROFILE)
        .env("AWS_PROFILE", "work");
    assert_eq!(signer(&server, program, STATUS).await, "AKIDENVIRONMENT");
}

#[tokio::test]
async fn the_profile_may_be_named_by_the_environment_and_stand_in_the_credentials_file() {
    for variable in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
        let server = Server::willing().await;
        let keys = "[work]\naws_access_key_id = AKIDFILE\naws_secret_access_key = 5EKRET\naws_session_token = 5EKRET-token\n";
        let program = Program::near(&server.endpoint)
            .file("credentials", keys)
            .env(variable, "work");
        assert_eq!(signer(&server, program, STATUS).await, "AKIDFILE");
        assert_eq!(
            server.calls()[0].header("x-amz-security-token"),
            "5EKRET-token"
        );
    }
}

#[tokio::test]
async fn a_profile_without_credentials_leaves_them_to_the_machine() {
    let server = Server::willing().await;
    let program = Program::ready(&server.endpoint)
        .file("config", "[profile plain]\nregion = eu-west-3\n")
        .without("AWS_REGION")
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &format!("{}/container", server.endpoint),
        );
    let key = signer(&server, program, &format!("profile=plain {STATUS}")).await;
    assert_eq!(key, "AKIDCONTAINER");
}

#[tokio::test]
async fn without_credentials_the_user_learns_where_they_were_looked_for() {
    assert_eq!(
        Program::new()
            .env("AWS_REGION", "eu-west-1")
            .args(STATUS)
            .failure()
            .await,
        "no AWS credentials were found in the environment, profile default, a web identity, container or \
         instance metadata; run `aws configure` or `aws sso login`, or name a profile"
    );
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_named_with_the_files() {
    let program = Program::new().args(&format!("profile=nowhere region=eu-west-1 {STATUS}"));
    assert_eq!(
        program.failure().await,
        "profile nowhere is neither in ~/.aws/config nor in ~/.aws/credentials; check its name"
    );
}

#[tokio::test]
async fn a_profile_with_a_mistake_is_explained() {
    let config = "[profile work]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = gone\n";
    let program = Program::new().file("config", config);
    let text = program
        .args(&format!("profile=work {STATUS}"))
        .failure()
        .await;
    assert!(
        text.starts_with("profile work cannot be used: its source_profile gone does not exist; "),
        "{text}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_configuration_is_named_with_the_line() {
    let program = Program::new().file("config", "[profile work]\n5EKRET\n");
    let text = program
        .args(&format!("region=eu-west-1 {STATUS}"))
        .failure()
        .await;
    assert!(text.contains("config on line 2"), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_gives_credentials() {
    let server = Server::willing().await;
    let answer = json!({ "Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": SECRET, "SessionToken": SECRET });
    let program = Program::near(&server.endpoint).file("answer", &answer.to_string());
    let command = format!("cat {}", program.path("answer").display());
    let config = format!("[profile work]\ncredential_process = {command}\n");
    let program = program.file("config", &config).env("PATH", "/usr/bin:/bin");
    let key = signer(&server, program, &format!("profile=work {STATUS}")).await;
    assert_eq!(key, "AKIDPROCESS");
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_fails_is_quoted_and_one_that_talks_nonsense_is_not() {
    let failing = |command: &str| {
        let config = format!("[profile work]\ncredential_process = {command}\n");
        let program = Program::new()
            .file("config", &config)
            .env("PATH", "/usr/bin:/bin");
        program
            .args(&format!("profile=work region=eu-west-1 {STATUS}"))
            .failure()
    };
    let text = failing("sh -c 'echo sign in first >&2; exit 3'").await;
    assert!(
        text.starts_with("credential_process of profile work failed: "),
        "{text}"
    );
    assert!(
        text.contains("exit status: 3. Stderr: sign in first"),
        "{text}"
    );
    let text = failing("sh -c 'echo { 5EKRET'").await;
    assert!(
        text.starts_with("credential_process of profile work failed: "),
        "{text}"
    );
}

const ROLE: &str = "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = 5EKRET\n\
    [profile ops]\nrole_arn = arn:aws:iam::123456789012:role/ops\nsource_profile = base\n";

#[tokio::test]
async fn a_role_is_assumed_with_the_source_profile() {
    let server = Server::willing().await;
    let program = Program::near(&server.endpoint).file("config", ROLE);
    let key = signer(&server, program, &format!("profile=ops {STATUS}")).await;
    assert_eq!(key, "AKIDROLE");
    assert_eq!(server.sts("AssumeRole")[0].access_key(), "AKIDBASE");
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_named() {
    let arn = "arn:aws:iam::123456789012:role/ops";
    let words = format!("User: me is not authorized to perform: sts:AssumeRole on resource: {arn}");
    let refusal = sts_error("AccessDenied", &words);
    let server =
        Server::new(move |asked: &Asked| asked.is_for_sts("AssumeRole").then(|| refusal.clone()))
            .await;
    let program = Program::near(&server.endpoint).file("config", ROLE);
    assert_eq!(
        program
            .args(&format!("profile=ops {STATUS}"))
            .failure()
            .await,
        format!(
            "role {arn} cannot be assumed: {words}; ask for sts:AssumeRole on it and for its trust"
        )
    );
}

#[tokio::test]
async fn without_a_region_the_user_is_asked_for_one() {
    assert_eq!(
        Program::new().keys().args(STATUS).failure().await,
        "no AWS region is known; name one, set AWS_REGION, or set region in profile default of ~/.aws/config"
    );
}
