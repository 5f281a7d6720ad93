//! The emulator on a thread of its own.

use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;

/// An unpaced emulator that serves until the process ends.
pub(crate) struct Emulated {
    sessions: std::sync::mpsc::Receiver<String>,
}

impl Emulated {
    pub(crate) fn start() -> Self {
        let (sender, sessions) = std::sync::mpsc::channel();
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
                let started = emulator
                    .start_session(StartSession::default())
                    .expect("the target is connected");
                let response = format!(
                    r#"{{"SessionId":"{}","StreamUrl":"{}","TokenValue":"{}"}}"#,
                    started.session_id,
                    started.stream_url,
                    started.token.expose()
                );
                sender.send(response).expect("the benchmark waits");
                std::future::pending::<()>().await;
            });
        });
        Self { sessions }
    }

    /// The answer to a StartSession call, as JSON.
    pub(crate) fn start_session(&self) -> String {
        self.sessions.recv().expect("a session")
    }
}
