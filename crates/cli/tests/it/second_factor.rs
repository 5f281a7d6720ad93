//! Roles that ask for a code.

use std::path::PathBuf;

use crate::account::ACCESS_KEY_ID;
use crate::account::SECRET_ACCESS_KEY;
use crate::account::SESSION_TOKEN;
use crate::account::guarded_node;
use crate::account::ssh_words;
use crate::plugin::OnTerminal;
use crate::plugin::PROGRAM;
use crate::plugin::command;
use crate::plugin::run;
use crate::service::Service;

const SERIAL: &str = "arn:aws:iam::123456789012:mfa/somebody";

/// A configuration whose profile `work` is a role that needs a code.
struct Configuration {
    directory: tempfile::TempDir,
}

impl Configuration {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "[profile work]\nrole_arn = arn:aws:iam::123456789012:role/work\nsource_profile = me\nmfa_serial = {SERIAL}\n\
             [profile me]\naws_access_key_id = AKIAMYOWNKEYEXAMPLE\naws_secret_access_key = mine\n"
        );
        std::fs::write(directory.path().join("config"), text).unwrap();
        Self { directory }
    }

    fn path(&self) -> String {
        let path: PathBuf = self.directory.path().join("config");
        path.display().to_string()
    }
}

/// STS's answer with the credentials that the node knows.
fn assumed() -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>{ACCESS_KEY_ID}</AccessKeyId><SecretAccessKey>{SECRET_ACCESS_KEY}</SecretAccessKey>\
         <SessionToken>{SESSION_TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/work/x</Arn><AssumedRoleId>AROA:x</AssumedRoleId>\
         </AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
    )
}

#[tokio::test]
async fn the_code_is_asked_for_at_the_terminal_and_used() {
    let (node, mut sts, configuration) = (
        guarded_node(&[]).await,
        Service::start().await,
        Configuration::new(),
    );
    let endpoint = node.emulator.endpoint();
    let words = ssh_words(&endpoint, &["--profile", "work"]);
    let file = configuration.path();
    let sts_endpoint = sts.endpoint().to_owned();
    let variables = [
        ("AWS_CONFIG_FILE", file.as_str()),
        ("AWS_ENDPOINT_URL_STS", &sts_endpoint),
    ];
    let mut shell = OnTerminal::start_in(&words, &variables);
    shell
        .screen
        .until(&format!("MFA code for {SERIAL}: "))
        .await;
    shell.press(b"123456\r").await;
    let asked = sts.next().await;
    assert!(asked.body.contains("TokenCode=123456"), "{}", asked.body);
    assert!(asked.body.contains("SerialNumber=arn"), "{}", asked.body);
    asked.answer(200, &assumed());
    shell
        .screen
        .until("starting session with SessionId: ")
        .await;
    shell.enter("PS1=; echo rea''dy; exit").await;
    shell.screen.until("ready\r\n").await;
    shell.screen.until_end().await;
    assert_eq!(shell.status().await.code(), Some(0));
}

#[tokio::test]
async fn the_question_ends_with_a_signal() {
    let (node, configuration) = (guarded_node(&[]).await, Configuration::new());
    let endpoint = node.emulator.endpoint();
    let words = ssh_words(&endpoint, &["--profile", "work"]);
    let file = configuration.path();
    let mut shell = OnTerminal::start_in(&words, &[("AWS_CONFIG_FILE", file.as_str())]);
    shell
        .screen
        .until(&format!("MFA code for {SERIAL}: "))
        .await;
    shell.press(&[3]).await;
    assert_eq!(shell.status().await.code(), Some(130));
    assert!(shell.has_its_settings_back());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_a_terminal_the_error_says_so() {
    let (node, configuration) = (guarded_node(&[]).await, Configuration::new());
    let endpoint = node.emulator.endpoint();
    let words = ssh_words(&endpoint, &["--profile", "work"]);
    // A session of its own has no terminal, whoever runs this test.
    let inner = command(&words);
    let mut outer = tokio::process::Command::new("setsid");
    outer
        .args(["--wait", PROGRAM])
        .args(&words)
        .kill_on_drop(true);
    for (name, value) in inner.as_std().get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.env("AWS_CONFIG_FILE", configuration.path());
    let finished = run(outer).await;
    assert_eq!(finished.status, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("no terminal to ask"),
        "{finished:?}"
    );
}
