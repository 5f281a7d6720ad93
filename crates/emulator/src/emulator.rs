//! A running emulator.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::control::StartSession;
use crate::control::StartedSession;
use crate::control_plane::EmulatedControlPlane;
use crate::error::ServiceError;
use crate::gateway::ChannelClose;
use crate::http;
use crate::plan::ConnectFault;
use crate::plan::Plan;
use crate::service::Service;

/// A running emulator: it serves until it is shut down or dropped, and its sessions' commands die with it. They do
/// so too when this process is killed; only what has made a session of its own escapes.
#[derive(Debug)]
pub struct Emulator {
    service: Arc<Service>,
    stop: watch::Sender<bool>,
    listener: JoinHandle<()>,
}

impl Emulator {
    /// Starts an emulator on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on, others can reach it and the plan does not say
    /// [`anywhere`](Plan::anywhere), or a number in the plan is out of its range.
    pub async fn start(plan: Plan) -> io::Result<Self> {
        plan.check()
            .map_err(|text| io::Error::new(io::ErrorKind::InvalidInput, text))?;
        let socket = TcpListener::bind(plan.listen).await.map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot listen on {}: {error}", plan.listen),
            )
        })?;
        let (stop, stopping) = watch::channel(false);
        let service = Arc::new(Service::new(plan, socket.local_addr()?, stopping));
        let listener = tokio::spawn(http::listen(Arc::clone(&service), socket));
        tracing::info!(address = %service.address, "listening");
        Ok(Self {
            service,
            stop,
            listener,
        })
    }

    /// What goes behind `--endpoint-url`, such as `http://127.0.0.1:8080`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.service.authority())
    }

    /// The address listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.service.address
    }

    /// Starts a session, as the operation StartSession does. Nothing here asks for a signature or heeds the plan's
    /// refusals; [`control_plane`](Self::control_plane) does the latter.
    ///
    /// # Errors
    ///
    /// The refusals of StartSession (`docs/PROTOCOL.md` 1.1).
    pub fn start_session(&self, request: StartSession) -> Result<StartedSession, ServiceError> {
        self.service.start_session(request, None)
    }

    /// Gives a session a new token, as ResumeSession does; `None` for a session that is over.
    ///
    /// # Errors
    ///
    /// `DoesNotExistException` for a session the emulator never had.
    pub fn resume_session(&self, session_id: &str) -> Result<Option<StartedSession>, ServiceError> {
        self.service.renewed_session(session_id, None)
    }

    /// Ends a session, as TerminateSession does; nothing happens to one that is over or unknown.
    pub async fn terminate_session(&self, session_id: &str) {
        self.service.end_session(session_id).await;
    }

    /// The operations a session's driver needs, for a client in the same process; the plan's refusals concern them as
    /// they concern requests.
    pub fn control_plane(&self) -> EmulatedControlPlane {
        EmulatedControlPlane::new(&self.service)
    }

    /// Closes the data channels of all sessions, or of one, while the sessions live on; how many there were. When it
    /// returns they are closed, and their clients are noted as disconnected, or silenced.
    pub async fn close_channels(&self, how: ChannelClose, session_id: Option<&str>) -> usize {
        self.service.close_channels(how, session_id).await
    }

    /// Freezes or thaws the agents of all sessions, or of one; how many there were. A frozen agent handles no frame and
    /// no timer and sends nothing, so that nothing is acknowledged, while its gateway answers pings. What its command
    /// writes waits. What a client sends waits too, up to 256 KiB, and is lost beyond.
    pub async fn freeze_agents(&self, frozen: bool, session_id: Option<&str>) -> usize {
        self.service.freeze_agents(frozen, session_id).await
    }

    /// Replaces the plan's faults of connecting, used up or not. What stalls already goes on doing so.
    pub fn set_connect_faults(&self, faults: Vec<ConnectFault>) {
        self.service.connect_faults.set(faults);
    }

    /// Ends every session and waits until nothing of the emulator is left: no connection, no process.
    pub async fn shutdown(mut self) {
        // Nobody listens any more only if every task is gone already.
        self.stop.send(true).ok();
        (&mut self.listener).await.ok();
        let ended = async {
            self.service.tasks.join().await;
            self.service.guard.close().await;
        };
        if tokio::time::timeout(SHUTDOWN_LIMIT, ended).await.is_err() {
            tracing::warn!("not everything ended in time; the rest is dropped");
        }
    }
}

/// Kills the commands of all sessions without saying goodbye to their clients.
impl Drop for Emulator {
    fn drop(&mut self) {
        self.listener.abort();
        self.service.tasks.abort();
    }
}

/// Above the limits of every task: a session takes at most 5 s to end and 4 s to say goodbye.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);
