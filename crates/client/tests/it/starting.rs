//! Sessions from their very beginning, with an API that is not what it should be.

use std::sync::Arc;
use std::sync::Mutex;

use ssm_session::ApiError;
use ssm_session::ApiErrorKind;
use ssm_session::BoxFuture;
use ssm_session::ControlPlane;
use ssm_session::Options;
use ssm_session::Secret;
use ssm_session::SessionAccess;
use ssm_session::StartError;
use ssm_session::StartRequest;
use tokio::net::TcpListener;

use crate::node::TARGET;
use crate::support::SESSION;
use crate::support::within_reason;

/// An API that starts sessions at an address of the test's choice.
struct Starting {
    stream_url: String,
    terminated: Mutex<Vec<String>>,
}

impl ControlPlane for Starting {
    fn start_session(
        &self,
        request: StartRequest,
    ) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        assert_eq!(request.target, TARGET);
        let access = SessionAccess {
            session_id: SESSION.to_owned(),
            stream_url: Secret::new(self.stream_url.clone()),
            token: Secret::new("token"),
        };
        Box::pin(async { Ok(access) })
    }

    fn terminate_session(&self, session_id: &str) -> BoxFuture<'_, Result<(), ApiError>> {
        self.terminated.lock().unwrap().push(session_id.to_owned());
        Box::pin(async { Ok(()) })
    }
}

/// Why no session comes of it, and the sessions that were ended.
async fn failure(stream_url: String) -> (StartError, Vec<String>) {
    let api = Arc::new(Starting {
        stream_url,
        terminated: Mutex::default(),
    });
    let options = Options {
        control_plane: Some(Arc::clone(&api) as Arc<dyn ControlPlane>),
        ..Options::default()
    };
    let error = within_reason(ssm_session::start(request(), options)).await;
    let terminated = api.terminated.lock().unwrap().clone();
    (error.unwrap_err(), terminated)
}

fn request() -> StartRequest {
    StartRequest {
        target: TARGET.to_owned(),
        ..StartRequest::default()
    }
}

#[tokio::test]
async fn without_an_api_there_is_nobody_to_start_sessions() {
    let error = ssm_session::start(request(), Options::default()).await;
    match error.unwrap_err() {
        StartError::Api(error) => assert_eq!(error.kind(), ApiErrorKind::Unsupported),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_at_an_address_that_is_not_to_be_trusted_is_ended_and_not_connected_to() {
    let (error, terminated) = failure("wss://ssmmessages.evil.example/v1".to_owned()).await;
    assert!(matches!(error, StartError::StreamUrl(_)), "{error:?}");
    assert!(
        error.to_string().contains("ssmmessages.evil.example"),
        "{error}"
    );
    assert_eq!(terminated, [SESSION]);
}

#[tokio::test]
async fn a_session_that_cannot_be_reached_is_ended() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (error, terminated) = failure(format!("ws://127.0.0.1:{port}/v1")).await;
    assert!(matches!(error, StartError::Connect(_)), "{error:?}");
    assert_eq!(terminated, [SESSION]);
}
