//! Credentials, and a node that asks for them.

use ssm_session_emulator::Credentials;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::Refusal;
use ssm_session_proto::Secret;
use tokio::process::Command;

use crate::node::Node;
use crate::node::TARGET;
use crate::plugin::command;

pub(crate) const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET_ACCESS_KEY: &str = "a-secret-access-key-of-the-test";
pub(crate) const SESSION_TOKEN: &str = "a-session-token-of-the-test";

/// A node whose service checks every signature.
pub(crate) async fn guarded_node(refusals: &[&str]) -> Node {
    Node::with(plan(refusals)).await
}

/// The same, where a data channel must be signed too.
pub(crate) async fn signed_node() -> Node {
    let signed_channels = true;
    Node::with(Plan {
        signed_channels,
        ..plan(&[])
    })
    .await
}

fn plan(refusals: &[&str]) -> Plan {
    Plan {
        credentials: vec![Credentials {
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: Secret::new(SECRET_ACCESS_KEY),
            session_token: Some(Secret::new(SESSION_TOKEN)),
            expiration: None,
        }],
        refusals: refusals
            .iter()
            .map(|refusal| refusal.parse::<Refusal>().unwrap())
            .collect(),
        pacing: Pacing::None,
        ..Plan::default()
    }
}

/// Credentials where the AWS SDKs look first.
pub(crate) const VARIABLES: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
    ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
    ("AWS_SESSION_TOKEN", SESSION_TOKEN),
];

/// The program with credentials in its environment, and these words.
pub(crate) fn with_credentials<W: AsRef<str>>(words: &[W]) -> Command {
    let mut command = command(words);
    command.envs(VARIABLES);
    command
}

/// The words of `ssh` with the node of an emulator at this endpoint.
pub(crate) fn ssh_words<'a>(endpoint: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = [
        "ssh",
        "--target",
        TARGET,
        "--region",
        "us-east-1",
        "--endpoint-url",
        endpoint,
    ];
    [&words, more].concat()
}
