//! Who may call: signatures, and the refusals of the plan.

use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use serde_json::json;

use super::respond;
use crate::error::ServiceError;
use crate::operation::Operation;
use crate::service::Service;
use crate::signature;
use crate::signature::Scope;

/// What a call is about, as far as policies know it.
pub(super) trait Subject {
    /// A target, a session, a key, an ARN; empty where it is nothing in particular.
    fn subject(&self) -> &str {
        ""
    }
}

/// Checks the signature of a call if the plan knows any credentials.
pub(super) fn authenticate(
    service: &Service,
    operation: Operation,
    head: &Parts,
    body: &[u8],
) -> Result<(), ServiceError> {
    let known = &service.plan.credentials;
    if known.is_empty() {
        return Ok(());
    }
    let scope = scope(service, operation);
    let request = signed_part(head.method.as_str(), &head.uri, &head.headers, body);
    Ok(signature::verify(request, known, scope, SystemTime::now())?)
}

/// Lets the opening of a data channel pass, or answers it.
pub(crate) fn admit_channel(
    service: &Service,
    request: &Request<Incoming>,
    session_id: &str,
) -> Result<(), Box<Response<Full<Bytes>>>> {
    let operation = Operation::OpenDataChannel;
    authenticate_channel(service, request)
        .and_then(|()| service.permit(operation, session_id))
        .map_err(|error| {
            tracing::debug!(session_id, %error, "refused");
            Box::new(refuse_channel(&error))
        })
}

/// A signature may be left out unless the plan insists, but a wrong one is refused in any case.
fn authenticate_channel(
    service: &Service,
    request: &Request<Incoming>,
) -> Result<(), ServiceError> {
    let known = &service.plan.credentials;
    let part = signed_part(
        request.method().as_str(),
        request.uri(),
        request.headers(),
        &[],
    );
    let optional = !service.plan.signed_channels;
    if known.is_empty() || (optional && !signature::is_signed(part)) {
        return Ok(());
    }
    let scope = scope(service, Operation::OpenDataChannel);
    Ok(signature::verify(part, known, scope, SystemTime::now())?)
}

fn scope(service: &Service, operation: Operation) -> Scope<'_> {
    Scope {
        region: &service.plan.region,
        service: operation.api().signing_name(),
    }
}

fn signed_part<'a>(
    method: &'a str,
    uri: &'a hyper::Uri,
    headers: &'a hyper::HeaderMap,
    body: &'a [u8],
) -> signature::Request<'a> {
    signature::Request {
        method,
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers,
        body,
    }
}

/// The gateway speaks another dialect than the JSON services: the code is in a header.
fn refuse_channel(error: &ServiceError) -> Response<Full<Bytes>> {
    let status = match error {
        error if error.is_throttling() => StatusCode::TOO_MANY_REQUESTS,
        error if error.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
        error if error.is_internal() => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::FORBIDDEN,
    };
    let body = json!({"message": error.message()});
    let mut response = respond(status, body.to_string().into_bytes());
    if let Ok(code) = HeaderValue::from_str(error.code()) {
        response.headers_mut().insert(ERROR_TYPE, code);
    }
    response
}

const ERROR_TYPE: &str = "x-amzn-errortype";
