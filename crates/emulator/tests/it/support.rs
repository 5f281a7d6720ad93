//! An HTTP client, a bare data channel, and a guard against hanging.

use std::future::Future;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Request;
use hyper::StatusCode;
use hyper_util::rt::TokioIo;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;
use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartedSession;
use ssm_session_proto as proto;
use ssm_session_proto::MessageType;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::process::Command;
use tokio_websockets::ClientBuilder;
use tokio_websockets::MaybeTlsStream;
use tokio_websockets::Message;
use tokio_websockets::WebSocketStream;

/// Long enough for the slowest machine; only a hang takes longer.
const GUARD: Duration = Duration::from_secs(60);

/// Runs a test, with a limit that only a hang reaches.
pub(crate) fn run(test: impl Future<Output = ()>) {
    allow_open_files();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            tokio::time::timeout(GUARD, test)
                .await
                .expect("the test hangs");
        });
}

/// Tests with hundreds of connections hold both ends of them, and more than one runs at a time.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // What is not allowed shows where files are opened.
    setrlimit(Resource::Nofile, most).ok();
}

pub(crate) fn plan() -> Plan {
    Plan {
        pacing: Pacing::None,
        ..Plan::default()
    }
}

pub(crate) async fn emulator() -> Emulator {
    Emulator::start(plan()).await.unwrap()
}

/// One HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The error code, of an answer that is an error as SDKs know it.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.status, StatusCode::BAD_REQUEST, "{self:?}");
        self.json()["__type"].as_str().unwrap().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn send(emulator: &Emulator, request: Request<Full<Bytes>>) -> Answer {
    send_to(emulator.local_addr(), request).await
}

async fn send_to(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let exchange = async {
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    };
    tokio::select! {
        answer = exchange => answer,
        broken = connection => panic!("no answer: {broken:?}"),
    }
}

/// Calls an operation with a body as it is.
pub(crate) async fn post(emulator: &Emulator, operation: &str, body: impl Into<Bytes>) -> Answer {
    post_to(emulator.local_addr(), operation, body).await
}

async fn post_to(address: SocketAddr, operation: &str, body: impl Into<Bytes>) -> Answer {
    let request = Request::post("/")
        .header("host", address.to_string())
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", operation)
        .body(Full::new(body.into()))
        .unwrap();
    send_to(address, request).await
}

pub(crate) async fn call(emulator: &Emulator, operation: &str, body: Value) -> Answer {
    post(emulator, operation, body.to_string()).await
}

/// Calls an operation that must succeed.
pub(crate) async fn ask(emulator: &Emulator, operation: &str, body: Value) -> Value {
    let answer = call(emulator, operation, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

/// The same of an emulator that is a program of its own.
pub(crate) async fn ask_at(address: SocketAddr, operation: &str, body: Value) -> Value {
    let answer = post_to(address, operation, body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

/// An emulator that is a program of its own, and where it listens.
pub(crate) async fn serving(options: &[&str]) -> (Child, SocketAddr) {
    let mut serve = program(&["serve", "--pace", "none"]);
    let mut emulator = serve.args(options).spawn().unwrap();
    let mut stdout = BufReader::new(emulator.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).await.unwrap();
    let endpoint = line.strip_prefix("ssm-emulator ready at http://").unwrap();
    (emulator, endpoint.trim_end().parse().unwrap())
}

/// The program, its standard input and output held by the test.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssm-emulator"));
    command.args(arguments).kill_on_drop(true);
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    streams.stderr(Stdio::null());
    command
}

/// A size from `/proc/<pid>/status`, in KiB.
#[cfg(target_os = "linux")]
pub(crate) fn kib(process: u32, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mut lines = status.lines();
    let line = lines.find(|line| line.split(':').next() == Some(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

pub(crate) type Upgraded = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The bare client end of a data channel.
pub(crate) struct Channel(pub(crate) Upgraded);

impl Channel {
    /// Connects without a word.
    pub(crate) async fn connect(url: &str) -> Self {
        let builder = ClientBuilder::new().uri(url).unwrap();
        Self(builder.connect().await.unwrap().0)
    }

    /// Connects and sends the token.
    pub(crate) async fn open(session: &StartedSession) -> Self {
        Self::open_with(&session.stream_url, session.token.expose()).await
    }

    pub(crate) async fn open_with(url: &str, token: &str) -> Self {
        let mut channel = Self::connect(url).await;
        channel.send(Message::text(open_frame(token))).await;
        channel
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next message of a type, past others.
    pub(crate) async fn receive(&mut self, wanted: MessageType) -> proto::Message {
        loop {
            let message = self.next().await;
            if message.message_type == wanted {
                return message;
            }
        }
    }

    /// The next message, whatever its type.
    pub(crate) async fn next(&mut self) -> proto::Message {
        loop {
            let message = self.0.next().await.expect("the channel is open").unwrap();
            if let Ok(message) = proto::Message::decode(&message.into_payload().into()) {
                return message;
            }
        }
    }

    /// A ping is answered, and nothing comes before the answer.
    pub(crate) async fn assert_only_pongs(&mut self) {
        self.send(Message::ping("anybody?")).await;
        let message = self.0.next().await.unwrap().unwrap();
        assert!(message.is_pong(), "{message:?}");
    }

    /// A ping is answered, whatever comes before the answer.
    pub(crate) async fn assert_alive(&mut self) {
        self.send(Message::ping("anybody?")).await;
        while !self.0.next().await.unwrap().unwrap().is_pong() {}
    }

    /// The code and text the service closes with.
    pub(crate) async fn closed(mut self) -> (u16, String) {
        loop {
            let message = self
                .0
                .next()
                .await
                .expect("a close frame comes first")
                .unwrap();
            if let Some((code, text)) = message.as_close() {
                return (code.into(), text.to_owned());
            }
        }
    }
}

/// Sends a request for a WebSocket and reads no answer.
pub(crate) async fn ask_for_channel(url: &str) -> TcpStream {
    let (authority, path) = url.trim_start_matches("ws://").split_once('/').unwrap();
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    say(authority.parse().unwrap(), request.as_bytes()).await
}

/// Connects and sends what may be anything.
pub(crate) async fn say(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Whether the emulator hangs up meanwhile is its own affair.
    stream.write_all(bytes).await.ok();
    stream
}

/// Everything that comes until the connection ends, in order or not.
pub(crate) async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut seen = Vec::new();
    // A connection closed on unread data is reset.
    stream.read_to_end(&mut seen).await.ok();
    seen
}

pub(crate) fn open_frame(token: &str) -> String {
    json!({
        "MessageSchemaVersion": "1.0",
        "RequestId": "7d0d6bc5-0a86-4d1a-a5bd-c5a2b2a0a2b0",
        "TokenValue": token,
        "ClientId": "35535b5d-37c4-412b-a99a-133f64ef3ed2",
        "ClientVersion": "1.2.764.0",
    })
    .to_string()
}
