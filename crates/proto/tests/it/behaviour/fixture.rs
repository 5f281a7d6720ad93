//! An end under test, and what a test says to it in the place of the other.

use std::time::Duration;
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
use ssm_session_proto::ClientSession;
use ssm_session_proto::DataKey;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::Mux;
use ssm_session_proto::PayloadType;
use ssm_session_proto::PortForm;
use ssm_session_proto::Secret;
use ssm_session_proto::TerminalSize;

use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::ends::End;
use crate::support::ends::Sent;
use crate::support::wire;

pub(super) const SIZE: TerminalSize = TerminalSize { cols: 80, rows: 24 };

/// One end, and what it said that the test has not looked at.
pub(super) struct Fixture<E> {
    pub(super) session: E,
    pub(super) now: Instant,
    /// How the stream messages of the other end are called, and the number of its next one.
    peers_data: MessageType,
    next: i64,
    sent: Sent,
}

impl<E: End> Fixture<E> {
    fn new(session: E, peers_data: MessageType) -> Self {
        Self {
            session,
            now: epoch(),
            peers_data,
            next: 0,
            sent: Sent::default(),
        }
    }

    pub(super) fn frame(&mut self, frame: &Frame) {
        self.session.frame(frame, self.now);
    }

    /// The next stream message of the other end comes; gives its number.
    pub(super) fn message(&mut self, kind: PayloadType, payload: impl Into<Bytes>) -> i64 {
        let number = self.next;
        self.next += 1;
        self.numbered(number, kind, payload);
        number
    }

    /// A stream message of the other end comes, in its turn or not.
    pub(super) fn numbered(&mut self, number: i64, kind: PayloadType, payload: impl Into<Bytes>) {
        self.frame(&wire::frame(self.peers_data, number, kind, payload));
    }

    pub(super) fn json(&mut self, kind: PayloadType, body: &Value) -> i64 {
        self.message(kind, body.to_string())
    }

    /// A message outside the streams comes.
    pub(super) fn aside(&mut self, message_type: MessageType, payload: impl Into<Bytes>) {
        self.frame(&wire::aside(message_type, payload));
    }

    /// The other end acknowledges.
    pub(super) fn acknowledge(&mut self, number: i64) {
        let body = json!({
            "AcknowledgedMessageType": "input_stream_data",
            "AcknowledgedMessageId": "",
            "AcknowledgedMessageSequenceNumber": number,
            "IsSequentialMessage": true,
        });
        self.aside(MessageType::ACKNOWLEDGE, body.to_string());
    }

    pub(super) fn events(&mut self) -> Vec<E::Event> {
        ends::events(&mut self.session)
    }

    /// Time passes; the session is called whenever it asked to be.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.session.timeout().filter(|at| *at <= end) {
            self.now = at;
            self.session.time(at);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        self.sent.drain(&mut self.session, self.now);
    }

    /// The stream messages sent since the last look.
    pub(super) fn sent(&mut self) -> Vec<Message> {
        self.drain();
        std::mem::take(&mut self.sent.stream)
    }

    /// The same, as payload type and payload.
    pub(super) fn payloads(&mut self) -> Vec<(PayloadType, Bytes)> {
        let sent = self.sent().into_iter();
        sent.map(|m| (m.payload_type, m.payload)).collect()
    }

    /// The one stream message sent since the last look, as JSON.
    pub(super) fn sent_json(&mut self, kind: PayloadType) -> Value {
        let payloads = self.payloads();
        let [(found, body)] = &payloads[..] else {
            panic!("{payloads:?}");
        };
        assert_eq!(*found, kind);
        serde_json::from_slice(body).unwrap()
    }

    /// The numbers acknowledged since the last look.
    pub(super) fn acknowledged(&mut self) -> Vec<i64> {
        self.drain();
        let acknowledged = std::mem::take(&mut self.sent.acknowledged);
        acknowledged.into_iter().map(|(_, number)| number).collect()
    }

    /// What the agent told the service since the last look.
    pub(super) fn states(&mut self) -> Vec<String> {
        self.drain();
        let states = std::mem::take(&mut self.sent.states).into_iter();
        states
            .map(|body| body["SessionState"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(super) type Client = Fixture<ClientSession>;
pub(super) type Agent = Fixture<AgentSession>;

impl Client {
    /// Connected, and told nothing yet.
    pub(super) fn connected() -> Self {
        let session = ends::client(ends::SESSION, [5; 32]);
        let mut client = Self::new(session, MessageType::OUTPUT_STREAM_DATA);
        client
            .session
            .handle_connected(&Secret::new("token"), epoch());
        client.drain();
        client
    }

    /// In a shell that has shown its prompt.
    pub(super) fn in_shell() -> Self {
        let mut client = Self::connected();
        client.message(PayloadType::OUTPUT, "$ ");
        assert_eq!(client.events().len(), 2);
        assert_eq!(client.acknowledged(), [0]);
        client
    }

    /// Behind a complete handshake without encryption.
    pub(super) fn in_session_of(session_type: &str) -> Self {
        let mut client = Self::connected();
        client.json(PayloadType::HANDSHAKE_REQUEST, &request(session_type));
        client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
        assert!(matches!(client.events()[..], [Event::Established(_)]));
        assert_eq!(client.sent().len(), 1);
        client.acknowledge(0);
        assert_eq!(client.acknowledged(), [0, 1]);
        client
    }

    /// In a port session with an agent of the version that is given for the form.
    pub(super) fn in_port_session(form: PortForm) -> Self {
        Self::in_port_session_with(form, agent_version(form))
    }

    pub(super) fn in_port_session_with(form: PortForm, agent_version: &str) -> Self {
        let mut client = Self::connected();
        let mut request = request("Port");
        request["AgentVersion"] = agent_version.into();
        if form != PortForm::Stdio {
            let parameters = &mut request["RequestedClientActions"][0]["ActionParameters"];
            parameters["Properties"] = json!({"type": "LocalPortForwarding"});
        }
        client.json(PayloadType::HANDSHAKE_REQUEST, &request);
        client.message(PayloadType::HANDSHAKE_COMPLETE, "{}");
        let events = client.events();
        let [Event::Established(established)] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(established.port_form(), Some(form));
        assert_eq!(client.sent().len(), 1);
        client.acknowledge(0);
        assert_eq!(client.acknowledged(), [0, 1]);
        client
    }

    /// The streams of a multiplexed session.
    pub(super) fn streams(&mut self) -> &mut Mux {
        self.session.streams().unwrap()
    }

    /// In a handshake that waits for the data key.
    pub(super) fn asking_for_key() -> Self {
        let mut client = Self::connected();
        client.json(PayloadType::HANDSHAKE_REQUEST, &encryption_request());
        assert!(matches!(client.events()[..], [Event::DataKeyNeeded(_)]));
        assert_eq!(client.acknowledged(), [0]);
        client
    }

    pub(super) fn write(&mut self, data: &[u8]) -> usize {
        self.session.write(data, self.now)
    }

    /// Writes until no more is taken, and says how much was.
    pub(super) fn fill(&mut self, data: &[u8]) -> usize {
        let mut taken = 0;
        while taken < data.len() {
            match self.write(&data[taken..]) {
                0 => break,
                more => taken += more,
            }
        }
        taken
    }
}

impl Agent {
    pub(super) fn connected(config: AgentConfig) -> Self {
        let session = ends::agent(config, [6; 32]);
        let mut agent = Self::new(session, MessageType::INPUT_STREAM_DATA);
        agent
            .session
            .handle_connected(&Secret::new("token"), epoch());
        assert_eq!(agent.states(), ["Connected"]);
        agent
    }

    /// A shell that runs.
    pub(super) fn running() -> Self {
        let mut agent = Self::connected(ends::agent_config());
        assert!(matches!(agent.events()[..], [AgentEvent::Started { .. }]));
        agent.session.accept_input();
        agent
    }

    /// A shell to be encrypted, whose client has sent its key.
    pub(super) fn opening_key() -> Self {
        let mut agent = Self::connected(encrypted(ChallengeMode::Offered));
        assert_eq!(agent.sent().len(), 1);
        agent.acknowledge(0);
        agent.json(PayloadType::HANDSHAKE_RESPONSE, &response_with_key());
        let events = agent.events();
        assert!(matches!(events[..], [AgentEvent::DataKeyNeeded { .. }]));
        agent
    }
}

/// Of an agent that does it so.
fn agent_version(form: PortForm) -> &'static str {
    match form {
        PortForm::Basic => "3.0.196.0",
        PortForm::Stdio | PortForm::Multiplexed => "3.3.0.0",
    }
}

pub(super) fn request(session_type: &str) -> Value {
    json!({"AgentVersion": "3.3.0.0", "RequestedClientActions": [
        {"ActionType": "SessionType", "ActionParameters": {"SessionType": session_type}}]})
}

pub(super) fn encryption_request() -> Value {
    let mut request = request("Standard_Stream");
    let actions = request["RequestedClientActions"].as_array_mut().unwrap();
    actions.push(json!({"ActionType": "KMSEncryption", "ActionParameters":
        {"KMSKeyId": "alias/session", "Challenge": "DIJZ1rUnM2o8sFAWOuAOtA=="}}));
    request
}

pub(super) fn response_with_key() -> Value {
    json!({"ClientVersion": "1.2.764.0", "ProcessedClientActions": [
        {"ActionType": "KMSEncryption", "ActionStatus": 1, "ActionResult":
            {"KMSCipherTextKey": BASE64_STANDARD.encode(key().ciphertext)}}]})
}

pub(super) fn encrypted(challenge: ChallengeMode) -> AgentConfig {
    AgentConfig {
        encryption: Some(AgentEncryption {
            key_id: "alias/session".to_owned(),
            challenge,
        }),
        ..ends::agent_config()
    }
}

pub(super) fn key() -> DataKey {
    DataKey {
        plaintext: (0..64).collect::<Vec<u8>>().into(),
        ciphertext: b"blob".to_vec(),
    }
}

/// The bytes in the body of a challenge or its answer.
pub(super) fn challenge(body: &Value) -> Vec<u8> {
    let text = body["Challenge"].as_str().unwrap();
    BASE64_STANDARD.decode(text).unwrap()
}

/// A challenge or its answer.
pub(super) fn challenge_body(bytes: &[u8]) -> Value {
    json!({"Challenge": BASE64_STANDARD.encode(bytes)})
}
