//! A client and the service in between, for sessions of the real agent in one test.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use bytes::Buf as _;
use bytes::BytesMut;
use serde_json::json;
use ssm_session_proto::AgentWays;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::ClientConfig;
use ssm_session_proto::ClientSession;
use ssm_session_proto::DataKey;
use ssm_session_proto::DataKeyRequest;
use ssm_session_proto::Established;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::OutputStream;
use ssm_session_proto::Secret;
use ssm_session_proto::SessionState;
use ssm_session_proto::SessionType;
use ssm_session_proto::TerminalSize;
use ssm_session_proto::UnixMillis;
use ssm_session_proto::WallClock;
use ssm_session_proto::service;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::agent::AgentTask;
use crate::agent::Outcome;
use crate::agent::Relay;
use crate::agent::driver::now;
use crate::agent::run;
use crate::deadline::until;
use crate::documents::Inputs;
use crate::documents::ResolvedDocument;
use crate::kms::Kms;
use crate::plan::KmsKey;
use crate::plan::Pacing;
use crate::plan::Plan;
use crate::random;

pub(super) const SESSION: &str = "emulator-0123456789abcdef0";
pub(super) const TARGET: &str = "i-0123456789abcdef0";
pub(super) const KEY: &str = "alias/emulator-session";

/// How a client gets its data key.
type KeySource = Box<dyn Fn(&Kms, DataKeyRequest) -> Result<DataKey, String> + Send>;

/// A session: the real agent at one end, the real client machine at the other.
pub(super) struct Rig {
    client: ClientSession,
    typed: BytesMut,
    outgoing: Option<Frame>,
    to_agent: mpsc::Sender<Frame>,
    from_agent: mpsc::Receiver<Frame>,
    agent: JoinHandle<Outcome>,
    kms: Arc<Kms>,
    key_source: KeySource,
    pub(super) seen: Seen,
}

/// Everything the client and the service have seen of a session.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) exit_code: Option<i32>,
    /// What came after the exit code.
    pub(super) after_exit_code: Vec<u8>,
    pub(super) established: Option<Established>,
    /// Messages of output that were not whole characters.
    pub(super) cut_messages: usize,
    pub(super) states: Vec<String>,
    pub(super) outcome: Option<Outcome>,
}

/// What fits a failed test's message.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |bytes: &[u8]| {
            String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(200)..]).into_owned()
        };
        f.debug_struct("Seen")
            .field("bytes", &(self.stdout.len(), self.stderr.len()))
            .field("stdout ends", &end(&self.stdout))
            .field("stderr ends", &end(&self.stderr))
            .field("exit_code", &self.exit_code)
            .field("established", &self.established)
            .field("states", &self.states)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl Seen {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(super) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl Rig {
    pub(super) fn start(document: ResolvedDocument) -> Self {
        Self::with(document, |_| {})
    }

    pub(super) fn with(document: ResolvedDocument, change: impl FnOnce(&mut AgentTask)) -> Self {
        let mut task = AgentTask {
            session_id: SESSION.to_owned(),
            instance_id: TARGET.to_owned(),
            document,
            challenge: ChallengeMode::Offered,
            pacing: Pacing::None,
            agent_version: Plan::AGENT_VERSION.to_owned(),
            payload: 1024,
            ways: AgentWays::default(),
            guard: Arc::default(),
        };
        change(&mut task);
        let (to_client, from_agent) = mpsc::channel(4);
        let (to_agent, from_gateway) = mpsc::channel(4);
        let kms = Arc::new(Kms::new(
            "us-east-1",
            "123456789012",
            vec![KmsKey::default()],
        ));
        let relay = Relay {
            to_client,
            from_gateway,
        };
        let config = ClientConfig {
            client_id: Uuid::from_u128(1),
            session_id: SESSION.to_owned(),
            target: Some(TARGET.to_owned()),
        };
        let clock = WallClock::new(now(), SystemTime::UNIX_EPOCH.elapsed().unwrap());
        let mut client = ClientSession::new(config, clock, random::bytes());
        client.handle_connected(&Secret::new("token"), now());
        Self {
            client,
            typed: BytesMut::new(),
            outgoing: None,
            to_agent,
            from_agent,
            agent: tokio::spawn(run(task, relay, Arc::clone(&kms))),
            kms,
            key_source: Box::new(generated_key),
            seen: Seen::default(),
        }
    }

    pub(super) fn key_source(
        mut self,
        source: impl Fn(&Kms, DataKeyRequest) -> Result<DataKey, String> + Send + 'static,
    ) -> Self {
        self.key_source = Box::new(source);
        self
    }

    pub(super) fn type_in(&mut self, data: impl AsRef<[u8]>) {
        self.typed.extend_from_slice(data.as_ref());
    }

    pub(super) fn resize(&mut self, cols: u32, rows: u32) {
        self.client.resize(TerminalSize { cols, rows }, now());
    }

    /// Lets the session run until `happened`, which must come before its end.
    pub(super) async fn until(&mut self, happened: impl Fn(&Seen) -> bool) {
        let run = async {
            loop {
                self.settle();
                if happened(&self.seen) {
                    return;
                }
                assert!(self.step().await, "the session ended: {:?}", self.seen);
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, run).await.is_ok();
        assert!(in_time, "it never happened: {:?}", self.seen);
    }

    /// Lets the session run until `text` stands in the output.
    pub(super) async fn until_text(&mut self, text: &str) {
        self.until(|seen| seen.text().contains(text)).await;
    }

    /// Lets the session run to its end.
    pub(super) async fn end(mut self) -> Seen {
        let run = async { while self.step().await {} };
        let in_time = tokio::time::timeout(PATIENCE, run).await.is_ok();
        assert!(in_time, "it never ended: {:?}", self.seen);
        self.seen
    }

    /// Gives the agent every chance to do something without letting anybody wait for it.
    pub(super) async fn idle(&mut self) {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
            while let Ok(frame) = self.from_agent.try_recv() {
                self.carry(&frame);
            }
        }
    }

    /// A frame of the service's own.
    pub(super) async fn tell_agent(&self, frame: impl FnOnce(Uuid, UnixMillis) -> Frame) {
        let frame = frame(Uuid::from_u128(2), UnixMillis(1));
        self.to_agent.send(frame).await.unwrap();
    }

    pub(super) async fn close_channel(&self) {
        self.tell_agent(|id, at| service::channel_closed(SESSION, "", id, at))
            .await;
    }

    /// Drops the agent where it stands, as the emulator's end does.
    pub(super) async fn abort(self) {
        self.agent.abort();
        assert!(self.agent.await.unwrap_err().is_cancelled());
    }

    /// Drops the service's ends of the relay, and waits until the agent has noticed.
    pub(super) async fn leave(self) {
        drop((self.to_agent, self.from_agent));
        let left = tokio::time::timeout(PATIENCE, self.agent).await;
        left.expect("the agent went on without the service")
            .unwrap();
    }

    /// Everything that needs no waiting.
    fn settle(&mut self) {
        let written = self.client.write(&self.typed, now());
        self.typed.advance(written);
        if self.outgoing.is_none() {
            // The text that opens the channel is the service's alone.
            self.outgoing = std::iter::from_fn(|| self.client.poll_transmit(now()))
                .find(|frame| matches!(frame, Frame::Binary(_)));
        }
        while let Some(event) = self.client.poll_event() {
            self.on_event(event);
        }
    }

    /// Waits for one thing to happen; false when the agent has ended and all it sent was carried.
    async fn step(&mut self) -> bool {
        self.settle();
        let timeout = self.client.poll_timeout().map(Instant::from_std);
        let sending = self.outgoing.is_some();
        let received = tokio::select! {
            frame = self.from_agent.recv() => Some(frame),
            Ok(room) = self.to_agent.reserve(), if sending => {
                room.send(self.outgoing.take().unwrap());
                None
            }
            () = until(timeout) => {
                self.client.handle_timeout(now());
                None
            }
        };
        match received {
            Some(Some(frame)) => self.carry(&frame),
            Some(None) => {
                self.settle();
                self.seen.outcome = Some((&mut self.agent).await.unwrap());
                return false;
            }
            None => {}
        }
        true
    }

    /// What the service does with a frame of the agent.
    fn carry(&mut self, frame: &Frame) {
        let Frame::Binary(bytes) = frame else {
            return;
        };
        let message = Message::decode(bytes).unwrap();
        if message.message_type == MessageType::AGENT_SESSION_STATE {
            let state: SessionState = serde_json::from_slice(&message.payload).unwrap();
            self.seen.states.push(state.session_state);
        } else {
            self.client.handle_frame(frame, now());
            self.settle();
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Established(established) => self.seen.established = Some(established),
            Event::DataKeyNeeded(request) => {
                let key = (self.key_source)(&self.kms, request);
                self.client.handle_data_key(key, now());
            }
            Event::Output { stream, data } => {
                self.seen.cut_messages += usize::from(std::str::from_utf8(&data).is_err());
                if self.seen.exit_code.is_some() {
                    self.seen.after_exit_code.extend_from_slice(&data);
                }
                match stream {
                    OutputStream::Stdout => self.seen.stdout.extend_from_slice(&data),
                    OutputStream::Stderr => self.seen.stderr.extend_from_slice(&data),
                }
            }
            Event::ExitCode(code) => self.seen.exit_code = Some(code),
            _ => {}
        }
    }
}

/// As a client of the emulated KMS gets it.
pub(super) fn generated_key(kms: &Kms, request: DataKeyRequest) -> Result<DataKey, String> {
    kms.generate_data_key(&request.key_id, 64, &request.encryption_context)
        .map(|key| DataKey {
            plaintext: key.plaintext,
            ciphertext: key.ciphertext,
        })
        .map_err(|error| error.to_string())
}

pub(super) fn shell() -> ResolvedDocument {
    ResolvedDocument {
        session_type: SessionType::STANDARD_STREAM,
        properties: json!({}),
        inputs: Inputs::default(),
    }
}

pub(super) fn interactive(command: &str) -> ResolvedDocument {
    command_document(
        SessionType::INTERACTIVE_COMMANDS,
        &json!({"commands": command}),
    )
}

pub(super) fn collected(command: &str) -> ResolvedDocument {
    command_document(
        SessionType::NON_INTERACTIVE_COMMANDS,
        &json!({"commands": command}),
    )
}

pub(super) fn separate(command: &str) -> ResolvedDocument {
    let properties = json!({"commands": command, "separateOutputStream": true});
    command_document(SessionType::NON_INTERACTIVE_COMMANDS, &properties)
}

pub(super) fn command_document(
    session_type: SessionType,
    properties: &serde_json::Value,
) -> ResolvedDocument {
    ResolvedDocument {
        session_type,
        properties: json!({"linux": properties, "macos": properties}),
        inputs: Inputs::default(),
    }
}

/// How long a test waits for something that should come at once.
const PATIENCE: Duration = Duration::from_secs(60);
