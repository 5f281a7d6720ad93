//! Getting the next WebSocket for a session whose last one was lost (docs/PROTOCOL.md, 4.4).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use ssm_session_proto::Secret;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::timeout;
use tokio::time::timeout_at;

use crate::backoff::Backoff;
use crate::control_plane::ApiError;
use crate::control_plane::ApiErrorKind;
use crate::control_plane::ControlPlane;
use crate::dial::WebSocket;
use crate::dial::dial;
use crate::error::ConnectError;
use crate::options::Options;
use crate::options::SessionStart;
use crate::text::with_sources;

/// What it takes to resume a session.
#[derive(Clone)]
pub(super) struct Resumable {
    pub(super) session_id: String,
    pub(super) control_plane: Arc<dyn ControlPlane>,
    pub(super) options: Arc<Options>,
    /// Whether the first URL was signed by somebody else: such sessions are not resumed
    /// (docs/PROTOCOL.md, 2.1).
    pub(super) presigned: bool,
}

/// An outage that is being mended.
pub(super) struct Resumption {
    work: BoxFuture<'static, Outcome>,
}

/// How an outage ends.
pub(super) enum Outcome {
    /// With a new WebSocket, and the token to be sent over it.
    Resumed {
        web_socket: Box<WebSocket>,
        /// Where it leads.
        host: String,
        token: Secret,
    },
    /// The session has ended meanwhile.
    Gone(ApiError),
    /// It may live on, but not with us: a clause says why.
    GivenUp(String),
    /// Nothing worked in all that time: a clause says why it did not in the end.
    OutOfTime(String),
}

/// Why one attempt came to nothing.
enum Failure {
    Gone(ApiError),
    Refused(String),
    Transient(String),
}

impl Resumption {
    /// Tries until it works, it is clear that it cannot, or `deadline` has come. What went wrong
    /// last may have done so before, as `problem`.
    pub(super) fn begin(
        session: Resumable,
        mut backoff: Backoff,
        deadline: Instant,
        problem: Option<String>,
    ) -> Self {
        let work = async move {
            let mut last = problem.unwrap_or_else(|| "nobody answered".to_owned());
            let trying = async {
                loop {
                    sleep(backoff.next_wait()).await;
                    match session.attempt().await {
                        Ok(outcome) => return outcome,
                        Err(Failure::Gone(error)) => return Outcome::Gone(error),
                        Err(Failure::Refused(reason)) => return Outcome::GivenUp(reason),
                        Err(Failure::Transient(reason)) => {
                            tracing::warn!(reason, "the session could not be resumed yet");
                            last = reason;
                        }
                    }
                }
            };
            let tried = timeout_at(deadline, trying).await;
            tried.unwrap_or(Outcome::OutOfTime(last))
        };
        Self {
            work: Box::pin(work),
        }
    }

    /// How it ends; never returns a second time. Nothing is lost when the wait is given up.
    pub(super) async fn outcome(&mut self) -> Outcome {
        let outcome = (&mut self.work).await;
        self.work = Box::pin(std::future::pending());
        outcome
    }
}

impl Resumable {
    async fn attempt(&self) -> Result<Outcome, Failure> {
        let limit = self.options.timeouts.api;
        let asking = self.control_plane.resume_session(&self.session_id);
        let access = timeout(limit, asking).await.map_err(|_| {
            let seconds = limit.as_secs_f64();
            Failure::Transient(format!("ResumeSession was not answered within {seconds} s"))
        })??;
        let start = SessionStart::new(access, &self.options.stream_policy)
            .map_err(|error| Failure::Refused(error.to_string()))?;
        let web_socket = dial(&start.stream_url, &self.options).await?;
        Ok(Outcome::Resumed {
            web_socket: Box::new(web_socket),
            host: start.stream_url.host().to_owned(),
            token: start.token,
        })
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match error.kind() {
            ApiErrorKind::Gone => Self::Gone(error),
            ApiErrorKind::Refused | ApiErrorKind::Unsupported => Self::Refused(error.to_string()),
            ApiErrorKind::Transient => Self::Transient(error.to_string()),
        }
    }
}

/// The network may come back, and permissions are not asked for twice in one session: every
/// failure to connect is worth another attempt.
impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::Transient(with_sources(&error))
    }
}
