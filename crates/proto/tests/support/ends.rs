//! Both ends as tests make them, and what they have to say, sorted.

use std::time::Instant;

use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::AgentSession;
use ssm_session_proto::AgentWays;
use ssm_session_proto::ClientConfig;
use ssm_session_proto::ClientSession;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::SessionType;
use uuid::Uuid;

use super::clock::clock;

pub(crate) const SESSION: &str = "user-0a1b2c3d4e5f67890";
pub(crate) const TARGET: &str = "i-0123456789abcdef0";

pub(crate) fn client(session_id: &str, seed: [u8; 32]) -> ClientSession {
    let config = ClientConfig {
        client_id: Uuid::from_u128(1),
        session_id: session_id.to_owned(),
        target: Some(TARGET.to_owned()),
    };
    ClientSession::new(config, clock(), seed)
}

/// A shell without encryption, to be varied.
pub(crate) fn agent_config() -> AgentConfig {
    AgentConfig {
        session_id: SESSION.to_owned(),
        instance_id: TARGET.to_owned(),
        agent_version: "3.3.0.0".to_owned(),
        session_type: SessionType::STANDARD_STREAM,
        properties: serde_json::Value::Null,
        encryption: None,
        separate_output: false,
        ways: AgentWays::default(),
    }
}

pub(crate) fn agent(config: AgentConfig, seed: [u8; 32]) -> AgentSession {
    AgentSession::new(config, clock(), seed)
}

/// What the two ends have in common.
pub(crate) trait End {
    type Event;
    fn frame(&mut self, frame: &Frame, now: Instant);
    fn transmit(&mut self, now: Instant) -> Option<Frame>;
    fn event(&mut self) -> Option<Self::Event>;
    fn timeout(&self) -> Option<Instant>;
    fn time(&mut self, now: Instant);
}

impl End for ClientSession {
    type Event = Event;

    fn frame(&mut self, frame: &Frame, now: Instant) {
        self.handle_frame(frame, now);
    }

    fn transmit(&mut self, now: Instant) -> Option<Frame> {
        self.poll_transmit(now)
    }

    fn event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    fn timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn time(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

impl End for AgentSession {
    type Event = AgentEvent;

    fn frame(&mut self, frame: &Frame, now: Instant) {
        self.handle_frame(frame, now);
    }

    fn transmit(&mut self, now: Instant) -> Option<Frame> {
        self.poll_transmit(now)
    }

    fn event(&mut self) -> Option<AgentEvent> {
        self.poll_event()
    }

    fn timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn time(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

/// What an end sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) openings: usize,
    /// Id and number of each acknowledged message.
    pub(crate) acknowledged: Vec<(String, i64)>,
    pub(crate) stream: Vec<Message>,
    /// Bodies of the agent's words to the service.
    pub(crate) states: Vec<serde_json::Value>,
}

impl Sent {
    /// Takes everything that `end` has to send.
    pub(crate) fn drain(&mut self, end: &mut impl End, now: Instant) {
        while let Some(frame) = end.transmit(now) {
            match frame {
                Frame::Text(_) => self.openings += 1,
                Frame::Binary(bytes) => self.sort(Message::decode(&bytes).unwrap()),
            }
        }
    }

    fn sort(&mut self, message: Message) {
        match message.message_type {
            MessageType::ACKNOWLEDGE => {
                let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                let id = body["AcknowledgedMessageId"].as_str().unwrap().to_owned();
                let number = body["AcknowledgedMessageSequenceNumber"].as_i64().unwrap();
                self.acknowledged.push((id, number));
            }
            MessageType::AGENT_SESSION_STATE => {
                self.states
                    .push(serde_json::from_slice(&message.payload).unwrap());
            }
            _ => {
                assert!(message.message_type.is_stream_data(), "{message:?}");
                self.stream.push(message);
            }
        }
    }
}

pub(crate) fn events<E: End>(end: &mut E) -> Vec<E::Event> {
    std::iter::from_fn(|| end.event()).collect()
}
