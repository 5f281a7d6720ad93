//! Runs the example with nothing of this process's environment.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

pub(crate) const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1";

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
            .arg(KEY)
            .env_clear()
            .env("HOME", home.path())
            .env("USERPROFILE", home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .kill_on_drop(true);
        Self { home, command }
    }

    /// With credentials and a region in the environment, and `endpoint` for everything.
    pub(crate) fn ready(endpoint: &str) -> Self {
        Self::new()
            .env("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
            .env("AWS_SECRET_ACCESS_KEY", "from-environment")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ENDPOINT_URL", endpoint)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// With a file below `~/.aws`.
    pub(crate) fn file(self, name: &str, contents: &str) -> Self {
        let path = self.home.path().join(".aws").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
        self
    }

    pub(crate) async fn run(mut self) -> Outcome {
        let output = tokio::time::timeout(Duration::from_secs(120), self.command.output());
        let output = output.await.expect("the program should end").unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The one sentence it fails with.
    pub(crate) async fn failure(self) -> String {
        let outcome = self.run().await;
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        outcome.stderr.trim_end().to_owned()
    }
}

/// Cargo builds a package's examples beside its tests.
fn example() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("data_key{}", std::env::consts::EXE_SUFFIX));
    path
}
