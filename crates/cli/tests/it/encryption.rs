//! Sessions encrypted with a key of the emulated KMS.

use tokio::process::Command;

use crate::node::Node;
use crate::node::Started;
use crate::plugin::Piped;
use crate::plugin::command;

const DOCUMENT: &str = "Emulator-EncryptedShell";

/// The program with credentials and the emulated KMS in its environment, where the AWS SDKs look for them.
fn with_kms(node: &Node, words: &[String]) -> Command {
    let mut command = command(words);
    command.envs([
        ("AWS_ACCESS_KEY_ID", "emulator"),
        ("AWS_SECRET_ACCESS_KEY", "emulator"),
        ("AWS_ENDPOINT_URL_KMS", &node.emulator.endpoint()),
        ("AWS_ENDPOINT_URL_SSM", &node.emulator.endpoint()),
    ]);
    command
}

fn encrypted_shell(node: &Node) -> Started {
    node.document(DOCUMENT)
}

#[tokio::test]
async fn an_encrypted_shell_says_so_and_works() {
    let node = Node::start().await;
    let mut plugin = Piped::start(with_kms(&node, &encrypted_shell(&node).seven_words()));
    plugin
        .stdout
        .until("This session is encrypted using AWS KMS.\n")
        .await;
    plugin.write(b"echo $((6 * 7)) in secret; exit\n").await;
    plugin.stdout.until("42 in secret\r\n").await;
    plugin
        .stdout
        .until("Exiting session with sessionId: ")
        .await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn under_connect_the_message_goes_to_standard_error() {
    let node = Node::start().await;
    let started = encrypted_shell(&node);
    let words = [
        "connect",
        &started.json(),
        "--target",
        crate::node::TARGET,
        "--region",
        "us-east-1",
    ];
    let mut plugin = Piped::start(with_kms(&node, &words.map(str::to_owned)));
    plugin.write(b"exit 0\n").await;
    assert!(!plugin.stdout.until_end().await.contains("encrypted"));
    assert_eq!(
        plugin.stderr.until_end().await,
        "This session is encrypted using AWS KMS.\n"
    );
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn without_credentials_the_reason_is_one_sentence() {
    let node = Node::start().await;
    let started = encrypted_shell(&node);
    let mut command = with_kms(&node, &started.seven_words());
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let mut plugin = Piped::start(command);
    let all = plugin.stdout.until_end().await;
    assert!(
        all.contains(&format!("SessionId: {} : ", started.id())),
        "{all}"
    );
    assert!(all.contains("credentials"), "{all}");
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn callers_that_name_no_target_have_encrypted_sessions_too() {
    let node = Node::start().await;
    let mut plugin = Piped::start(with_kms(&node, &encrypted_shell(&node).four_words()));
    plugin
        .stdout
        .until("This session is encrypted using AWS KMS.\n")
        .await;
    plugin.write(b"echo $((6 * 7)) in secret; exit\n").await;
    plugin.stdout.until("42 in secret\r\n").await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(0));
}
