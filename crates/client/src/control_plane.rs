//! The one seam to AWS: what a session needs of its API.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ssm_session_proto::DataKey;
use ssm_session_proto::DataKeyRequest;
use ssm_session_proto::Secret;
use tokio::time::timeout;

/// AWS's API as far as sessions need it, or what stands in for it (docs/PROTOCOL.md, 1.1).
///
/// Every operation looks credentials up afresh where it needs any. Its future may be dropped at
/// any time, and runs within a limit of [`Timeouts`](crate::Timeouts). One that an implementation
/// does without is refused with [`ApiErrorKind::Unsupported`].
pub trait ControlPlane: Send + Sync {
    /// StartSession.
    fn start_session(
        &self,
        _request: StartRequest,
    ) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        unsupported("StartSession")
    }

    /// ResumeSession: a new token and a new address for a session that runs.
    fn resume_session(&self, _session_id: &str) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        unsupported("ResumeSession")
    }

    /// TerminateSession. Ending a session that is over succeeds.
    fn terminate_session(&self, _session_id: &str) -> BoxFuture<'_, Result<(), ApiError>> {
        unsupported("TerminateSession")
    }

    /// DescribeSessions for one session that runs.
    fn describe_session(
        &self,
        _session_id: &str,
    ) -> BoxFuture<'_, Result<SessionDescription, ApiError>> {
        unsupported("DescribeSessions")
    }

    /// KMS's GenerateDataKey: 64 bytes under the key and the encryption context of `request`
    /// (docs/PROTOCOL.md, 6).
    fn data_key(&self, _request: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        unsupported("GenerateDataKey")
    }

    /// The header fields that sign the opening of a data channel (docs/PROTOCOL.md, 2.1); none
    /// where there are no credentials to sign with, for an unsigned channel may still be let in.
    ///
    /// # Errors
    ///
    /// Credentials that are there and cannot be used, such as a sign-in that has expired.
    fn sign(&self, _request: UpgradeRequest) -> BoxFuture<'_, Result<Vec<Field>, ApiError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

fn unsupported<T: Send + 'static>(operation: &str) -> BoxFuture<'static, Result<T, ApiError>> {
    let error = ApiError::new(
        ApiErrorKind::Unsupported,
        format!("this program cannot call {operation}"),
    );
    Box::pin(std::future::ready(Err(error)))
}

/// Ends a session by the API within a time limit, and says whether that worked.
pub(crate) async fn terminate(
    control_plane: &dyn ControlPlane,
    session_id: &str,
    limit: Duration,
) -> bool {
    match timeout(limit, control_plane.terminate_session(session_id)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(%error, "the session was not ended at the service"),
        Err(_) => tracing::warn!("the service did not end the session in time"),
    }
    false
}

/// What StartSession takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartRequest {
    /// The target, 1 to 400 characters.
    pub target: String,
    /// The session document; the account's default unless given.
    pub document_name: Option<String>,
    /// The document's parameters, each with its values.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// Why, for the account's records; 1 to 256 characters.
    pub reason: Option<String>,
}

/// What StartSession and ResumeSession answer: what admits a client to a session.
#[derive(Clone, Debug)]
pub struct SessionAccess {
    /// Names the session.
    pub session_id: String,
    /// Where its WebSocket is, as the service wrote it.
    pub stream_url: Secret,
    /// What admits us there.
    pub token: Secret,
}

/// What DescribeSessions tells of a session that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionDescription {
    /// The target, as it was named to StartSession.
    pub target: String,
}

impl SessionDescription {
    /// A session with this target.
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
        }
    }
}

/// The HTTP request that is to be signed: a GET without a body for the service `ssmmessages`.
#[derive(Clone)]
pub struct UpgradeRequest {
    /// Host and port exactly as they stand in the Host field.
    pub host: String,
    /// Path and query exactly as they are sent; they may hold secrets.
    pub path_and_query: Secret,
}

impl fmt::Debug for UpgradeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeRequest")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// A header field that signs a request.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its value: a signature admits whoever has it, for some minutes.
    pub value: Secret,
}

/// Why an operation failed, in one sentence for the user, who may also find it in the agent's log.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct ApiError {
    kind: ApiErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// What a failure means for a session that lives on without its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiErrorKind {
    /// The session is over, or never was.
    Gone,
    /// The caller may not do this, or asked for what there is not: asking again is no use.
    Refused,
    /// The program does without this operation.
    Unsupported,
    /// Nothing was decided: network, throttling, credentials that may be renewed.
    Transient,
}

impl ApiError {
    /// From a sentence, or from an error whose `Display` is one: lower case, no full stop, with
    /// what to do next.
    pub fn new(kind: ApiErrorKind, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            source: reason.into(),
        }
    }

    /// What it means for a session.
    pub fn kind(&self) -> ApiErrorKind {
        self.kind
    }
}
