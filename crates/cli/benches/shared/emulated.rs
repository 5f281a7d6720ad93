//! The emulator on a thread of its own.

use std::sync::mpsc;

use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;

/// Starts an unpaced emulator that serves until the process ends, and a session; the answer to StartSession, as JSON.
pub(crate) fn start_session(plan: Plan, request: StartSession) -> String {
    let (sender, response) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let plan = Plan {
                pacing: Pacing::None,
                ..plan
            };
            let emulator = Emulator::start(plan).await.expect("an emulator");
            let started = emulator
                .start_session(request)
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
    response.recv().expect("a session")
}
