//! What must not be seen: not in a log of everything, not on a screen, not in what other processes can read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use serde_json::json;
use tokio::process::Command;

use crate::account::ACCESS_KEY_ID;
use crate::account::SECRET_ACCESS_KEY;
use crate::account::SESSION_TOKEN;
use crate::account::guarded_node;
use crate::account::ssh_words;
use crate::node::Node;
use crate::node::Started;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::service::Service;

/// Files of a user whose credentials come from a process, and what that process saw.
struct User {
    directory: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let keys = json!({
            "Version": 1,
            "AccessKeyId": ACCESS_KEY_ID,
            "SecretAccessKey": SECRET_ACCESS_KEY,
            "SessionToken": SESSION_TOKEN,
        });
        let seen = at("seen");
        let script = format!(
            "#!/bin/sh\ncat /proc/$$/environ /proc/$$/cmdline /proc/$PPID/cmdline >> '{}'\necho '{keys}'\n",
            seen.display()
        );
        let program = at("keys");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let config = format!("[default]\ncredential_process = {}\n", program.display());
        std::fs::write(at("config"), config).unwrap();
        Self { directory }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program, logging all there is.
    fn command<W: AsRef<str>>(&self, words: &[W]) -> Command {
        let mut command = command(words);
        command
            .env("AWS_CONFIG_FILE", self.at("config"))
            .env("RUST_LOG", "trace")
            .env("SSM_SESSION_LOG_FILE", self.at("log"));
        command
    }

    fn log(&self) -> String {
        self.at("log").display().to_string()
    }
}

/// Has a command run, and looks for secrets in all that was to be seen of that.
async fn look(user: &User, mut plugin: Piped, secrets: &[&str]) {
    plugin.write(b"PS1=; echo hid''den-payload\n").await;
    plugin.stdout.until("hidden-payload\r\n").await;
    let id = plugin.process.id().unwrap();
    let command_line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap();
    plugin.write(b"exit\n").await;
    let stdout = plugin.stdout.until_end().await;
    let stderr = plugin.stderr.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0), "{stderr}");
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let (log, seen) = (read(&user.at("log")), read(&user.at("seen")));
    assert!(
        log.contains("TRACE") && log.contains("ssm_session"),
        "{log}"
    );
    assert!(seen.contains("AWS_CONFIG_FILE"), "{seen}");
    let places = [
        ("the log", log),
        ("the child's environment", seen),
        ("standard output", stdout),
        ("standard error", stderr),
        (
            "the command line",
            String::from_utf8_lossy(&command_line).into_owned(),
        ),
    ];
    for (place, text) in &places {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {place}:\n{text}");
        }
    }
    let (_, log) = &places[0];
    for secret in ["hidden-payload", "Signature="] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

/// All that is secret about a session, with the credentials of its user.
fn secrets(started: &Started) -> Vec<&str> {
    let (_, query) = started.url().split_once('?').unwrap();
    vec![started.token(), query, SECRET_ACCESS_KEY, SESSION_TOKEN]
}

async fn prepared() -> (Node, User) {
    (guarded_node(&[]).await, User::new())
}

#[tokio::test]
async fn a_drop_in_shows_no_secret() {
    let (node, user) = prepared().await;
    let started = node.shell();
    let mut words = started.seven_words();
    words[0] = "AWS_SSM_START_SESSION_RESPONSE".to_owned();
    let mut command = user.command(&words);
    command.env("AWS_SSM_START_SESSION_RESPONSE", started.json());
    look(&user, Piped::start(command), &secrets(&started)).await;
}

#[tokio::test]
async fn connect_shows_no_secret() {
    let (node, user) = prepared().await;
    let started = node.shell();
    let (endpoint, log) = (node.emulator.endpoint(), user.log());
    let words = [
        "connect",
        "-",
        "--region",
        "us-east-1",
        "--endpoint-url",
        &endpoint,
        "--log-file",
        &log,
    ];
    let mut plugin = Piped::start(user.command(&words));
    plugin
        .write(format!("{}\n", started.json()).as_bytes())
        .await;
    look(&user, plugin, &secrets(&started)).await;
}

#[tokio::test]
async fn ssh_shows_no_secret() {
    let (node, user) = prepared().await;
    let started = node.shell();
    let mut service = Service::start().await;
    let log = user.log();
    let words = ssh_words(service.endpoint(), &["-vv", "--log-file", &log]);
    let plugin = Piped::start(user.command(&words));
    // The emulator's own answer, so that the token is known here.
    service.next().await.answer(200, &started.json());
    look(&user, plugin, &secrets(&started)).await;
}
