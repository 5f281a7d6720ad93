//! An emulated node to have sessions with.

use std::collections::BTreeMap;

use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::StartedSession;

pub(crate) const TARGET: &str = "i-0123456789abcdef0";

pub(crate) struct Node {
    pub(crate) emulator: Emulator,
}

impl Node {
    pub(crate) async fn start() -> Self {
        let plan = Plan {
            pacing: Pacing::None,
            ..Plan::default()
        };
        let emulator = Emulator::start(plan).await.unwrap();
        Self { emulator }
    }

    /// Starts a shell.
    pub(crate) fn shell(&self) -> Started {
        self.session(StartSession::default())
    }

    /// Starts a command by a document that has the one parameter `command`.
    pub(crate) fn command(&self, document: &str, command: &str) -> Started {
        self.session(StartSession {
            document_name: Some(document.to_owned()),
            parameters: BTreeMap::from([("command".to_owned(), vec![command.to_owned()])]),
            ..StartSession::default()
        })
    }

    /// Starts a session by a document without parameters.
    pub(crate) fn document(&self, document: &str) -> Started {
        self.session(StartSession {
            document_name: Some(document.to_owned()),
            ..StartSession::default()
        })
    }

    fn session(&self, request: StartSession) -> Started {
        Started(self.emulator.start_session(request).unwrap())
    }
}

/// What StartSession answered.
pub(crate) struct Started(StartedSession);

impl Started {
    pub(crate) fn id(&self) -> &str {
        &self.0.session_id
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.stream_url
    }

    pub(crate) fn token(&self) -> &str {
        self.0.token.expose()
    }

    pub(crate) fn json(&self) -> String {
        serde_json::json!({"SessionId": self.id(), "StreamUrl": self.url(), "TokenValue": self.token()}).to_string()
    }

    /// The words behind the program's name as the AWS CLI of today gives them, and as Ansible and Packer do.
    pub(crate) fn seven_words(&self) -> Vec<String> {
        let request = serde_json::json!({"Target": TARGET}).to_string();
        let endpoint = "https://ssm.us-east-1.amazonaws.com";
        [
            &self.json(),
            "us-east-1",
            "StartSession",
            "",
            &request,
            endpoint,
        ]
        .map(str::to_owned)
        .to_vec()
    }
}
