//! The replay: our agent among recorded messages.

use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEncryption;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::AgentSession;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::MuxRole;
use ssm_session_proto::OpenDataChannel;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SequenceNumber;
use ssm_session_proto::SessionType;
use ssm_session_proto::TerminalSize;

use crate::golden::client::challenge;
use crate::golden::opened_or_joined;
use crate::golden::plaintext;
use crate::golden::stream;
use crate::golden::streams;
use crate::golden::streams::Streams;
use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::ends::Sent;
use crate::support::recording::Recording;
use crate::support::recording::Sender;
use crate::support::recording::decoded;
use crate::support::seal;
use crate::support::seal::Direction;
use crate::support::smux;

/// A replay and what came of it.
pub(super) struct Replay<'a> {
    pub(super) recording: &'a Recording,
    pub(super) agent: AgentSession,
    /// Of a multiplexed session.
    pub(super) mux: Option<Mux>,
    pub(super) streams: Streams,
    pub(super) opened: Vec<u32>,
    pub(super) now: Instant,
    pub(super) connected: bool,
    /// The number of the next message of the recorded agent.
    pub(super) next: i64,
    pub(super) fed: Vec<Message>,
    pub(super) sent: Sent,
    pub(super) input: Vec<u8>,
    pub(super) sizes: Vec<TerminalSize>,
    pub(super) flags: Vec<u32>,
    pub(super) started: Vec<Option<String>>,
    pub(super) contexts: Vec<Value>,
    pub(super) drained: bool,
}

impl<'a> Replay<'a> {
    pub(super) fn run(recording: &'a Recording) -> Self {
        let mut replay = Self {
            recording,
            agent: ends::agent(config(recording), [2; 32]),
            mux: streams::is_multiplexed(recording)
                .then(|| Mux::new(MuxRole::Agent, false, epoch())),
            streams: Streams::new(),
            opened: Vec::new(),
            now: epoch(),
            connected: false,
            next: 0,
            fed: Vec::new(),
            sent: Sent::default(),
            input: Vec::new(),
            sizes: Vec::new(),
            flags: Vec::new(),
            started: Vec::new(),
            contexts: Vec::new(),
            drained: false,
        };
        for (sender, frame) in &recording.frames {
            replay.now += MS;
            match sender {
                Sender::Agent => replay.act(frame),
                Sender::Client => replay.feed(frame),
            }
            replay.drain();
        }
        replay
    }

    fn feed(&mut self, frame: &Frame) {
        let Some(message) = decoded(frame).filter(|_| self.connected) else {
            return;
        };
        self.agent.handle_frame(frame, self.now);
        if message.payload_type == PayloadType::ENCRYPTION_CHALLENGE_RESPONSE {
            return self.answer_challenge(message);
        }
        if message.message_type.is_stream_data() {
            self.fed.push(message);
        }
    }

    /// The recorded answer holds the random bytes that the real agent sent. It shows that the
    /// client seals with the half of the key that we open with; but ours sent other bytes, must
    /// not take these, and gets its own back under the same number.
    fn answer_challenge(&mut self, message: Message) {
        self.sent.drain(&mut self.agent, self.now);
        let given = self.sent.acknowledged.len();
        assert_eq!(given, self.fed.len(), "bytes of another agent were taken");
        let key = self.recording.data_key().unwrap().plaintext;
        let recorded = challenge(&message.payload);
        let recorded = seal::open(&key, Direction::FromClient, &recorded).unwrap();
        assert_eq!(recorded.len(), 64);

        let asked = &self.ours(PayloadType::ENCRYPTION_CHALLENGE_REQUEST)[0];
        let bytes = seal::open(&key, Direction::FromAgent, &challenge(asked)).unwrap();
        assert_eq!(bytes.len(), 64);
        assert_ne!(bytes, recorded);
        let answer = seal::seal(&key, Direction::FromClient, &bytes);
        let body = json!({"Challenge": BASE64_STANDARD.encode(answer)}).to_string();
        let message = Message {
            payload: body.into(),
            ..message
        };
        self.agent
            .handle_frame(&Frame::Binary(message.encode()), self.now);
        self.fed.push(message);
    }

    /// Does what made the recorded agent send this.
    fn act(&mut self, frame: &Frame) {
        let Some(message) = decoded(frame) else {
            let opening = OpenDataChannel::from_json(frame.as_bytes()).unwrap();
            self.connected = true;
            return self.agent.handle_connected(&opening.token_value, self.now);
        };
        if is_terminating(&message) {
            return self.agent.finish(self.now);
        }
        let first_time = message.sequence_number == SequenceNumber(self.next);
        if message.message_type != MessageType::OUTPUT_STREAM_DATA || !first_time {
            return;
        }
        self.next += 1;
        let data = plaintext(self.recording, Sender::Agent, &message);
        let stream = match message.payload_type {
            PayloadType::OUTPUT => {
                if let Some(mux) = &mut self.mux {
                    for frame in smux::frames(&data) {
                        streams::act(mux, frame);
                    }
                    return;
                }
                OutputStream::Stdout
            }
            PayloadType::STDERR => OutputStream::Stderr,
            PayloadType::EXIT_CODE => return self.agent.exit_code(3, self.now),
            PayloadType::FLAG => return self.agent.connect_to_port_error(self.now),
            _ => return,
        };
        assert_eq!(self.agent.write(stream, &data, self.now), data.len());
    }

    fn drain(&mut self) {
        self.sent.drain(&mut self.agent, self.now);
        for event in ends::events(&mut self.agent) {
            match event {
                AgentEvent::Started { client_version } => {
                    let version = client_version.map(|v| v.as_str().to_owned());
                    self.started.push(version);
                    self.agent.accept_input();
                }
                AgentEvent::DataKeyNeeded {
                    ciphertext,
                    key_id,
                    encryption_context,
                } => {
                    let key = self.recording.data_key().unwrap();
                    assert_eq!(ciphertext, key.ciphertext);
                    assert_eq!(key_id, self.recording.kms.as_ref().unwrap()["key_id"]);
                    let context = serde_json::to_value(encryption_context).unwrap();
                    self.contexts.push(context);
                    self.agent.handle_data_key(Ok(key), self.now);
                }
                AgentEvent::Input(data) => {
                    self.input.extend_from_slice(&data);
                    if let Some(mux) = &mut self.mux {
                        mux.handle_data(data, self.now);
                    }
                }
                AgentEvent::Resize(size) => self.sizes.push(size),
                AgentEvent::Flag(flag) => self.flags.push(flag),
                AgentEvent::Drained => self.drained = true,
                other => panic!("{}: {other:?}", self.recording.name),
            }
        }
        self.drain_streams();
        self.sent.drain(&mut self.agent, self.now);
    }

    fn drain_streams(&mut self) {
        let Some(mux) = &mut self.mux else { return };
        while let Some(event) = mux.poll_event() {
            match event {
                MuxEvent::Opened(id) => self.opened.push(id.0),
                MuxEvent::Readable(id) => streams::read(mux, id, &mut self.streams),
                other => panic!("{}: {other:?}", self.recording.name),
            }
        }
        while let Some(payload) = mux.poll_transmit(1024) {
            let taken = self.agent.write(OutputStream::Stdout, &payload, self.now);
            assert_eq!(taken, payload.len());
        }
    }

    /// What our agent sent of one kind, opened.
    pub(super) fn ours(&self, kind: PayloadType) -> Vec<Bytes> {
        opened_or_joined(self.recording, Sender::Agent, &self.sent.stream, kind)
    }

    pub(super) fn recorded(&self, sender: Sender, kind: PayloadType) -> Vec<Bytes> {
        let messages = stream(self.recording, sender);
        opened_or_joined(self.recording, sender, &messages, kind)
    }
}

fn is_terminating(message: &Message) -> bool {
    message.message_type == MessageType::AGENT_SESSION_STATE
        && message.payload.windows(11).any(|w| w == b"Terminating")
}

/// The session as the recorded agent was told to run it.
fn config(recording: &Recording) -> AgentConfig {
    let agent = recording.frames.iter().filter(|(s, _)| *s == Sender::Agent);
    let (texts, binaries): (Vec<&Frame>, Vec<&Frame>) = agent
        .map(|(_, frame)| frame)
        .partition(|frame| matches!(frame, Frame::Text(_)));
    let opening = OpenDataChannel::from_json(texts[0].as_bytes()).unwrap();
    let state: Value = serde_json::from_slice(&decoded(binaries[0]).unwrap().payload).unwrap();
    let mut config = AgentConfig {
        session_id: state["SessionId"].as_str().unwrap().to_owned(),
        instance_id: opening.client_instance_id.unwrap(),
        separate_output: recording.name == "noninteractive-separate-streams",
        ..ends::agent_config()
    };
    let first = &stream(recording, Sender::Agent)[0];
    if first.payload_type == PayloadType::HANDSHAKE_REQUEST {
        let request: Value = serde_json::from_slice(&first.payload).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let actions = &request["RequestedClientActions"];
        let session = &actions[0]["ActionParameters"];
        config.agent_version = text(&request["AgentVersion"]);
        config.session_type = SessionType::new(text(&session["SessionType"]));
        config.properties = session["Properties"].clone();
        config.encryption = actions.get(1).map(|kms| AgentEncryption {
            key_id: text(&kms["ActionParameters"]["KMSKeyId"]),
            challenge: ChallengeMode::Offered,
        });
    }
    config
}
