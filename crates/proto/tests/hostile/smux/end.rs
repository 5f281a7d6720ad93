//! Either end of a multiplexed port session, and smux bytes for it in messages of its peer.

use bytes::Bytes;
use serde_json::json;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::AgentSession;
use ssm_session_proto::ClientSession;
use ssm_session_proto::CloseReason;
use ssm_session_proto::Event;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxError;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::MuxRole;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Received;
use ssm_session_proto::Secret;
use ssm_session_proto::SessionType;
use ssm_session_proto::StreamId;

use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::smux::Command;
use crate::support::smux::encoded;
use crate::support::smux::frames;
use crate::support::wire;

pub(super) struct End {
    machine: Machine,
    next: i64,
    /// Why the session is over, in the words for its user.
    pub(super) over: Option<String>,
    /// Streams that the peer opened.
    pub(super) opened: usize,
}

enum Machine {
    Client(Box<ClientSession>),
    Agent(Box<AgentSession>, Box<Mux>),
}

impl End {
    pub(super) fn new(role: MuxRole) -> Self {
        let (machine, first) = match role {
            MuxRole::Client => (Machine::Client(Box::new(client())), 2),
            MuxRole::Agent => {
                let mux = Mux::new(MuxRole::Agent, false, epoch());
                (Machine::Agent(Box::new(agent()), Box::new(mux)), 1)
            }
        };
        Self {
            machine,
            next: first,
            over: None,
            opened: 0,
        }
    }

    pub(super) fn mux(&mut self) -> &mut Mux {
        match &mut self.machine {
            Machine::Client(session) => session.streams().unwrap(),
            Machine::Agent(_, mux) => mux,
        }
    }

    /// A stream that both ends know, and nobody reads.
    pub(super) fn stream(&mut self, id: u32) -> StreamId {
        match &mut self.machine {
            Machine::Client(session) => {
                let opened = session.streams().unwrap().open();
                assert_eq!(opened, Some(StreamId(id)));
            }
            Machine::Agent(..) => self.feed(&encoded(Command::Syn, id, b"")),
        }
        self.drain();
        StreamId(id)
    }

    /// The peer's next message comes, with these bytes.
    pub(super) fn feed(&mut self, smux: &[u8]) {
        let data = match &self.machine {
            Machine::Client(_) => MessageType::OUTPUT_STREAM_DATA,
            Machine::Agent(..) => MessageType::INPUT_STREAM_DATA,
        };
        let payload = Bytes::copy_from_slice(smux);
        let frame = wire::frame(data, self.next, PayloadType::OUTPUT, payload);
        self.next += 1;
        match &mut self.machine {
            Machine::Client(session) => session.handle_frame(&frame, epoch()),
            Machine::Agent(session, mux) => {
                session.handle_frame(&frame, epoch());
                while let Some(event) = session.poll_event() {
                    if let AgentEvent::Input(data) = event {
                        mux.handle_data(data, epoch());
                    }
                }
            }
        }
        self.drain();
    }

    /// Hears everything, acknowledges nothing, and reads no stream. What this end says itself
    /// stays in order.
    fn drain(&mut self) {
        match &mut self.machine {
            Machine::Client(session) => {
                while let Some(frame) = session.poll_transmit(epoch()) {
                    let message = Message::decode(frame.as_bytes()).ok();
                    if let Some(message) = message
                        && message.payload_type == PayloadType::OUTPUT
                    {
                        frames(&message.payload);
                    }
                }
                while let Some(event) = session.poll_event() {
                    assert_eq!(self.over, None, "{event:?} after the end");
                    if let Event::Closed(CloseReason::ProtocolViolation(text)) = event {
                        self.over = Some(text);
                    }
                }
            }
            Machine::Agent(session, mux) => {
                while let Some(payload) = mux.poll_transmit(1024) {
                    frames(&payload);
                    session.write(OutputStream::Stdout, &payload, epoch());
                }
                while session.poll_transmit(epoch()).is_some() {}
            }
        }
        while let Some(event) = self.mux().poll_event() {
            match event {
                MuxEvent::Opened(_) => self.opened += 1,
                MuxEvent::Failed(error) => self.fail(error),
                _ => {}
            }
        }
    }

    fn fail(&mut self, error: MuxError) {
        let text = error.to_string();
        // A client has said so itself.
        let said = self.over.as_ref();
        assert!(said.is_none_or(|said| *said == text), "{said:?}");
        self.over = Some(text);
    }

    /// Bytes of the peer arrive on a stream in use.
    pub(super) fn check_works(&mut self, id: StreamId) {
        assert_eq!(self.over, None);
        self.feed(&encoded(Command::Push, id.0, b"still here"));
        let read = self.mux().read(id);
        assert_eq!(read, Received::Data("still here".into()));
        assert_eq!(self.mux().read(id), Received::Pending);
    }
}

fn client() -> ClientSession {
    let mut client = ends::client(ends::SESSION, [3; 32]);
    client.handle_connected(&Secret::new("token"), epoch());
    let request = json!({"AgentVersion": "3.3.0.0", "RequestedClientActions": [
        {"ActionType": "SessionType", "ActionParameters": {"SessionType": "Port",
            "Properties": {"type": "LocalPortForwarding", "portNumber": "80"}}}]});
    for (number, kind, body) in [
        (0, PayloadType::HANDSHAKE_REQUEST, request),
        (1, PayloadType::HANDSHAKE_COMPLETE, json!({})),
    ] {
        let data = MessageType::OUTPUT_STREAM_DATA;
        client.handle_frame(&wire::frame(data, number, kind, body.to_string()), epoch());
    }
    assert!(matches!(
        ends::events(&mut client)[..],
        [Event::Established(_)]
    ));
    client
}

fn agent() -> AgentSession {
    let config = AgentConfig {
        session_type: SessionType::PORT,
        ..ends::agent_config()
    };
    let mut agent = ends::agent(config, [4; 32]);
    agent.handle_connected(&Secret::new("token"), epoch());
    let response = json!({"ClientVersion": "1.2.764.0", "ProcessedClientActions": [
        {"ActionType": "SessionType", "ActionStatus": 1}]});
    let data = MessageType::INPUT_STREAM_DATA;
    let kind = PayloadType::HANDSHAKE_RESPONSE;
    let frame = wire::frame(data, 0, kind, response.to_string());
    agent.handle_frame(&frame, epoch());
    assert!(matches!(
        ends::events(&mut agent)[..],
        [AgentEvent::Started { .. }]
    ));
    agent.accept_input();
    agent
}
