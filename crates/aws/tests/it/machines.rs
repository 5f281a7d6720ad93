//! Credentials that a machine has: a web identity, a container's, an instance's.

use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use crate::program::Program;
use crate::server::Asked;
use crate::server::Server;
use crate::server::sts_error;
use crate::sources::STATUS;
use crate::sources::signer;

/// With a web identity in the environment.
fn web(endpoint: &str) -> Program {
    let program = Program::near(endpoint).file("token", "5EKRET.web.identity");
    let file = program.path("token").display().to_string();
    program
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &file)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ops")
        .env("AWS_ROLE_SESSION_NAME", "me")
}

#[tokio::test]
async fn a_web_identity_assumes_its_role() {
    let server = Server::willing().await;
    assert_eq!(
        signer(&server, web(&server.endpoint), STATUS).await,
        "AKIDWEB"
    );
    let asked = server.sts("AssumeRoleWithWebIdentity");
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].body.contains("RoleSessionName=me&"),
        "{}",
        asked[0].body
    );
    assert!(
        asked[0].body.contains("5EKRET.web.identity"),
        "{}",
        asked[0].body
    );
}

#[tokio::test]
async fn a_web_identity_that_is_over_is_to_be_renewed() {
    let server = Server::new(|asked: &Asked| {
        let refusal = sts_error(
            "ExpiredTokenException",
            "Token expired: current date/time must be before the expiration",
        );
        asked
            .is_for_sts("AssumeRoleWithWebIdentity")
            .then_some(refusal)
    })
    .await;
    let text = web(&server.endpoint).args(STATUS).failure().await;
    assert!(
        text.starts_with(
            "the web identity token of AWS_WEB_IDENTITY_TOKEN_FILE is not accepted: Token expired: "
        ),
        "{text}"
    );
}

#[tokio::test]
async fn a_web_identity_without_its_file_is_explained() {
    let program = Program::new()
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ops");
    let text = program.args(STATUS).failure().await;
    assert!(
        text.contains("AWS_WEB_IDENTITY_TOKEN_FILE cannot be used: "),
        "{text}"
    );
    assert!(text.contains("No such file"), "{text}");
}

/// With a container's credentials.
fn container(server: &Server) -> Program {
    Program::near(&server.endpoint)
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &format!("{}/container", server.endpoint),
        )
        .env(
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "5EKRET-of-the-container",
        )
}

#[tokio::test]
async fn a_container_gives_its_role() {
    let server = Server::willing().await;
    let key = signer(&server, container(&server), STATUS).await;
    assert_eq!(key, "AKIDCONTAINER");
    assert_eq!(
        server.asked()[0].header("authorization"),
        "5EKRET-of-the-container"
    );
}

#[tokio::test]
async fn a_container_that_refuses_is_explained() {
    let server =
        Server::new(|asked: &Asked| (asked.path == "/container").then(|| (403, "no".to_owned())))
            .await;
    let text = container(&server).args(STATUS).failure().await;
    assert!(
        text.starts_with("the credentials of the container cannot be used: "),
        "{text}"
    );
}

/// On an instance.
fn instance(endpoint: &str) -> Program {
    Program::near(endpoint)
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
}

#[tokio::test]
async fn an_instance_gives_its_role_and_region() {
    let server = Server::willing().await;
    let program = instance(&server.endpoint).without("AWS_REGION");
    assert_eq!(signer(&server, program, STATUS).await, "AKIDINSTANCE");
    assert!(
        server.calls()[0]
            .header("authorization")
            .contains("/ap-south-1/ssm/")
    );
    // One session token serves for both.
    let asked = server.asked();
    let tokens = asked
        .iter()
        .filter(|asked| asked.path == "/latest/api/token");
    assert_eq!(tokens.count(), 1);
}

#[tokio::test]
async fn instance_metadata_are_asked_once_and_not_again_and_again() {
    let server = Server::new(|asked: &Asked| {
        asked
            .path
            .starts_with("/latest/")
            .then(|| (500, String::new()))
    })
    .await;
    let text = instance(&server.endpoint).args(STATUS).failure().await;
    assert_eq!(
        text,
        "the credentials of the instance metadata cannot be used: error response from IMDS (code: 500); \
         check the role of this instance, or name a profile"
    );
    let asked = server.asked();
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    let expected = [
        "/latest/api/token",
        "/latest/meta-data/iam/security-credentials/",
    ];
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn instance_metadata_that_never_answer_are_not_there() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let text = instance(&endpoint).args(STATUS).failure().await;
    assert!(
        text.starts_with("no AWS credentials were found in "),
        "{text}"
    );
}

#[tokio::test]
async fn an_instance_without_a_role_has_no_credentials() {
    let server = Server::new(|asked: &Asked| {
        asked
            .path
            .contains("/security-credentials/")
            .then(|| (404, String::new()))
    })
    .await;
    let text = instance(&server.endpoint).args(STATUS).failure().await;
    assert!(
        text.starts_with("no AWS credentials were found in "),
        "{text}"
    );
}

#[tokio::test]
async fn a_role_may_be_assumed_with_what_the_machine_has() {
    for (source, expected) in [
        ("EcsContainer", "AKIDCONTAINER"),
        ("Ec2InstanceMetadata", "AKIDINSTANCE"),
    ] {
        let server = Server::willing().await;
        let config = format!(
            "[profile ops]\nrole_arn = arn:aws:iam::1:role/ops\ncredential_source = {source}\n"
        );
        let uri = format!("{}/container", server.endpoint);
        let program = instance(&server.endpoint)
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)
            .file("config", &config);
        let key = signer(&server, program, &format!("profile=ops {STATUS}")).await;
        assert_eq!(key, "AKIDROLE");
        assert_eq!(server.sts("AssumeRole")[0].access_key(), expected);
    }
}

#[tokio::test]
async fn a_source_that_there_is_not_is_named_with_those_there_are() {
    let config = "[profile ops]\nrole_arn = arn:aws:iam::1:role/ops\ncredential_source = Moon\n";
    let program = Program::new()
        .env("AWS_REGION", "eu-west-1")
        .file("config", config);
    assert_eq!(
        program
            .args(&format!("profile=ops {STATUS}"))
            .failure()
            .await,
        "profile ops cannot be used: credential_source Moon is none of Environment, EcsContainer, \
         Ec2InstanceMetadata; check it in ~/.aws/config"
    );
}
