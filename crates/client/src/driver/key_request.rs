//! A request for a data key, under way beside the session.

use std::sync::Arc;
use std::time::Duration;

use ssm_session_proto::DataKey;
use ssm_session_proto::DataKeyRequest;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::control_plane::ApiError;
use crate::control_plane::ControlPlane;

/// What an answer is: a key, or why there is none.
pub(super) type Answer = Result<DataKey, String>;

/// Asks on a task of its own, which is dropped with this.
pub(super) struct KeyRequest {
    source: Option<Arc<dyn ControlPlane>>,
    session_id: String,
    limit: Duration,
    task: JoinSet<Answer>,
}

impl KeyRequest {
    pub(super) fn new(
        source: Option<Arc<dyn ControlPlane>>,
        session_id: String,
        limit: Duration,
    ) -> Self {
        Self {
            source,
            session_id,
            limit,
            task: JoinSet::new(),
        }
    }

    /// Asks for a key. Answers at once if there is nobody to ask.
    pub(super) fn begin(&mut self, request: DataKeyRequest) -> Option<Answer> {
        let Some(source) = self.source.clone() else {
            let reason = "this session is encrypted with a KMS key, and this program has no source of data keys; \
                          start the session with one that has, or without a KMS key in its preferences";
            return Some(Err(reason.to_owned()));
        };
        let (session_id, limit) = (self.session_id.clone(), self.limit);
        tracing::debug!(key = request.key_id, "a data key is needed");
        self.task.spawn(async move {
            match timeout(limit, ask(source.as_ref(), request, &session_id)).await {
                Ok(key) => key.map_err(|error| error.to_string()),
                Err(_) => Err(format!(
                    "no data key was obtained within {} s",
                    limit.as_secs_f64()
                )),
            }
        });
        None
    }

    /// The answer to a request under way; none if there is none. Nothing is lost when the wait is
    /// given up.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        let key = self.task.join_next().await?;
        Some(key.unwrap_or_else(|_| Err("the source of data keys failed".to_owned())))
    }

    pub(super) fn give_up(&mut self) {
        self.task.abort_all();
    }
}

/// The key, for the session's own target: callers that do not name it leave it to be looked up.
async fn ask(
    source: &dyn ControlPlane,
    request: DataKeyRequest,
    session_id: &str,
) -> Result<DataKey, ApiError> {
    if !request.needs_target() {
        return source.data_key(request).await;
    }
    let described = source.describe_session(session_id).await.map_err(|error| {
        let reason = format!("the session is encrypted, and its target is not known: {error}");
        ApiError::new(error.kind(), reason)
    })?;
    source.data_key(request.with_target(described.target)).await
}
