//! Credentials in the course of a long session.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::json;

use crate::program::Program;
use crate::program::write;
use crate::server::Asked;
use crate::server::Server;

const RESUME: &str = "resume me-0123456789abcdef0";

fn keys(name: &str) -> String {
    format!("[default]\naws_access_key_id = {name}\naws_secret_access_key = 5EKRET\n")
}

/// Accepts the signatures of all but `old`.
async fn refusing_key(old: &'static str) -> Server {
    Server::new(move |asked: &Asked| {
        let refusal = json!({ "__type": "ExpiredTokenException", "message": "The security token is expired" });
        (asked.access_key() == old).then(|| (400, refusal.to_string()))
    })
    .await
}

#[tokio::test]
async fn keys_that_were_renewed_in_the_file_are_found_when_the_old_ones_are_refused() {
    let refused = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&refused);
    // The old key is good for one call.
    let server = Server::new(move |asked: &Asked| {
        let refusal = json!({ "__type": "ExpiredTokenException", "message": "The security token is expired" });
        let is_old = asked.access_key() == "AKIDOLD";
        (is_old && counter.fetch_add(1, Ordering::SeqCst) > 0).then(|| (400, refusal.to_string()))
    })
    .await;
    let program = Program::near(&server.endpoint).file("credentials", &keys("AKIDOLD"));
    let outcome = program
        .args(&format!("status i-1 , wait , {RESUME}"))
        .run_around(|files| write(files.join("credentials"), &keys("AKIDNEW")))
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let signers: Vec<_> = server
        .calls()
        .iter()
        .map(|call| call.access_key().to_owned())
        .collect();
    assert_eq!(signers, ["AKIDOLD", "AKIDOLD", "AKIDNEW"]);
}

#[tokio::test]
async fn a_sign_in_that_was_made_after_a_failure_is_found() {
    let server = Server::willing().await;
    let config = "[default]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = dev\n\
        [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n";
    let token = json!({ "accessToken": "5EKRET", "expiresAt": "2096-01-01T00:00:00Z" }).to_string();
    let program = Program::near(&server.endpoint).file("config", config);
    let outcome = program
        .args(&format!("{RESUME} , wait , {RESUME}"))
        .run_around(|files| {
            write(
                files.join("sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json"),
                &token,
            );
        })
        .await;
    assert_eq!(
        outcome.stderr,
        "the AWS sign-in of profile default is missing or has expired; run `aws sso login` and try again\n"
    );
    assert!(
        outcome.stdout.contains("session me-0123456789abcdef0"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_profile_that_was_written_after_a_failure_is_found() {
    let server = Server::willing().await;
    let outcome = Program::near(&server.endpoint)
        .args(&format!("{RESUME} , wait , {RESUME}"))
        .run_around(|files| write(files.join("credentials"), &keys("AKIDNEW")))
        .await;
    assert!(
        outcome.stderr.starts_with("no AWS credentials were found"),
        "{outcome:?}"
    );
    assert!(
        outcome.stdout.contains("session me-0123456789abcdef0"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn fresh_credentials_that_are_refused_are_not_tried_twice() {
    let server = refusing_key("AKIDENVIRONMENT").await;
    Program::ready(&server.endpoint)
        .args(RESUME)
        .failure()
        .await;
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn credentials_are_looked_up_once_for_several_calls() {
    let server = Server::willing().await;
    let uri = format!("{}/container", server.endpoint);
    Program::near(&server.endpoint)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)
        .args(&format!("{RESUME} , {RESUME} , sign host.example /"))
        .success()
        .await;
    let asked = server.asked();
    assert_eq!(
        asked
            .iter()
            .filter(|asked| asked.path == "/container")
            .count(),
        1
    );
}
