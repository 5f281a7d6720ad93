//! The control plane: AWS's JSON 1.1 protocol, one operation per request (`docs/PROTOCOL.md` 1.1).
//!
//! The operation is named by the header `X-Amz-Target`; everything is POSTed to `/`. Signatures are not looked at.

mod keys;
mod nodes;
mod page;
mod sessions;
mod time;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

pub use self::sessions::StartSession;
pub use self::sessions::StartedSession;

use crate::error::ServiceError;
use crate::random;
use crate::service::Service;

/// Answers one request.
pub(crate) async fn answer(
    service: &Arc<Service>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let operation = header(&request, TARGET).unwrap_or_default().to_owned();
    let authority = header(&request, HOST.as_str()).map(str::to_owned);
    let answer = match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => perform(service, &operation, &body.to_bytes(), authority.as_deref()).await,
        Err(error) => Err(ServiceError::validation(format!(
            "The request body could not be read: {error}; the limit is {MAX_BODY} bytes."
        ))),
    };
    match answer {
        Ok(body) => {
            tracing::debug!(operation, "answered");
            respond(StatusCode::OK, body)
        }
        Err(error) => {
            tracing::debug!(operation, %error, "refused");
            refuse(StatusCode::BAD_REQUEST, &error)
        }
    }
}

/// The answer to what is not addressed to the control plane at all.
pub(crate) fn unknown_operation(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    refuse(
        status,
        &ServiceError::new("UnknownOperationException", message),
    )
}

async fn perform(
    service: &Arc<Service>,
    operation: &str,
    body: &[u8],
    authority: Option<&str>,
) -> Result<Vec<u8>, ServiceError> {
    match operation {
        "AmazonSSM.StartSession" => encode(&service.start_session(decode(body)?, authority)?),
        "AmazonSSM.ResumeSession" => encode(&service.resume_session(&decode(body)?, authority)?),
        "AmazonSSM.TerminateSession" => encode(&service.terminate_session(decode(body)?).await),
        "AmazonSSM.DescribeSessions" => encode(&service.describe_sessions(&decode(body)?)?),
        "AmazonSSM.GetConnectionStatus" => encode(&service.connection_status(decode(body)?)),
        "AmazonSSM.DescribeInstanceInformation" => {
            encode(&service.describe_instances(&decode(body)?)?)
        }
        "TrentService.GenerateDataKey" => encode(&service.generate_data_key(&decode(body)?)?),
        "TrentService.Decrypt" => encode(&service.decrypt(&decode(body)?)?),
        "" => Err(ServiceError::new(
            "UnknownOperationException",
            "The request has no X-Amz-Target header, so it names no operation.",
        )),
        other => Err(ServiceError::new(
            "UnknownOperationException",
            format!("The emulator has no operation {other}."),
        )),
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        ServiceError::validation(format!("The request body is no JSON object: {error}."))
    })?;
    serde_json::from_value(Value::Object(fields)).map_err(|error| {
        ServiceError::validation(format!(
            "The request is not what the operation takes: {error}."
        ))
    })
}

fn encode<T: Serialize>(answer: &T) -> Result<Vec<u8>, ServiceError> {
    serde_json::to_vec(answer).map_err(|error| {
        ServiceError::new(
            "InternalServerError",
            format!("The answer has no JSON form: {error}."),
        )
    })
}

fn refuse(status: StatusCode, error: &ServiceError) -> Response<Full<Bytes>> {
    let body = json!({"__type": error.code(), "message": error.message()});
    respond(status, body.to_string().into_bytes())
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-amz-json-1.1"),
    );
    let id = uuid::Builder::from_random_bytes(random::bytes()).into_uuid();
    let id = HeaderValue::from_str(&id.hyphenated().to_string());
    headers.insert(REQUEST_ID, id.expect("a UUID is plain ASCII"));
    response
}

fn header<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

const TARGET: &str = "x-amz-target";
const REQUEST_ID: &str = "x-amzn-requestid";
/// Bytes of the largest request body read; the largest real one is a StartSession with its parameters.
const MAX_BODY: usize = 1024 * 1024;
