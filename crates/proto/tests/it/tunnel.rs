//! A multiplexed port session between both ends, established, over a path of a given kind; and
//! what users of its streams may count on.

mod data;
mod dead_reader;
mod hour;
mod lossy;
mod outage;
mod payloads;
mod throttled;

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use serde_json::json;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::AgentSession;
use ssm_session_proto::ClientSession;
use ssm_session_proto::Event;
use ssm_session_proto::Message;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::MuxRole;
use ssm_session_proto::OutputStream;
use ssm_session_proto::Secret;
use ssm_session_proto::SessionType;
use ssm_session_proto::StreamId;

use self::data::Pattern;
use self::data::Sink;
use self::data::Source;
use crate::link::Faults;
use crate::link::Link;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::random::Random;

/// What agents put into a message.
const AGENT_PAYLOAD: usize = 1024;
/// How long a client takes to connect again.
const RECONNECT: Duration = Duration::from_millis(700);

struct Tunnel {
    now: Instant,
    client: ClientSession,
    agent: AgentSession,
    /// The streams at the agent's end.
    far: Mux,
    /// The last that was opened there.
    newest: Option<StreamId>,
    /// What the agent's session did not take.
    refused: Option<Bytes>,
    up: Link,
    down: Link,
    /// A time at which the test wants to act.
    alarm: Option<Instant>,
    /// When the client connects again, while it is not connected.
    back: Option<Instant>,
    /// The channel dies of larger payloads of the client's.
    payload_cap: Option<usize>,
    /// Connections of the client so far, and what it sent over each, if that is wanted.
    connection: usize,
    sent: Option<Vec<Sent>>,
}

/// A stream message of the client's.
struct Sent {
    connection: usize,
    number: i64,
    payload: usize,
}

impl Tunnel {
    fn new(up: Faults, down: Faults) -> Self {
        let config = AgentConfig {
            session_type: SessionType::PORT,
            properties: json!({"type": "LocalPortForwarding", "portNumber": "80"}),
            ..ends::agent_config()
        };
        let mut tunnel = Self {
            now: epoch(),
            client: ends::client(ends::SESSION, [1; 32]),
            agent: ends::agent(config, [2; 32]),
            far: Mux::new(MuxRole::Agent, false, epoch()),
            newest: None,
            refused: None,
            up: Link::new(up, Random::new(1)),
            down: Link::new(down, Random::new(2)),
            alarm: None,
            back: None,
            payload_cap: None,
            connection: 0,
            sent: None,
        };
        let token = Secret::new("token");
        tunnel.agent.handle_connected(&token, tunnel.now);
        tunnel.client.handle_connected(&token, tunnel.now);
        let limit = Duration::from_secs(10);
        assert!(tunnel.run(limit, |tunnel| tunnel.client.streams().is_some()));
        tunnel
    }

    /// The streams at the client's end.
    fn near(&mut self) -> &mut Mux {
        self.client.streams().unwrap()
    }

    /// The streams at the agent's end, once `id` is one of them.
    fn far(&mut self, id: StreamId) -> Option<&mut Mux> {
        Some(&mut self.far).filter(|_| self.newest >= Some(id))
    }

    /// Lets time pass, with `act` doing what the users of the streams do whenever something may
    /// have changed. Ends early, and says so, if that gives true.
    fn run(&mut self, time: Duration, mut act: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + time;
        loop {
            let done = act(self);
            self.drain();
            if done {
                return true;
            }
            match self.next_moment().filter(|at| *at <= end) {
                Some(at) => self.go_to(at),
                None => {
                    self.now = end;
                    return false;
                }
            }
        }
    }

    /// Sends `up` bytes and gets `down` on a stream of their own, all of them within `limit`.
    fn exchange(&mut self, up: usize, down: usize, limit: Duration) {
        let (question, answer) = (Pattern::new(1), Pattern::new(2));
        let id = self.near().open().unwrap();
        let mut user = (Source::new(&question, up), Sink::new(&answer));
        let mut server = (Source::new(&answer, down), Sink::new(&question));
        let done = self.run(limit, |tunnel| {
            user.0.pump(tunnel.near(), id);
            let heard = user.1.pull(tunnel.near(), id);
            let Some(far) = tunnel.far(id) else {
                return false;
            };
            server.0.pump(far, id);
            server.1.pull(far, id) & heard
        });
        assert!(
            done,
            "{} of {up} up, {} of {down} down",
            server.1.at, user.1.at
        );
        assert_eq!((server.1.at, user.1.at), (up, down), "to the byte");
    }

    fn next_moment(&self) -> Option<Instant> {
        let client = self.client.poll_timeout();
        let agent = self.agent.poll_timeout();
        let arrival = self.down.next_arrival();
        let moments = [
            arrival.filter(|_| !self.client.is_saturated()),
            self.up.next_arrival(),
            client.map(|at| at.max(self.up.ready())),
            agent.map(|at| at.max(self.down.ready())),
            Some(self.up.ready()).filter(|at| *at > self.now),
            Some(self.down.ready()).filter(|at| *at > self.now),
            self.alarm.filter(|at| *at > self.now),
            self.back,
        ];
        moments.into_iter().flatten().min()
    }

    fn go_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
        if self.back.take_if(|at| *at <= self.now).is_some() {
            self.connection += 1;
            let token = Secret::new("again");
            self.client.handle_connected(&token, self.now);
        }
        while !self.client.is_saturated()
            && let Some(frame) = self.down.arrival(self.now)
        {
            self.client.handle_frame(&frame, self.now);
        }
        while let Some(frame) = self.up.arrival(self.now) {
            self.agent.handle_frame(&frame, self.now);
        }
        if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
            self.client.handle_timeout(self.now);
        }
        if self.agent.poll_timeout().is_some_and(|at| at <= self.now) {
            self.agent.handle_timeout(self.now);
        }
        self.drain();
    }

    /// The client's connection dies, with all that is under way, and comes back later.
    fn disconnect(&mut self, outage: Duration) {
        self.client.handle_disconnected(self.now);
        self.up.clear();
        self.down.clear();
        self.back = Some(self.now + outage);
    }

    fn drain(&mut self) {
        loop {
            self.transmit_up();
            self.transmit_down();
            let told = self.hear_client() | self.hear_agent();
            if !told {
                return;
            }
        }
    }

    fn transmit_up(&mut self) {
        while self.up.ready() <= self.now
            && let Some(frame) = self.client.poll_transmit(self.now)
        {
            let Ok(message) = Message::decode(frame.as_bytes()) else {
                continue; // The opening is for the service.
            };
            if message.message_type.is_stream_data() {
                let payload = message.payload.len();
                if let Some(sent) = &mut self.sent {
                    sent.push(Sent {
                        connection: self.connection,
                        number: message.sequence_number.0,
                        payload,
                    });
                }
                if self.payload_cap.is_some_and(|cap| payload > cap) {
                    return self.disconnect(RECONNECT);
                }
            }
            self.up.carry(frame, self.now);
        }
    }

    fn transmit_down(&mut self) {
        while let Some(payload) = self
            .refused
            .take()
            .or_else(|| self.far.poll_transmit(AGENT_PAYLOAD))
        {
            let written = self.agent.write(OutputStream::Stdout, &payload, self.now);
            if written == 0 {
                self.refused = Some(payload);
                break;
            }
        }
        while self.down.ready() <= self.now
            && let Some(frame) = self.agent.poll_transmit(self.now)
        {
            if self.back.is_none() {
                self.down.carry(frame, self.now);
            }
        }
    }

    fn hear_client(&mut self) -> bool {
        let mut told = false;
        while let Some(event) = self.client.poll_event() {
            told = true;
            let expected = matches!(event, Event::Established(_) | Event::Writable);
            assert!(expected, "{event:?}");
        }
        // Users of streams look after every step.
        while self
            .client
            .streams()
            .is_some_and(|near| near.poll_event().is_some())
        {}
        told
    }

    fn hear_agent(&mut self) -> bool {
        let mut told = false;
        while let Some(event) = self.agent.poll_event() {
            told = true;
            match event {
                AgentEvent::Started { .. } => self.agent.accept_input(),
                AgentEvent::Input(data) => self.far.handle_data(data, self.now),
                AgentEvent::Writable | AgentEvent::Resize(_) => {}
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = self.far.poll_event() {
            if let MuxEvent::Opened(id) = event {
                assert!(self.newest < Some(id));
                self.newest = Some(id);
            }
        }
        told
    }
}
