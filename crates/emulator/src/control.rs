//! The control plane: AWS's JSON 1.1 protocol, one operation per request (`docs/PROTOCOL.md` 1.1).
//!
//! The operation is named by the header `X-Amz-Target`; everything is POSTed to `/`.

mod admission;
mod containers;
mod demands;
mod keys;
mod nodes;
mod page;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

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
use hyper::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

pub(crate) use self::admission::admit_channel;
pub use self::sessions::StartSession;
pub use self::sessions::StartedSession;

use self::admission::Subject;
use crate::connect_faults::Cut;
use crate::error::ServiceError;
use crate::operation::Operation;
use crate::plan::ConnectStep;
use crate::random;
use crate::service::Service;

/// Answers one request.
pub(crate) async fn answer(
    service: &Arc<Service>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = read(body).await;
    if let Some(operation) = header(&head, TARGET).and_then(Operation::from_target) {
        service.pass(ConnectStep::Call(operation)).await?;
    }
    let answer = match body {
        Ok(body) => perform(service, &head, &body).await,
        Err(error) => Err(error),
    };
    let operation = header(&head, TARGET).unwrap_or_default();
    Ok(match answer {
        Ok(body) => {
            tracing::debug!(operation, "answered");
            respond(StatusCode::OK, body)
        }
        Err(error) => {
            tracing::debug!(operation, %error, "refused");
            let status = match &error {
                error if error.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
                error if error.is_internal() => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            };
            refuse(status, &error)
        }
    })
}

async fn read(body: Incoming) -> Result<Bytes, ServiceError> {
    let body = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_LIMIT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(ServiceError::validation(format!(
            "The request body could not be read: {error}; the limit is {MAX_BODY} bytes."
        ))),
        Err(_) => Err(ServiceError::new(
            "RequestTimeoutException",
            format!("The request body did not come within {BODY_LIMIT:?}."),
        )),
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
    head: &Parts,
    body: &[u8],
) -> Result<Vec<u8>, ServiceError> {
    let target = header(head, TARGET).unwrap_or_default();
    match target {
        CLOSE_CHANNEL => return encode(&service.close_channel(decode(body)?).await?),
        FREEZE_AGENT => return encode(&service.freeze_agent(true, decode(body)?).await?),
        THAW_AGENT => return encode(&service.freeze_agent(false, decode(body)?).await?),
        SET_FAULTS => return encode(&service.set_faults(decode(body)?)?),
        _ => {}
    }
    let Some(operation) = Operation::from_target(target) else {
        return Err(ServiceError::new(
            "UnknownOperationException",
            match target {
                "" => "The request has no X-Amz-Target header, so it names no operation.".into(),
                other => format!("The emulator has no operation {other}."),
            },
        ));
    };
    admission::authenticate(service, operation, head, body)?;
    let authority = header(head, HOST.as_str());
    let call = Call {
        service,
        operation,
        body,
    };
    match operation {
        Operation::StartSession => encode(&service.start_session(call.request()?, authority)?),
        Operation::ResumeSession => encode(&service.resume_session(&call.request()?, authority)?),
        Operation::TerminateSession => encode(&service.terminate_session(call.request()?).await),
        Operation::DescribeSessions => encode(&service.describe_sessions(&call.request()?)?),
        Operation::GetConnectionStatus => encode(&service.connection_status(call.request()?)),
        Operation::DescribeInstanceInformation => {
            encode(&service.describe_instances(&call.request()?)?)
        }
        Operation::GenerateDataKey => encode(&service.generate_data_key(&call.request()?)?),
        Operation::Decrypt => encode(&service.decrypt(&call.request()?)?),
        Operation::ExecuteCommand => encode(&service.execute_command(call.request()?, authority)?),
        Operation::DescribeTasks => encode(&service.describe_tasks(&call.request()?)?),
        Operation::OpenDataChannel => Err(ServiceError::new(
            "UnknownOperationException",
            "A data channel is opened by GET at /v1/data-channel/.",
        )),
    }
}

/// A call that was let in so far.
struct Call<'a> {
    service: &'a Service,
    operation: Operation,
    body: &'a [u8],
}

impl Call<'_> {
    /// What it asks for, unless the plan refuses that.
    fn request<T: DeserializeOwned + Subject>(&self) -> Result<T, ServiceError> {
        let request: T = decode(self.body)?;
        self.service.permit(self.operation, request.subject())?;
        Ok(request)
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
    // The layer that decides about access spells it so, in all these services.
    let message = match error.code() {
        "AccessDeniedException" => "Message",
        _ => "message",
    };
    let body = json!({"__type": error.code(), message: error.message()});
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

fn header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

const TARGET: &str = "x-amz-target";
/// The emulator's own operations; nobody has to sign them.
const CLOSE_CHANNEL: &str = "Emulator.CloseChannel";
const FREEZE_AGENT: &str = "Emulator.FreezeAgent";
const THAW_AGENT: &str = "Emulator.ThawAgent";
const SET_FAULTS: &str = "Emulator.SetFaults";
const REQUEST_ID: &str = "x-amzn-requestid";
/// Bytes of the largest request body read; the largest real one is a StartSession with its parameters.
const MAX_BODY: usize = 1024 * 1024;
/// How long a client may take to send it.
const BODY_LIMIT: Duration = Duration::from_secs(30);
