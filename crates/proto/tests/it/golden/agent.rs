//! Our agent in the place of the real one: it is handed what AWS's plugin sent and does what the
//! recorded command did.

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
use ssm_session_proto::OpenDataChannel;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SequenceNumber;
use ssm_session_proto::SessionType;
use ssm_session_proto::TerminalSize;

use super::client::challenge;
use super::identity;
use super::opened;
use super::plaintext;
use super::stream;
use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::ends::Sent;
use crate::support::recording;
use crate::support::recording::Recording;
use crate::support::recording::Sender;
use crate::support::recording::decoded;
use crate::support::seal;
use crate::support::seal::Direction;

/// A replay and what came of it.
struct Replay<'a> {
    recording: &'a Recording,
    agent: AgentSession,
    now: Instant,
    connected: bool,
    /// The number of the next message of the recorded agent.
    next: i64,
    fed: Vec<Message>,
    sent: Sent,
    input: Vec<u8>,
    sizes: Vec<TerminalSize>,
    flags: Vec<u32>,
    started: Vec<Option<String>>,
    contexts: Vec<Value>,
    drained: bool,
}

impl<'a> Replay<'a> {
    fn run(recording: &'a Recording) -> Self {
        let mut replay = Self {
            recording,
            agent: ends::agent(config(recording), [2; 32]),
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
            PayloadType::OUTPUT => OutputStream::Stdout,
            PayloadType::STDERR => OutputStream::Stderr,
            PayloadType::EXIT_CODE => return self.agent.exit_code(3, self.now),
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
                AgentEvent::Input(data) => self.input.extend(data),
                AgentEvent::Resize(size) => self.sizes.push(size),
                AgentEvent::Flag(flag) => self.flags.push(flag),
                AgentEvent::Drained => self.drained = true,
                other => panic!("{}: {other:?}", self.recording.name),
            }
        }
        self.sent.drain(&mut self.agent, self.now);
    }

    /// What our agent sent of one kind, opened.
    fn ours(&self, kind: PayloadType) -> Vec<Bytes> {
        opened(self.recording, Sender::Agent, &self.sent.stream, kind)
    }

    fn recorded(&self, sender: Sender, kind: PayloadType) -> Vec<Bytes> {
        opened(
            self.recording,
            sender,
            &stream(self.recording, sender),
            kind,
        )
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

#[test]
fn every_message_of_the_client_is_acknowledged_and_so_is_every_repetition() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let expected: Vec<_> = replay.fed.iter().map(identity).collect();
        assert_eq!(replay.sent.acknowledged, expected, "{}", recording.name);
    }
}

#[test]
fn input_sizes_and_flags_arrive_once_and_in_order() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let recorded = |kind| replay.recorded(Sender::Client, kind);
        let name = recording.name;
        let input = recorded(PayloadType::OUTPUT).concat();
        assert_eq!(replay.input, input, "{name}");
        let sizes: Vec<TerminalSize> = recorded(PayloadType::SIZE)
            .iter()
            .map(|body| serde_json::from_slice(body).unwrap())
            .collect();
        assert_eq!(replay.sizes, sizes, "{name}");
        let flags: Vec<u32> = recorded(PayloadType::FLAG)
            .iter()
            .map(|body| u32::from_be_bytes(body[..].try_into().unwrap()))
            .collect();
        assert_eq!(replay.flags, flags, "{name}");
    }
}

#[test]
fn the_handshake_request_is_the_recorded_one_but_for_its_random_challenge() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let recorded = replay.recorded(Sender::Agent, PayloadType::HANDSHAKE_REQUEST);
        let ours = replay.ours(PayloadType::HANDSHAKE_REQUEST);
        assert_eq!(ours.len(), recorded.len(), "{}", recording.name);
        for (ours, recorded) in ours.iter().zip(&recorded) {
            let mut ours: Value = serde_json::from_slice(ours).unwrap();
            let recorded: Value = serde_json::from_slice(recorded).unwrap();
            let pointer = "/RequestedClientActions/1/ActionParameters/Challenge";
            if let Some(challenge) = ours.pointer_mut(pointer) {
                let bytes = BASE64_STANDARD.decode(challenge.as_str().unwrap());
                assert_eq!(bytes.unwrap().len(), 16);
                *challenge = recorded.pointer(pointer).unwrap().clone();
            }
            assert_eq!(ours, recorded, "{}", recording.name);
        }
    }
}

#[test]
fn the_end_of_the_handshake_says_what_the_recorded_one_said() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let messages = |bodies: Vec<Bytes>| -> Vec<Value> {
            let bodies = bodies.iter().map(|body| {
                let body: Value = serde_json::from_slice(body).unwrap();
                assert!(body["HandshakeTimeToComplete"].is_i64(), "{body}");
                body["CustomerMessage"].clone()
            });
            bodies.collect()
        };
        let recorded = messages(replay.recorded(Sender::Agent, PayloadType::HANDSHAKE_COMPLETE));
        let ours = messages(replay.ours(PayloadType::HANDSHAKE_COMPLETE));
        assert_eq!(ours, recorded, "{}", recording.name);
        let version = (!recorded.is_empty()).then(|| "1.2.0.0".to_owned());
        assert_eq!(replay.started, [version], "{}", recording.name);
    }
}

#[test]
fn the_data_key_is_opened_with_the_context_it_was_made_with() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let kms = recording.kms.as_ref();
        let recorded = kms.map(|kms| kms["encryption_context"].clone());
        assert_eq!(replay.contexts, Vec::from_iter(recorded));
    }
}

/// A flag from the agent belongs to multiplexed ports, which the agent end does not speak.
#[test]
fn the_agent_numbers_and_sends_what_the_recorded_one_sent() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let recorded = stream(&recording, Sender::Agent);
        let recorded: Vec<_> = recorded
            .iter()
            .filter(|message| message.payload_type != PayloadType::FLAG)
            .map(|message| (message.message_type, message.payload_type, message.flags))
            .collect();
        let ours: Vec<_> = (0_i64..)
            .zip(&replay.sent.stream)
            .map(|(number, message)| {
                assert_eq!(message.sequence_number.0, number, "{}", recording.name);
                (message.message_type, message.payload_type, message.flags)
            })
            .collect();
        assert_eq!(ours, recorded, "{}", recording.name);
        for kind in [
            PayloadType::OUTPUT,
            PayloadType::STDERR,
            PayloadType::EXIT_CODE,
        ] {
            let recorded = replay.recorded(Sender::Agent, kind);
            assert_eq!(replay.ours(kind), recorded, "{} {kind:?}", recording.name);
        }
    }
}

#[test]
fn the_agent_tells_the_service_what_the_recorded_one_told_it() {
    for recording in recording::all() {
        let replay = Replay::run(&recording);
        let messages = recording.frames.iter().filter_map(|(_, f)| decoded(f));
        let recorded: Vec<Value> = messages
            .filter(|m| m.message_type == MessageType::AGENT_SESSION_STATE)
            .map(|m| serde_json::from_slice(&m.payload).unwrap())
            .collect();
        assert_eq!(replay.sent.states, recorded, "{}", recording.name);
        assert_eq!(replay.drained, recorded.len() == 2, "{}", recording.name);
        assert_eq!(replay.sent.openings, 1);
    }
}
