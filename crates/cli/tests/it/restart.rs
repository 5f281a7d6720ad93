//! Forwards that outlive their session: `ssh --restart`. The API is the test's own, its sessions are the emulator's.

use rustix::process::Signal;
use serde_json::json;
use ssm_session_emulator::ChannelClose;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::account::ssh_words;
use crate::account::with_credentials;
use crate::destination::Destination;
use crate::destination::connect;
use crate::destination::exchange;
use crate::destination::rest;
use crate::node::Node;
use crate::node::Started;
use crate::plugin::Piped;
use crate::service::Service;

const PORT: &str = "AWS-StartPortForwardingSession";
const US: &str = "session-manager-plugin: ";
const AWAY: &str = "TargetNotConnected";

/// A forward with its first session, and all that is around it.
struct Rig {
    node: Node,
    destination: Destination,
    api: Service,
    plugin: Piped,
    port: u16,
    /// The present session.
    id: String,
}

impl Rig {
    async fn start(more: &[&str]) -> Self {
        Self::with(Node::start().await, more).await
    }

    async fn with(node: Node, more: &[&str]) -> Self {
        let destination = Destination::echo().await;
        let api = Service::start().await;
        let parameters = json!({"portNumber": destination.port().to_string()}).to_string();
        let words = [
            "--restart",
            "--document-name",
            PORT,
            "--parameters",
            &parameters,
        ];
        let words = ssh_words(api.endpoint(), &[&words, more].concat()).join("\0");
        let words: Vec<&str> = words.split('\0').collect();
        let plugin = Piped::start(with_credentials(&words));
        let mut rig = Self {
            node,
            destination,
            api,
            plugin,
            port: 0,
            id: String::new(),
        };
        rig.id = rig.grant().await;
        rig.plugin
            .stderr
            .until("session-manager-plugin: port ")
            .await;
        rig.port = rig.plugin.stderr.up_to(" is open").await.parse().unwrap();
        rig
    }

    /// Answers the call of StartSession that comes with a session.
    async fn grant(&mut self) -> String {
        let asked = self.api.next().await;
        assert_eq!(asked.operation(), "StartSession");
        let started = self.node.forward(self.destination.port());
        asked.answer(200, &started.json());
        self.names(&started).await;
        started.id().to_owned()
    }

    async fn names(&mut self, started: &Started) {
        let line = format!("starting session with SessionId: {}\n", started.id());
        self.plugin.stderr.until(&line).await;
    }

    /// Answers the call that comes with an error.
    async fn refuse(&mut self, operation: &str, code: &str) {
        let asked = self.api.next().await;
        assert_eq!(asked.operation(), operation);
        let error = json!({"__type": code, "message": "not now"});
        asked.answer(400, &error.to_string());
    }

    async fn tells(&mut self, words: &str) {
        self.plugin.stderr.until(&format!("{US}{words}")).await;
    }

    /// Ends the session at the service.
    async fn end_session(&mut self) {
        self.node.emulator.terminate_session(&self.id).await;
        self.tells("the session ended (").await;
        self.plugin.stderr.until("); starting another\n").await;
    }

    /// Whether nobody listens at the port.
    async fn is_closed(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).await.is_err()
    }
}

#[tokio::test]
async fn a_node_that_starts_anew_is_forwarded_to_again_and_waiting_connections_are_served() {
    let mut rig = Rig::start(&[]).await;
    let mut old = connect(rig.port).await;
    exchange(&mut old, b"before").await;
    rig.end_session().await;
    assert_eq!(rest(&mut old).await, b"");
    let mut waiting = connect(rig.port).await;
    waiting.write_all(b"wait").await.unwrap();
    rig.refuse("StartSession", AWAY).await;
    rig.tells("no other session yet: target ").await;
    rig.refuse("StartSession", AWAY).await;
    let first = rig.id.clone();
    rig.id = rig.grant().await;
    assert_ne!(rig.id, first);
    rig.tells("forwarding again after ").await;
    let mut answer = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut waiting, &mut answer)
        .await
        .unwrap();
    assert_eq!(&answer, b"wait");
    exchange(&mut connect(rig.port).await, b"after").await;
    rig.plugin.signal(Signal::INT);
    let all = rig.plugin.stderr.until_end().await;
    // What is the same twice is said once.
    assert_eq!(all.matches("no other session yet").count(), 1, "{all}");
    assert_eq!(
        all.matches("the first connection has come").count(),
        1,
        "{all}"
    );
    assert_eq!(rig.plugin.stdout.until_end().await, "");
    assert_eq!(rig.plugin.status().await.code(), Some(130));
    rig.node.ends(&rig.id).await;
    assert!(rig.is_closed().await);
}

#[tokio::test]
async fn it_happens_again_and_with_agents_that_take_one_connection_at_a_time() {
    let mut rig = Rig::with(Node::with_agent("3.0.196.0").await, &[]).await;
    for _ in 0..3 {
        let mut connection = connect(rig.port).await;
        exchange(&mut connection, b"hello").await;
        rig.end_session().await;
        assert_eq!(rest(&mut connection).await, b"");
        rig.id = rig.grant().await;
        rig.tells("forwarding again after ").await;
    }
    exchange(&mut connect(rig.port).await, b"hello").await;
    rig.plugin.signal(Signal::TERM);
    assert_eq!(rig.plugin.status().await.code(), Some(143));
}

#[tokio::test]
async fn a_session_that_cannot_be_resumed_is_ended_and_another_takes_over() {
    let mut rig = Rig::start(&[]).await;
    let mut old = connect(rig.port).await;
    exchange(&mut old, b"before").await;
    let closed = rig
        .node
        .emulator
        .close_channels(ChannelClose::Cut, None)
        .await;
    assert_eq!(closed, 1);
    rig.refuse("ResumeSession", "AccessDeniedException").await;
    let asked = rig.api.next().await;
    assert_eq!(asked.operation(), "TerminateSession");
    assert_eq!(asked.json()["SessionId"], rig.id.as_str());
    asked.answer(200, &json!({"SessionId": rig.id}).to_string());
    rig.tells("the session ended (").await;
    assert_eq!(rest(&mut old).await, b"");
    rig.id = rig.grant().await;
    rig.tells("forwarding again after ").await;
    exchange(&mut connect(rig.port).await, b"after").await;
}

#[tokio::test]
async fn a_session_that_is_gone_when_it_is_to_be_resumed_is_followed_by_another() {
    let mut rig = Rig::start(&[]).await;
    let emulator = &rig.node.emulator;
    emulator.close_channels(ChannelClose::Cut, None).await;
    rig.refuse("ResumeSession", "DoesNotExistException").await;
    rig.tells("the session ended (").await;
    rig.id = rig.grant().await;
    rig.tells("forwarding again after ").await;
    exchange(&mut connect(rig.port).await, b"after").await;
}

#[tokio::test]
async fn one_that_could_not_be_ended_is_ended_as_soon_as_there_is_another() {
    let mut rig = Rig::start(&[]).await;
    rig.node
        .emulator
        .close_channels(ChannelClose::Cut, None)
        .await;
    rig.refuse("ResumeSession", "AccessDeniedException").await;
    rig.refuse("TerminateSession", "ThrottlingException").await;
    let first = rig.id.clone();
    // The SDK may try again by itself before it gives up.
    loop {
        let asked = rig.api.next().await;
        if asked.operation() == "StartSession" {
            let started = rig.node.forward(rig.destination.port());
            asked.answer(200, &started.json());
            break;
        }
        let error = json!({"__type": "ThrottlingException", "message": "not now"});
        asked.answer(400, &error.to_string());
    }
    let asked = rig.api.next().await;
    assert_eq!(asked.operation(), "TerminateSession");
    assert_eq!(asked.json()["SessionId"], first.as_str());
    asked.answer(200, &json!({"SessionId": first}).to_string());
    rig.tells("forwarding again after ").await;
}

#[tokio::test]
async fn a_refusal_for_good_ends_it_at_once_with_a_sentence() {
    let mut rig = Rig::start(&[]).await;
    rig.end_session().await;
    rig.refuse("StartSession", "AccessDeniedException").await;
    rig.tells("access is denied: not now; ask for ssm:StartSession")
        .await;
    rig.plugin.stderr.until_end().await;
    assert_eq!(rig.plugin.status().await.code(), Some(1));
    assert!(rig.api.is_idle());
    assert!(rig.is_closed().await);
}

#[tokio::test]
async fn when_the_time_is_up_it_is_given_up_with_the_last_reason() {
    let mut rig = Rig::start(&["--resume-for", "1"]).await;
    rig.end_session().await;
    let refusing = async {
        loop {
            rig.api
                .next()
                .await
                .answer(400, r#"{"__type":"TargetNotConnected"}"#);
        }
    };
    let status = tokio::select! {
        status = rig.plugin.status() => status,
        () = refusing => unreachable!("it has no end"),
    };
    assert_eq!(status.code(), Some(1));
    let all = rig.plugin.stderr.until_end().await;
    let last = all.lines().last().unwrap();
    assert!(
        last.starts_with(&format!("{US}no session could take over for ")),
        "{all}"
    );
    assert!(last.contains("is not connected"), "{all}");
    assert!(rig.is_closed().await);
}

#[tokio::test]
async fn a_signal_ends_it_while_there_is_no_session() {
    for (signal, status) in [(Signal::INT, 130), (Signal::HUP, 129)] {
        let mut rig = Rig::start(&[]).await;
        rig.end_session().await;
        rig.refuse("StartSession", AWAY).await;
        rig.tells("no other session yet: ").await;
        rig.plugin.signal(signal);
        assert_eq!(rig.plugin.status().await.code(), Some(status));
        assert!(rig.is_closed().await);
    }
}

#[tokio::test]
async fn a_session_that_starts_while_a_signal_ends_it_is_ended() {
    let mut rig = Rig::start(&[]).await;
    rig.end_session().await;
    let asked = rig.api.next().await;
    assert_eq!(asked.operation(), "StartSession");
    rig.plugin.signal(Signal::TERM);
    let started = rig.node.forward(rig.destination.port());
    asked.answer(200, &started.json());
    let asked = rig.api.next().await;
    assert_eq!(asked.operation(), "TerminateSession");
    assert_eq!(asked.json()["SessionId"], started.id());
    asked.answer(200, &json!({"SessionId": started.id()}).to_string());
    assert_eq!(rig.plugin.status().await.code(), Some(143));
}

#[tokio::test]
async fn a_session_that_cannot_be_reached_is_ended_and_the_next_is_tried() {
    let mut rig = Rig::start(&[]).await;
    rig.end_session().await;
    let access =
        json!({"SessionId": "s-1", "StreamUrl": "ws://127.0.0.1:1/x", "TokenValue": "hidden"});
    rig.api.next().await.answer(200, &access.to_string());
    let asked = rig.api.next().await;
    assert_eq!(asked.operation(), "TerminateSession");
    assert_eq!(asked.json()["SessionId"], "s-1");
    asked.answer(200, &json!({"SessionId": "s-1"}).to_string());
    rig.tells("no other session yet: 127.0.0.1 port 1 could not be reached")
        .await;
    rig.id = rig.grant().await;
    rig.tells("forwarding again after ").await;
    exchange(&mut connect(rig.port).await, b"after").await;
}

#[tokio::test]
async fn a_document_that_turns_out_to_be_no_forward_is_run_once_and_told() {
    let node = Node::start().await;
    let endpoint = node.emulator.endpoint();
    let more = [
        "--restart",
        "--document-name",
        "Emulator-SeparateOutput",
        "--parameters",
        r#"{"command": ["echo once"]}"#,
    ];
    let mut plugin = Piped::start(with_credentials(&ssh_words(&endpoint, &more)));
    assert_eq!(plugin.stdout.until_end().await, "once\n");
    let all = plugin.stderr.until_end().await;
    let line = format!("{US}--restart is for sessions that forward a port, and this one did not\n");
    assert!(all.ends_with(&line), "{all}");
    assert_eq!(plugin.status().await.code(), Some(0));
}
