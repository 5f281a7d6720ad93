//! Where the API is asked, by what callers name as its endpoint.

use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::json;
use tokio::process::Command;

use crate::account::with_credentials;
use crate::node::TARGET;
use crate::plugin::Piped;
use crate::plugin::run;
use crate::service::Service;

/// A session that cannot be used, so that the API is asked to end it: its local port is taken, its service not there.
struct Unusable {
    _holder: TcpListener,
    words: Vec<String>,
}

impl Unusable {
    fn new() -> Self {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port().to_string();
        let response = json!({
            "SessionId": "s-1",
            "StreamUrl": "ws://127.0.0.1:1/v1/data-channel/s-1",
            "TokenValue": "token",
        });
        let request = json!({
            "Target": TARGET,
            "DocumentName": "AWS-StartPortForwardingSession",
            "Parameters": {"portNumber": ["80"], "localPortNumber": [port]},
        });
        let words = [
            response.to_string(),
            "us-east-1".to_owned(),
            "StartSession".to_owned(),
            String::new(),
            request.to_string(),
        ];
        Self {
            _holder: holder,
            words: words.to_vec(),
        }
    }

    fn with_endpoint(&self, endpoint: &str) -> Command {
        let words = [&self.words[..], &[endpoint.to_owned()]].concat();
        with_credentials(&words)
    }
}

/// Takes the request to end the session, which must be a signed one.
async fn is_asked(service: &mut Service, command: Command) {
    let finished = tokio::spawn(run(command));
    let asked = service.next().await;
    assert_eq!(asked.operation(), "TerminateSession");
    assert_eq!(asked.json()["SessionId"], "s-1");
    let header = asked.header.to_ascii_lowercase();
    assert!(header.contains("/us-east-1/ssm/aws4_request"), "{header}");
    asked.answer(200, r#"{"SessionId":"s-1"}"#);
    assert_eq!(finished.await.unwrap().status, Some(0));
}

#[tokio::test]
async fn an_endpoint_that_may_be_systems_managers_is_asked() {
    let (mut service, session) = (Service::start().await, Unusable::new());
    let command = session.with_endpoint(service.endpoint());
    is_asked(&mut service, command).await;
    // An empty profile that a shell dropped moves the endpoint up.
    let mut words = session.words.clone();
    words.remove(3);
    words.push(service.endpoint().to_owned());
    is_asked(&mut service, with_credentials(&words)).await;
}

#[tokio::test]
async fn an_endpoint_of_others_is_left_aside() {
    for endpoint in [
        "",
        "https://ecs.us-east-1.amazonaws.com",
        "wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/s-1?role=x",
    ] {
        let (mut service, session) = (Service::start().await, Unusable::new());
        let mut command = session.with_endpoint(endpoint);
        // Where the SDK goes when nobody names an endpoint.
        command.env("AWS_ENDPOINT_URL_SSM", service.endpoint());
        is_asked(&mut service, command).await;
    }
}

#[tokio::test]
async fn connect_asks_the_endpoint_of_its_option() {
    let (mut service, session) = (Service::start().await, Unusable::new());
    let request: serde_json::Value = serde_json::from_str(&session.words[4]).unwrap();
    let parameters = request["Parameters"].to_string();
    let endpoint = service.endpoint().to_owned();
    let words = [
        "connect",
        &session.words[0],
        "--region",
        "us-east-1",
        "--parameters",
        &parameters,
        "--endpoint-url",
        &endpoint,
    ];
    let finished = tokio::spawn(run(with_credentials(&words)));
    let asked = service.next().await;
    assert_eq!(asked.operation(), "TerminateSession");
    asked.answer(200, r#"{"SessionId":"s-1"}"#);
    let finished = finished.await.unwrap();
    assert_eq!(finished.status, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("is in use"), "{finished:?}");
}

#[tokio::test]
async fn a_signal_while_connecting_ends_the_session() {
    // A service that takes the connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let response = json!({
        "SessionId": "s-1",
        "StreamUrl": format!("ws://{}/x", silent.local_addr().unwrap()),
        "TokenValue": "token",
    });
    let (response, mut service) = (response.to_string(), Service::start().await);
    let words = [
        &response,
        "us-east-1",
        "StartSession",
        "",
        "{}",
        service.endpoint(),
    ];
    let mut plugin = Piped::start(with_credentials(&words));
    plugin
        .stdout
        .until("Starting session with SessionId: s-1\n")
        .await;
    plugin.signal(Signal::TERM);
    let asked = service.next().await;
    assert_eq!(asked.operation(), "TerminateSession");
    asked.answer(200, r#"{"SessionId":"s-1"}"#);
    plugin
        .stdout
        .until("Exiting session with sessionId: s-1.")
        .await;
    assert_eq!(plugin.status().await.code(), Some(0));
}
