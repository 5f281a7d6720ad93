//! Runs the example with nothing of this process's environment.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::process::Command;
use tokio::time::timeout;

use crate::server::SECRET;

pub(crate) struct Program {
    home: TempDir,
    command: Command,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// The program with an empty home, and neither credentials nor region.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(example());
        command
            .env_clear()
            .env("HOME", home.path())
            .env("USERPROFILE", home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .kill_on_drop(true);
        Self { home, command }
    }

    /// With a region, and `endpoint` for every service, but without credentials.
    pub(crate) fn near(endpoint: &str) -> Self {
        Self::new()
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ENDPOINT_URL", endpoint)
    }

    /// With credentials besides, in the environment.
    pub(crate) fn ready(endpoint: &str) -> Self {
        Self::near(endpoint).keys()
    }

    pub(crate) fn keys(self) -> Self {
        let secret = format!("{SECRET}-of-the-environment");
        self.env("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
            .env("AWS_SECRET_ACCESS_KEY", &secret)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// With these words as arguments.
    pub(crate) fn args(mut self, words: &str) -> Self {
        self.command.args(words.split_whitespace());
        self
    }

    /// With a file below `~/.aws`.
    pub(crate) fn file(self, name: &str, contents: &str) -> Self {
        write(self.path(name), contents);
        self
    }

    /// Where a file below `~/.aws` is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(".aws").join(name)
    }

    pub(crate) async fn run(mut self) -> Outcome {
        let output = timeout(LIMIT, self.command.output());
        let output = output.await.expect("the program should end").unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// What it prints, without failing.
    pub(crate) async fn success(self) -> String {
        let outcome = self.run().await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        outcome.stdout.trim_end().to_owned()
    }

    /// The one sentence it fails with, which holds no secret.
    pub(crate) async fn failure(self) -> String {
        let outcome = self.run().await;
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        assert!(!outcome.stderr.contains(SECRET), "{outcome:?}");
        outcome.stderr.trim_end().to_owned()
    }

    /// Calls `meanwhile` with the place of `~/.aws` when the program waits.
    pub(crate) async fn run_around(mut self, meanwhile: impl FnOnce(PathBuf)) -> Outcome {
        let child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stdout = String::new();
        while let Some(line) = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap() {
            if line == "waiting" {
                break;
            }
            stdout.push_str(&line);
            stdout.push('\n');
        }
        meanwhile(self.home.path().join(".aws"));
        child.stdin.take().unwrap().write_all(b"\n").await.unwrap();
        while let Some(line) = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap() {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        let output = timeout(LIMIT, child.wait_with_output())
            .await
            .unwrap()
            .unwrap();
        Outcome {
            code: output.status.code(),
            stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) fn write(path: PathBuf, contents: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, contents).unwrap();
}

/// Against hanging alone.
const LIMIT: Duration = Duration::from_secs(120);

/// Cargo builds a package's examples beside its tests.
fn example() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("call_aws{}", std::env::consts::EXE_SUFFIX));
    path
}
