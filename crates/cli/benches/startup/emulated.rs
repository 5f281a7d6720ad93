//! The emulator on a thread of its own, with a new session whenever one is wanted.

use std::sync::mpsc;

use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;

/// An unpaced emulator that serves until the process ends.
pub(crate) struct Emulated {
    endpoint: String,
    requests: tokio::sync::mpsc::UnboundedSender<StartSession>,
    responses: mpsc::Receiver<String>,
}

impl Emulated {
    pub(crate) fn start() -> Self {
        let (requests, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let (answer, responses) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let plan = Plan {
                    pacing: Pacing::None,
                    ..Plan::default()
                };
                let emulator = Emulator::start(plan).await.expect("an emulator");
                answer
                    .send(emulator.endpoint())
                    .expect("the benchmark waits");
                while let Some(request) = asked.recv().await {
                    let started = emulator.start_session(request);
                    let started = started.expect("the target is connected");
                    let response = format!(
                        r#"{{"SessionId":"{}","StreamUrl":"{}","TokenValue":"{}"}}"#,
                        started.session_id,
                        started.stream_url,
                        started.token.expose()
                    );
                    answer.send(response).expect("the benchmark waits");
                }
            });
        });
        Self {
            endpoint: responses.recv().expect("an emulator"),
            requests,
            responses,
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The answer to StartSession, as JSON.
    pub(crate) fn start_session(&self, request: StartSession) -> String {
        self.requests.send(request).expect("the emulator runs");
        self.responses.recv().expect("a session")
    }
}
