//! Systems Manager's sessions (docs/PROTOCOL.md, 1.1).

use aws_sdk_ssm::types;
use aws_sdk_ssm::types::SessionFilter;
use aws_sdk_ssm::types::SessionFilterKey;
use aws_sdk_ssm::types::SessionState;
use ssm_session::Secret;
use ssm_session::SessionAccess;
use ssm_session::SessionDescription;
use ssm_session::StartRequest;

use crate::aws::Ready;
use crate::error::Asked;
use crate::error::AwsError;
use crate::error::Call;
use crate::error::Failure;
use crate::error::Service;
use crate::error::SessionError;

/// What GetConnectionStatus tells of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionStatus {
    /// Its agent is there.
    Connected,
    /// It is not, or not in this account and region.
    NotConnected,
}

impl Ready {
    fn call<'a>(&'a self, operation: &'static str, resource: &'a str) -> Call<'a> {
        Call {
            service: Service::Ssm,
            operation,
            resource,
            region: &self.configuration.region,
            profile: self.profile(),
        }
    }
}

pub(crate) async fn start(
    ready: &Ready,
    request: &StartRequest,
) -> Result<SessionAccess, AwsError> {
    let call = ready.call("StartSession", &request.target);
    let asked = Asked {
        target: &request.target,
        document: request.document_name.as_deref(),
    };
    tracing::debug!(
        target_id = request.target,
        region = call.region,
        "starting a session"
    );
    let parameters = request.parameters.clone();
    let answer = ready
        .configuration
        .ssm()
        .start_session()
        .target(&request.target)
        .set_document_name(request.document_name.clone())
        .set_parameters((!parameters.is_empty()).then(|| parameters.into_iter().collect()))
        .set_reason(request.reason.clone())
        .send()
        .await
        .map_err(|error| SessionError::of_start(Failure::of(&error), &asked, &call))?;
    let filled = |text: &String| !text.is_empty();
    let session_id = answer.session_id.filter(filled);
    let token = answer.token_value.filter(filled);
    Ok(SessionAccess {
        session_id: session_id.ok_or_else(|| AwsError::incomplete(&call, "a session id"))?,
        stream_url: stream_url(answer.stream_url, &call)?,
        token: token
            .map(Secret::new)
            .ok_or_else(|| AwsError::incomplete(&call, "a token"))?,
    })
}

pub(crate) async fn resume(ready: &Ready, session_id: &str) -> Result<SessionAccess, AwsError> {
    let call = ready.call("ResumeSession", session_id);
    let answer = ready
        .configuration
        .ssm()
        .resume_session()
        .session_id(session_id)
        .send()
        .await
        .map_err(|error| SessionError::of_session(Failure::of(&error), session_id, &call))?;
    // That is how the service says that the session is over (docs/PROTOCOL.md, 1.1).
    let Some(token) = answer.token_value.filter(|token| !token.is_empty()) else {
        let session_id = session_id.to_owned();
        return Err(SessionError::Gone { session_id }.into());
    };
    Ok(SessionAccess {
        session_id: answer.session_id.unwrap_or_else(|| session_id.to_owned()),
        stream_url: stream_url(answer.stream_url, &call)?,
        token: Secret::new(token),
    })
}

fn stream_url(url: Option<String>, call: &Call<'_>) -> Result<Secret, AwsError> {
    url.filter(|url| !url.is_empty())
        .map(Secret::new)
        .ok_or_else(|| AwsError::incomplete(call, "a stream URL"))
}

pub(crate) async fn terminate(ready: &Ready, session_id: &str) -> Result<(), AwsError> {
    let call = ready.call("TerminateSession", session_id);
    let answer = ready
        .configuration
        .ssm()
        .terminate_session()
        .session_id(session_id)
        .send()
        .await
        .map_err(|error| SessionError::of_session(Failure::of(&error), session_id, &call));
    match answer {
        Ok(_) | Err(AwsError::Session(SessionError::Gone { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) async fn describe(
    ready: &Ready,
    session_id: &str,
) -> Result<SessionDescription, AwsError> {
    let call = ready.call("DescribeSessions", session_id);
    let filter = SessionFilter::builder()
        .key(SessionFilterKey::SessionId)
        .value(session_id)
        .build()
        .map_err(|error| AwsError::common(Failure::Other(error.to_string()), &call))?;
    let mut sessions = ready
        .configuration
        .ssm()
        .describe_sessions()
        .state(SessionState::Active)
        .filters(filter)
        .into_paginator()
        .items()
        .send();
    while let Some(session) = sessions.next().await {
        let session = session
            .map_err(|error| SessionError::of_session(Failure::of(&error), session_id, &call))?;
        if session.session_id() == Some(session_id)
            && let Some(target) = session.target
        {
            return Ok(SessionDescription::new(target));
        }
    }
    let session_id = session_id.to_owned();
    Err(SessionError::Gone { session_id }.into())
}

pub(crate) async fn connection_status(
    ready: &Ready,
    target: &str,
) -> Result<ConnectionStatus, AwsError> {
    let call = ready.call("GetConnectionStatus", target);
    let answer = ready
        .configuration
        .ssm()
        .get_connection_status()
        .target(target)
        .send()
        .await
        .map_err(|error| AwsError::common(Failure::of(&error), &call))?;
    match answer.status {
        Some(types::ConnectionStatus::Connected) => Ok(ConnectionStatus::Connected),
        Some(_) => Ok(ConnectionStatus::NotConnected),
        None => Err(AwsError::incomplete(&call, "a status")),
    }
}
