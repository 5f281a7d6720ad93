//! Nothing that admits anybody anywhere is logged, at any level.

use crate::program::Program;
use crate::server::Asked;
use crate::server::SECRET;
use crate::server::Server;

const EVERYTHING: &str = "start i-1 , resume s-1 , describe me-0123456789abcdef0 , terminate s-1 , \
    data-key arn:aws:kms:eu-west-1:123456789012:key/1 , sign ssmmessages.eu-west-1.amazonaws.com /v1/5EKRET?a=5EKRET";
const CONFIG: &str = "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = 5EKRET\n\
    [profile mfa]\nrole_arn = arn:aws:iam::1:role/ops\nsource_profile = base\nmfa_serial = m\n\
    [profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = dev\n\
    [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n\
    [profile process]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"5EKRET\",\"SessionToken\":\"5EKRET\"}'\n";
const TOKEN: &str = r#"{"accessToken":"5EKRET","expiresAt":"2020-01-01T00:00:00Z","refreshToken":"5EKRET","clientId":"c",
    "clientSecret":"5EKRET","registrationExpiresAt":"2096-01-01T00:00:00Z"}"#;

fn programs(endpoint: &str) -> Vec<(&'static str, Program)> {
    let files = || {
        Program::near(endpoint)
            .file("config", CONFIG)
            .file("token", "5EKRET")
            .file(
                "sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json",
                TOKEN,
            )
            .env("PATH", "/usr/bin:/bin")
    };
    let web = files();
    let token = web.path("token").display().to_string();
    vec![
        ("", files().keys().env("AWS_SESSION_TOKEN", "5EKRET")),
        ("profile=base", files()),
        ("profile=mfa code=5EKRET", files()),
        ("profile=sso", files()),
        ("profile=process", files()),
        (
            "",
            web.env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
                .env("AWS_ROLE_ARN", "arn:aws:iam::1:role/ops"),
        ),
        (
            "",
            files()
                .env(
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    &format!("{endpoint}/container"),
                )
                .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "5EKRET"),
        ),
        (
            "",
            files()
                .env("AWS_EC2_METADATA_DISABLED", "false")
                .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint),
        ),
    ]
}

/// Base64 of the data key that the server hands out, and its beginning as a list of bytes.
const DATA_KEYS: [&str; 2] = ["NTU1NTU1NTU1", "53, 53, 53, 53"];

fn leaks(text: &str) -> bool {
    text.contains(SECRET) || DATA_KEYS.iter().any(|key| text.contains(key))
}

#[tokio::test]
async fn what_is_logged_at_the_finest_level_holds_no_secret() {
    let server = Server::willing().await;
    for (settings, program) in programs(&server.endpoint) {
        let outcome = program
            .args(&format!("log {settings} {EVERYTHING}"))
            .run()
            .await;
        assert_eq!(outcome.code, Some(0), "{settings}: {outcome:?}");
        assert!(outcome.stderr.contains("starting a session"), "{outcome:?}");
        assert!(!leaks(&outcome.stderr), "{settings}: {}", outcome.stderr);
    }
}

#[tokio::test]
async fn a_refusal_holds_no_secret() {
    let server = Server::refusing("AccessDeniedException", "no").await;
    for (settings, program) in programs(&server.endpoint) {
        let outcome = program
            .args(&format!("{settings} {EVERYTHING}"))
            .run()
            .await;
        assert!(!leaks(&outcome.stderr), "{settings}: {outcome:?}");
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_not_logged_either() {
    for status in [200, 400, 500] {
        let server = Server::new(move |asked: &Asked| {
            let answer = "{\"TokenValue\": \"5EKRET\", <Credentials>5EKRET";
            // Half of it comes as it should.
            let broken = !asked.path.ends_with("/token") || asked.method == "POST";
            broken.then(|| (status, answer.to_owned()))
        })
        .await;
        for (settings, program) in programs(&server.endpoint) {
            let program = program.env("AWS_MAX_ATTEMPTS", "1");
            let outcome = program
                .args(&format!("log {settings} start i-1 , sign h /5EKRET"))
                .run()
                .await;
            assert!(!leaks(&outcome.stderr), "{settings}: {}", outcome.stderr);
        }
    }
}
