//! An emulated node to have sessions with.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::StartedSession;

use crate::output::GUARD;

pub(crate) const TARGET: &str = "i-0123456789abcdef0";

pub(crate) struct Node {
    pub(crate) emulator: Emulator,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    /// A node whose agent has another version than the newest.
    pub(crate) async fn with_agent(version: &str) -> Self {
        Self::with(Plan {
            agent_version: version.to_owned(),
            ..Plan::default()
        })
        .await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        let plan = Plan {
            pacing: Pacing::None,
            ..plan
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

    /// Starts a forward to a port of the node.
    pub(crate) fn forward(&self, port: u16) -> Started {
        self.port("AWS-StartPortForwardingSession", port, &[])
    }

    /// Starts a session with a port of the node by a document that takes these further parameters.
    pub(crate) fn port(&self, document: &str, port: u16, more: &[(&str, &str)]) -> Started {
        let port = port.to_string();
        let all = [("portNumber", port.as_str())];
        let all = all.iter().chain(more);
        self.session(StartSession {
            document_name: Some(document.to_owned()),
            parameters: all
                .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
                .collect(),
            ..StartSession::default()
        })
    }

    /// Whether the service has ended the session.
    pub(crate) fn has_ended(&self, started: &Started) -> bool {
        self.is_over(started.id())
    }

    fn is_over(&self, session_id: &str) -> bool {
        self.emulator.resume_session(session_id).unwrap().is_none()
    }

    /// Waits until the service has ended a session that it was told to end.
    pub(crate) async fn ends(&self, session_id: &str) {
        let over = async {
            while !self.is_over(session_id) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(GUARD, over).await.expect("it ends");
    }

    /// Starts a session by a document without parameters.
    pub(crate) fn document(&self, document: &str) -> Started {
        self.session(StartSession {
            document_name: Some(document.to_owned()),
            ..StartSession::default()
        })
    }

    fn session(&self, request: StartSession) -> Started {
        let asked = json!({
            "Target": TARGET,
            "DocumentName": request.document_name,
            "Parameters": request.parameters,
        });
        let session = self.emulator.start_session(request).unwrap();
        Started {
            session,
            asked,
            endpoint: self.emulator.endpoint(),
        }
    }
}

/// What StartSession was asked and answered.
pub(crate) struct Started {
    session: StartedSession,
    asked: Value,
    endpoint: String,
}

impl Started {
    pub(crate) fn id(&self) -> &str {
        &self.session.session_id
    }

    pub(crate) fn url(&self) -> &str {
        &self.session.stream_url
    }

    pub(crate) fn token(&self) -> &str {
        self.session.token.expose()
    }

    pub(crate) fn json(&self) -> String {
        json!({"SessionId": self.id(), "StreamUrl": self.url(), "TokenValue": self.token()})
            .to_string()
    }

    /// The parameters as they were asked for.
    pub(crate) fn parameters(&self) -> String {
        self.asked["Parameters"].to_string()
    }

    /// The words behind the program's name as toolkits give them, which leave out all they can.
    pub(crate) fn four_words(&self) -> Vec<String> {
        self.seven_words()[..3].to_vec()
    }

    /// The words behind the program's name as the AWS CLI of today gives them, and as Ansible and Packer do.
    pub(crate) fn seven_words(&self) -> Vec<String> {
        let request = self.asked.to_string();
        [
            &self.json(),
            "us-east-1",
            "StartSession",
            "",
            &request,
            &self.endpoint,
        ]
        .map(str::to_owned)
        .to_vec()
    }
}
