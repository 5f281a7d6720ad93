//! The client's end of a port session: streams, the one connection of old agents, and payloads
//! that grow.

use std::time::Instant;

use bytes::Bytes;

use super::ClientSession;
use super::Up;
use crate::message::ControlFlag;
use crate::message::PayloadType;
use crate::session::CloseReason;
use crate::session::Established;
use crate::session::Event;
use crate::session::PAYLOAD;
use crate::session::PortForm;
use crate::session::SessionType;
use crate::session::payload::PayloadSize;
use crate::smux::Mux;
use crate::smux::MuxRole;
use crate::version::Gate;

/// What a port session has besides the others.
pub(super) struct Port {
    payloads: PayloadSize,
    carries: Carries,
}

/// How a session carries connections.
enum Carries {
    /// As the session's input and output.
    Bytes,
    /// The same, one after the other.
    Links(Link),
    Streams(Box<Mux>),
}

/// The connection that the agent of a basic session has with the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    /// The agent was told to close it. What comes until it has is for nobody.
    Closing,
    /// The agent makes another at the next write.
    Down,
}

impl Port {
    /// What the session needs if it is a port session.
    pub(super) fn of(established: &Established, now: Instant) -> Option<Self> {
        let agent = established.agent_version.as_ref();
        let carries = match established.port_form()? {
            PortForm::Stdio => Carries::Bytes,
            PortForm::Basic => Carries::Links(Link::Up),
            PortForm::Multiplexed => {
                let keepalive = !Gate::AgentKeepaliveOff.admits(agent);
                Carries::Streams(Box::new(Mux::new(MuxRole::Client, keepalive, now)))
            }
        };
        Some(Self {
            payloads: PayloadSize::new(),
            carries,
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.carries {
            Carries::Streams(mux) => mux.poll_timeout(),
            Carries::Bytes | Carries::Links(_) => None,
        }
    }
}

impl Up {
    /// Whether the agent ends the session at a flag.
    pub(super) fn has_terminate_flag(&self) -> bool {
        self.session_type == SessionType::PORT
            && Gate::AgentTerminateFlag.admits(self.agent_version.as_ref())
    }

    /// Whether no message to the agent ends the session.
    pub(super) fn has_no_end(&self) -> bool {
        !self.has_terminate_flag() && self.session_type != SessionType::NON_INTERACTIVE_COMMANDS
    }
}

impl ClientSession {
    /// The streams of a multiplexed port session, from [`Event::Established`] on. Drain the
    /// session after using them. They stay readable after the session has closed.
    pub fn streams(&mut self) -> Option<&mut Mux> {
        match &mut self.port()?.carries {
            Carries::Streams(mux) => Some(mux),
            Carries::Bytes | Carries::Links(_) => None,
        }
    }

    /// Whether nothing more should be read from the network until a stream is read: see
    /// [`Mux::is_saturated`].
    pub fn is_saturated(&self) -> bool {
        let port = self.up.as_ref().and_then(|up| up.port.as_ref());
        port.is_some_and(|port| match &port.carries {
            Carries::Streams(mux) => mux.is_saturated(),
            Carries::Bytes | Carries::Links(_) => false,
        })
    }

    /// What waits for the readers of streams.
    pub(super) fn unread(&self) -> usize {
        let port = self.up.as_ref().and_then(|up| up.port.as_ref());
        port.map_or(0, |port| match &port.carries {
            Carries::Streams(mux) => mux.unread(),
            Carries::Bytes | Carries::Links(_) => 0,
        })
    }

    /// Ends the connection of a basic port session behind what was written. What the agent
    /// sends from here on is dropped; [`Event::PortDisconnected`] says when the next connection
    /// may begin (docs/PROTOCOL.md 7.5).
    pub fn disconnect_port(&mut self, now: Instant) {
        if let Some(link) = self.link()
            && *link == Link::Up
        {
            *link = Link::Closing;
            self.input.append_flag(ControlFlag::DISCONNECT_TO_PORT);
            self.pump(now);
        }
    }

    /// The user writes for a new connection of a basic session.
    pub(super) fn link_is_used(&mut self) {
        if let Some(link) = self.link()
            && *link == Link::Down
        {
            *link = Link::Up;
        }
    }

    pub(super) fn pump_disconnection(&mut self) {
        let arrived = self.input.is_empty() && self.stream.is_acknowledged();
        if let Some(link) = self.link()
            && *link == Link::Closing
            && arrived
        {
            *link = Link::Down;
            self.events.push_back(Event::PortDisconnected);
        }
    }

    /// Gives a port what is for it alone; the rest comes back.
    pub(super) fn deliver_to_port(&mut self, data: Bytes, now: Instant) -> Option<Bytes> {
        let Some(port) = self.port() else {
            return Some(data);
        };
        match &mut port.carries {
            Carries::Bytes | Carries::Links(Link::Up) => return Some(data),
            Carries::Links(Link::Closing | Link::Down) => {}
            Carries::Streams(mux) => {
                mux.handle_data(data, now);
                if let Some(error) = mux.failure() {
                    self.close(CloseReason::ProtocolViolation(error.to_string()));
                }
            }
        }
        None
    }

    pub(super) fn on_flag(&mut self, payload: &[u8]) {
        if ControlFlag::from_payload(payload) == Some(ControlFlag::CONNECT_TO_PORT_ERROR) {
            self.events.push_back(Event::ConnectionRefused);
        }
    }

    /// Moves what the streams have to send into the reliable stream, as far as it has room.
    pub(super) fn pump_streams(&mut self, now: Instant) {
        loop {
            let limit = self.payload_limit();
            let room = self.stream.has_room(limit);
            let Some(mux) = self.streams() else {
                return;
            };
            if !room {
                if mux.has_work() {
                    self.stream.on_limited();
                }
                return;
            }
            let Some(payload) = mux.poll_transmit(limit) else {
                return;
            };
            self.on_payload(payload.len());
            self.stream
                .send(PayloadType::OUTPUT, payload, &mut self.composer, now);
        }
    }

    /// Most bytes of the next payload.
    pub(super) fn payload_limit(&mut self) -> usize {
        let window = self.stream.congestion_window();
        self.port()
            .map_or(PAYLOAD, |port| port.payloads.limit(window))
    }

    pub(super) fn on_payload(&mut self, length: usize) {
        if let Some(port) = self.port() {
            port.payloads.on_sent(length);
        }
    }

    /// Tries larger payloads.
    pub(super) fn pump_probe(&mut self, now: Instant) {
        let clean = self.stream.clean_acknowledgements();
        let Some(up) = &mut self.up else { return };
        let Some(Port { payloads, .. }) = &mut up.port else {
            return;
        };
        if let Some(probe) = payloads.probe()
            && !self.stream.is_unacknowledged(probe.number)
        {
            payloads.on_proven();
        }
        if let Some(size) = payloads.due(clean) {
            let padding = PayloadSize::padding(size);
            let number = self
                .stream
                .send(PayloadType::SIZE, padding, &mut self.composer, now);
            payloads.on_probe(number, size);
        }
    }

    /// The channel died, perhaps of a payload it did not like: if one was being tried, another
    /// takes its number.
    pub(super) fn take_back_probe(&mut self, now: Instant) {
        let Some(number) = self.port().and_then(|port| port.payloads.on_death()) else {
            return;
        };
        let content = (PayloadType::SIZE, PayloadSize::padding(0));
        self.stream
            .replace(number, content, &mut self.composer, now);
    }

    fn port(&mut self) -> Option<&mut Port> {
        self.up.as_mut()?.port.as_mut()
    }

    fn link(&mut self) -> Option<&mut Link> {
        match &mut self.port()?.carries {
            Carries::Links(link) => Some(link),
            Carries::Bytes | Carries::Streams(_) => None,
        }
    }
}
