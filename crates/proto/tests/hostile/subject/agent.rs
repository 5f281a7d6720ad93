//! The agent's end.

use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use serde_json::json;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEncryption;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::AgentSession;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::DataKey;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxRole;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Secret;
use ssm_session_proto::SessionType;

use super::Subject;
use super::pass;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::ends::Sent;
use crate::support::recording::Recording;
use crate::support::recording::Sender;
use crate::support::seal;
use crate::support::seal::Direction;

pub(crate) struct Agent {
    session: AgentSession,
    /// Of multiplexed sessions; nobody reads its streams.
    mux: Option<Mux>,
    key: Option<DataKey>,
    arrived: Option<Vec<u8>>,
    acknowledged: Vec<i64>,
    /// The body of the challenge that was sent.
    challenge: Option<Vec<u8>>,
    failed: bool,
}

impl Agent {
    fn drain(&mut self, now: Instant) {
        let mut sent = Sent::default();
        sent.drain(&mut self.session, now);
        let acknowledged = sent.acknowledged.iter().map(|(_, number)| *number);
        self.acknowledged.extend(acknowledged);
        for message in sent.stream {
            if message.payload_type == PayloadType::ENCRYPTION_CHALLENGE_REQUEST {
                self.challenge = Some(message.payload.to_vec());
            }
        }
    }
}

impl Subject for Agent {
    const PEER: Sender = Sender::Client;
    const PEERS_DATA: MessageType = MessageType::INPUT_STREAM_DATA;

    fn new(recording: &Recording, seed: [u8; 32]) -> Self {
        let session_type = match recording.name.split('-').next() {
            Some("noninteractive") => SessionType::NON_INTERACTIVE_COMMANDS,
            Some("port") => SessionType::PORT,
            _ => SessionType::STANDARD_STREAM,
        };
        let encryption = recording.kms.as_ref().map(|_| AgentEncryption {
            key_id: "alias/session".to_owned(),
            challenge: ChallengeMode::Offered,
        });
        let config = AgentConfig {
            session_type,
            encryption,
            ..ends::agent_config()
        };
        let mut session = ends::agent(config, seed);
        session.handle_connected(&Secret::new("token"), epoch());
        let multiplexed = recording.name.starts_with("port-mux");
        let mut agent = Self {
            session,
            mux: multiplexed.then(|| Mux::new(MuxRole::Agent, false, epoch())),
            key: recording.data_key(),
            arrived: None,
            acknowledged: Vec::new(),
            challenge: None,
            failed: false,
        };
        agent.drain(epoch());
        agent
    }

    fn feed(&mut self, frame: &Frame, now: Instant) {
        pass(&mut self.session, now);
        self.session.handle_frame(frame, now);
        self.drain(now);
        for event in ends::events(&mut self.session) {
            match event {
                AgentEvent::Started { .. } => {
                    self.session.accept_input();
                    self.session.write(OutputStream::Stdout, b"$ ", now);
                    self.arrived = Some(Vec::new());
                }
                AgentEvent::DataKeyNeeded { .. } => {
                    let key = self.key.clone().unwrap();
                    self.session.handle_data_key(Ok(key), now);
                }
                AgentEvent::Input(data) => {
                    self.arrived = Some(data.to_vec());
                    if let Some(mux) = &mut self.mux {
                        mux.handle_data(data, now);
                        while mux.poll_event().is_some() {}
                    }
                }
                AgentEvent::Failed(_) => self.failed = true,
                _ => {}
            }
        }
        self.drain(now);
    }

    /// The recorded answer holds the bytes of another agent's challenge.
    fn adapt(&self, message: Message) -> Message {
        let (Some(challenge), Some(key)) = (&self.challenge, &self.key) else {
            return message;
        };
        if message.payload_type != PayloadType::ENCRYPTION_CHALLENGE_RESPONSE {
            return message;
        }
        let body: Value = serde_json::from_slice(challenge).unwrap();
        let sealed = BASE64_STANDARD.decode(body["Challenge"].as_str().unwrap());
        let bytes = seal::open(&key.plaintext, Direction::FromAgent, &sealed.unwrap()).unwrap();
        let answer = seal::seal(&key.plaintext, Direction::FromClient, &bytes);
        let body = json!({"Challenge": BASE64_STANDARD.encode(answer)}).to_string();
        Message {
            payload: body.into(),
            ..message
        }
    }

    /// A handshake that was refused is told to the service, which ends the session.
    fn is_over(&self) -> bool {
        self.failed
    }

    fn arrived(&self) -> Option<&[u8]> {
        self.arrived.as_deref()
    }

    fn sealed(&self, plain: &[u8]) -> Vec<u8> {
        match &self.key {
            Some(key) => seal::seal(&key.plaintext, Direction::FromClient, plain),
            None => plain.to_vec(),
        }
    }

    fn acknowledged(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.acknowledged)
    }
}
