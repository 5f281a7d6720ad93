//! What is started, and when it is there.

use std::path::Path;
use std::process::Command;

use ssm_session_emulator::StartSession;

use crate::child;
use crate::child::Cost;
use crate::emulated::Emulated;

/// One way to start a session.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Whether an older build may not know it.
    pub(crate) is_new: bool,
    kind: Kind,
    has_credentials: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Shell,
    Forward,
    Ssh,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "drop-in: first byte of a shell, no credentials",
        is_new: false,
        kind: Kind::Shell,
        has_credentials: false,
    },
    Scenario {
        name: "drop-in: first byte of a shell, credentials",
        is_new: false,
        kind: Kind::Shell,
        has_credentials: true,
    },
    Scenario {
        name: "drop-in: an open port, no credentials",
        is_new: false,
        kind: Kind::Forward,
        has_credentials: false,
    },
    Scenario {
        name: "drop-in: an open port, credentials",
        is_new: false,
        kind: Kind::Forward,
        has_credentials: true,
    },
    Scenario {
        name: "ssh: first byte of a shell, StartSession included",
        is_new: true,
        kind: Kind::Ssh,
        has_credentials: true,
    },
];

impl Scenario {
    pub(crate) fn run(&self, program: &Path, emulated: &Emulated) -> Cost {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        if self.has_credentials {
            command
                .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
                .env("AWS_SECRET_ACCESS_KEY", "secret");
        }
        let endpoint = emulated.endpoint();
        match self.kind {
            Kind::Ssh => {
                let target = ["ssh", "--target", TARGET, "--region", "us-east-1"];
                command.args(target).args(["--endpoint-url", endpoint]);
                child::measure(command, "")
            }
            Kind::Shell => {
                let response = emulated.start_session(StartSession::default());
                drop_in(
                    &mut command,
                    &response,
                    "SSM-SessionManagerRunShell",
                    endpoint,
                );
                // Behind the text that the program begins with comes the far end's own.
                child::measure(command, FIRST)
            }
            Kind::Forward => {
                let document = "AWS-StartPortForwardingSession";
                let response = emulated.start_session(StartSession {
                    document_name: Some(document.to_owned()),
                    parameters: [("portNumber".to_owned(), vec!["9".to_owned()])].into(),
                    ..StartSession::default()
                });
                drop_in(&mut command, &response, document, endpoint);
                child::measure(command, FIRST)
            }
        }
    }
}

fn drop_in(command: &mut Command, response: &str, document: &str, endpoint: &str) {
    let name = "AWS_SSM_START_SESSION_RESPONSE";
    let request = format!(r#"{{"Target":"{TARGET}","DocumentName":"{document}"}}"#);
    command
        .args([name, "us-east-1", "StartSession", "", &request, endpoint])
        .env(name, response);
}

const TARGET: &str = "i-0123456789abcdef0";
const FIRST: &str = "\nStarting session with SessionId: ";
