//! The emulated AWS for a client in the same process.

use std::fmt;
use std::future;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use futures_util::future::FutureExt as _;
use hyper::HeaderMap;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use ssm_session::ApiError;
use ssm_session::ApiErrorKind;
use ssm_session::ControlPlane;
use ssm_session::Field;
use ssm_session::SessionAccess;
use ssm_session::SessionDescription;
use ssm_session::StartRequest;
use ssm_session::UpgradeRequest;
use ssm_session_proto::DATA_KEY_LENGTH;
use ssm_session_proto::DataKey;
use ssm_session_proto::DataKeyRequest;
use ssm_session_proto::Secret;

use crate::control::StartSession;
use crate::control::StartedSession;
use crate::error::ServiceError;
use crate::operation::Operation;
use crate::plan::ConnectStep;
use crate::plan::Credentials;
use crate::service::Service;
use crate::signature;
use crate::signature::Scope;
use crate::time;

/// An emulator's operations, called directly instead of over HTTP: what a session's driver needs of AWS.
///
/// It outlives its emulator without keeping it alive: afterwards sessions are started and end at once.
#[derive(Clone)]
pub struct EmulatedControlPlane(Arc<Service>);

impl EmulatedControlPlane {
    pub(crate) fn new(service: &Arc<Service>) -> Self {
        Self(Arc::clone(service))
    }
}

impl fmt::Debug for EmulatedControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EmulatedControlPlane")
            .field(&self.0.authority())
            .finish()
    }
}

impl ControlPlane for EmulatedControlPlane {
    fn start_session(
        &self,
        request: StartRequest,
    ) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        let request = StartSession {
            target: request.target,
            document_name: request.document_name,
            parameters: request.parameters,
            reason: request.reason,
        };
        async move {
            self.admit(Operation::StartSession, &request.target).await?;
            let started = self.0.start_session(request, None);
            started.map(access).map_err(api_error)
        }
        .boxed()
    }

    fn resume_session(&self, session_id: &str) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        let session_id = session_id.to_owned();
        async move {
            self.admit(Operation::ResumeSession, &session_id).await?;
            let resumed = self.0.renewed_session(&session_id, None);
            resumed.map_err(api_error)?.map(access).ok_or_else(|| {
                // ResumeSession says so by leaving the token out, which this seam has no form for.
                ApiError::new(ApiErrorKind::Gone, format!("session {session_id} is over"))
            })
        }
        .boxed()
    }

    fn terminate_session(&self, session_id: &str) -> BoxFuture<'_, Result<(), ApiError>> {
        let session_id = session_id.to_owned();
        async move {
            self.admit(Operation::TerminateSession, &session_id).await?;
            self.0.end_session(&session_id).await;
            Ok(())
        }
        .boxed()
    }

    fn describe_session(
        &self,
        session_id: &str,
    ) -> BoxFuture<'_, Result<SessionDescription, ApiError>> {
        let session_id = session_id.to_owned();
        async move {
            self.admit(Operation::DescribeSessions, "").await?;
            let target = self.0.running_target(&session_id);
            target.map(SessionDescription::new).map_err(api_error)
        }
        .boxed()
    }

    fn data_key(&self, request: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        async move {
            let (id, context) = (&request.key_id, &request.encryption_context);
            self.admit(Operation::GenerateDataKey, id).await?;
            let key = self.0.kms.generate_data_key(id, DATA_KEY_LENGTH, context);
            let key = key.map_err(|error| api_error(error.into()))?;
            Ok(DataKey {
                plaintext: key.plaintext,
                ciphertext: key.ciphertext,
            })
        }
        .boxed()
    }

    /// With the first credentials of the plan, expired or not.
    fn sign(&self, request: UpgradeRequest) -> BoxFuture<'_, Result<Vec<Field>, ApiError>> {
        let credentials = self.0.plan.credentials.first();
        let fields = credentials.map(|credentials| self.signed(&request, credentials));
        let fields = fields.transpose().map(Option::unwrap_or_default);
        future::ready(fields).boxed()
    }
}

impl EmulatedControlPlane {
    /// Lets a call pass as the plan has it: one that fails on the way looks like a network's failure.
    async fn admit(&self, operation: Operation, subject: &str) -> Result<(), ApiError> {
        self.0
            .pass(ConnectStep::Call(operation))
            .await
            .map_err(|cut| ApiError::new(ApiErrorKind::Transient, cut))?;
        self.0.permit(operation, subject).map_err(api_error)
    }

    fn signed(
        &self,
        request: &UpgradeRequest,
        credentials: &Credentials,
    ) -> Result<Vec<Field>, ApiError> {
        let now = SystemTime::now();
        let mut fields = vec![field("x-amz-date", time::compact(now))];
        if let Some(token) = &credentials.session_token {
            fields.push(field("x-amz-security-token", token.expose()));
        }
        let mut headers = HeaderMap::new();
        headers.insert(HOST, value(&request.host)?);
        for field in &fields {
            headers.insert(field.name, value(field.value.expose())?);
        }
        let sent = request.path_and_query.expose();
        let (path, query) = sent.split_once('?').unwrap_or((sent, ""));
        let part = signature::Request {
            method: "GET",
            path,
            query,
            headers: &headers,
            body: &[],
        };
        let scope = Scope {
            region: &self.0.plan.region,
            service: Operation::OpenDataChannel.api().signing_name(),
        };
        let authorization = signature::authorization(part, credentials, scope, now);
        fields.push(field("authorization", authorization));
        Ok(fields)
    }
}

fn field(name: &'static str, value: impl Into<String>) -> Field {
    Field {
        name,
        value: Secret::new(value),
    }
}

fn value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|_| {
        ApiError::new(
            ApiErrorKind::Refused,
            "the request cannot be signed: a header would hold what headers cannot",
        )
    })
}

fn access(session: StartedSession) -> SessionAccess {
    SessionAccess {
        session_id: session.session_id,
        stream_url: Secret::new(session.stream_url),
        token: session.token,
    }
}

fn api_error(error: ServiceError) -> ApiError {
    let kind = match error.code() {
        "DoesNotExistException" => ApiErrorKind::Gone,
        // Credentials may be renewed.
        "ExpiredTokenException" => ApiErrorKind::Transient,
        _ if error.is_transient() => ApiErrorKind::Transient,
        _ => ApiErrorKind::Refused,
    };
    ApiError::new(kind, error)
}
