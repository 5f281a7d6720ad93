//! The service between the two ends of a session (`docs/PROTOCOL.md` 10.6).
//!
//! ```text
//!  client ── WebSocket ──► Gateway ── channel ──► agent
//!         ◄───────────────        ◄──────────────
//! ```
//!
//! One task per session holds the client's socket and the channels of the agent. Stream data and acknowledgements
//! pass through a [`Link`] in each direction, unmodified, unless the plan asks for faults. A link holds a bounded
//! number of bytes and the gateway takes no more before there is room, so an end that does not read stops the other
//! through TCP and the bounded channels, and nothing grows.

mod agent;
mod client;
mod clocks;
mod close;
mod end;
mod failing;
mod freeze;
mod link;
mod messages;
mod open;

use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;

use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::SessionState;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_websockets::CloseCode;

use self::agent::AgentEnd;
use self::agent::AgentEvent;
use self::client::Client;
use self::client::ClientEvent;
use self::client::Socket;
use self::clocks::Clocks;
use self::clocks::Expiry;
pub use self::close::ChannelClose;
use self::link::Link;
pub(crate) use self::open::open;
use crate::agent::AgentTask;
use crate::deadline::until;
use crate::documents::ResolvedDocument;
use crate::plan::ConnectStep;
use crate::plan::Failure;
use crate::service::Service;
use crate::sessions::Status;

/// What the rest of the service asks of a session's gateway.
#[derive(Debug)]
pub(crate) enum Order {
    /// This socket, its token checked, is the client from now on.
    Attach(Box<Socket>),
    /// The session is to end.
    Terminate,
    /// The client is to lose its channel; whether there is one goes back through `done`.
    Close {
        how: ChannelClose,
        done: oneshot::Sender<bool>,
    },
    /// The agent is to stand still, or to go on; whether there is one goes back through `done`.
    Freeze {
        frozen: bool,
        done: oneshot::Sender<bool>,
    },
}

/// The service's side of one session.
pub(crate) struct Gateway {
    service: Arc<Service>,
    session_id: String,
    client: Option<Client>,
    to_client: Link,
    agent: AgentEnd,
    to_agent: Link,
    clocks: Clocks,
    /// A client has been shown the end of the handshake, or output of a session that has none.
    established: bool,
    /// What the service tells the user about an end of its own.
    words: Option<&'static str>,
    /// When to stop waiting for an end that has begun.
    deadline: Option<Instant>,
    /// Clients being sent away.
    farewells: JoinSet<()>,
    /// Sockets of clients that were silenced and are not the client any more.
    silenced: Vec<Socket>,
}

enum Happening {
    Order(Option<Order>),
    Stopping,
    Agent(AgentEvent),
    Client(ClientEvent),
    /// Something on its way is due, or there is room for more.
    Moved,
    Expired(Expiry),
    Overdue,
}

impl Gateway {
    /// The gateway of a session that was just entered, with its agent started.
    pub(crate) fn new(
        service: &Arc<Service>,
        session_id: String,
        instance_id: String,
        document: ResolvedDocument,
    ) -> Self {
        let task = AgentTask {
            session_id: session_id.clone(),
            instance_id,
            document,
            challenge: service.plan.challenge,
            pacing: service.plan.pacing,
            agent_version: service.plan.agent_version.clone(),
            payload: service.plan.agent_payload,
            ways: service.plan.agent_ways,
            guard: Arc::clone(&service.guard),
        };
        let faults = &service.connect_faults;
        let frozen = faults.strikes(Failure::Stall, ConnectStep::Handshake);
        let mut agent = AgentEnd::start(task, Arc::clone(&service.kms), frozen);
        // Nobody is there yet to take what the agent sends.
        agent.tell(messages::pause_publication());
        let faults = &service.plan.faults;
        Self {
            service: Arc::clone(service),
            session_id,
            client: None,
            to_client: Link::new(faults, 0),
            agent,
            to_agent: Link::new(faults, 1),
            clocks: Clocks::new(&service.plan.limits, Instant::now()),
            established: false,
            words: None,
            deadline: None,
            farewells: JoinSet::new(),
            silenced: Vec::new(),
        }
    }

    /// Serves the session to its end.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let service = Arc::clone(&self.service);
        let mut stopped = pin!(service.stopped());
        loop {
            self.agent.hand_over(&mut self.to_agent, Instant::now());
            match self.next(&mut orders, stopped.as_mut()).await {
                Happening::Order(Some(Order::Attach(socket))) => self.attach(*socket),
                Happening::Order(Some(Order::Close { how, done })) => {
                    // Who asked may have left.
                    done.send(self.close_channel(how)).ok();
                }
                Happening::Order(Some(Order::Freeze { frozen, done })) => {
                    done.send(self.freeze_agent(frozen)).ok();
                }
                Happening::Order(Some(Order::Terminate) | None) | Happening::Stopping => self.end(),
                Happening::Agent(AgentEvent::Sent(frame)) => self.take_all_from_agent(frame),
                Happening::Agent(AgentEvent::Ended(result)) => self.agent_ended(result),
                Happening::Client(event) => self.client_event(event),
                Happening::Agent(AgentEvent::Moved) | Happening::Moved => {}
                Happening::Expired(expiry) => self.expire(expiry),
                Happening::Overdue => break,
            }
            if self.is_done() {
                break;
            }
        }
        self.take_late_client(&mut orders);
        self.finish().await;
    }

    async fn next(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Happening {
        let now = Instant::now();
        let ending = self.deadline.is_some();
        let client_reads = self.to_client.has_room(now);
        let agent_reads =
            self.to_agent.has_room(now) || self.agent.is_deaf() || self.agent.is_frozen();
        let links = [&mut self.to_client, &mut self.to_agent];
        let timeouts = links.into_iter().map(|link| link.poll_timeout(now));
        let moved = timeouts.flatten().min();
        let (expires, expiry) = self.clocks.next().filter(|_| !ending).unzip();
        tokio::select! {
            order = orders.recv() => Happening::Order(order),
            () = stopped, if !ending => Happening::Stopping,
            event = self.agent.next(client_reads) => Happening::Agent(event),
            event = client::next(self.client.as_mut(), &mut self.to_client, agent_reads) => Happening::Client(event),
            () = until(moved) => Happening::Moved,
            Some(expiry) = expired(expires, expiry) => Happening::Expired(expiry),
            () = until(self.deadline) => Happening::Overdue,
        }
    }

    /// The client is here: both ends may publish.
    fn attach(&mut self, socket: Socket) {
        let start = messages::start_publication();
        let client = Client::new(socket, start.clone(), self.established);
        if let Some(previous) = self.client.replace(client) {
            self.send_away(
                previous,
                CloseCode::POLICY_VIOLATION,
                "the channel was opened again",
            );
        }
        self.agent.tell(start);
        self.clocks.on_attached(Instant::now());
        self.service
            .sessions
            .set_status(&self.session_id, Status::Connected);
        tracing::info!(session_id = self.session_id, "client attached");
    }

    /// A client that comes while the session ends is told so like one that was there.
    fn take_late_client(&mut self, orders: &mut mpsc::Receiver<Order>) {
        orders.close();
        while let Ok(order) = orders.try_recv() {
            if let Order::Attach(socket) = order {
                self.attach(*socket);
            }
        }
    }

    fn client_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Sent => {}
            ClientEvent::Passed(step) => self.client_passed(step),
            ClientEvent::Received(frames) => {
                for frame in frames {
                    if !self.take_from_client(frame) {
                        return self
                            .lose_client(CloseCode::MESSAGE_TOO_BIG, "a payload is too large");
                    }
                }
            }
            ClientEvent::Gone(reason) => {
                tracing::info!(session_id = self.session_id, reason, "client gone");
                self.lose_client(CloseCode::NORMAL_CLOSURE, "");
            }
        }
    }

    /// Whether the service puts up with the frame.
    fn take_from_client(&mut self, frame: Frame) -> bool {
        let Some(message) = decode(&frame) else {
            tracing::debug!(
                session_id = self.session_id,
                "bad frame of the client dropped"
            );
            return true;
        };
        match message.message_type {
            MessageType::INPUT_STREAM_DATA if self.is_too_large(&message) => return false,
            MessageType::INPUT_STREAM_DATA => {
                self.clocks.on_data(Instant::now());
                self.pass_to_agent(frame);
            }
            MessageType::ACKNOWLEDGE => self.pass_to_agent(frame),
            other => {
                tracing::debug!(session_id = self.session_id, %other, "frame of the client dropped");
            }
        }
        true
    }

    /// The client of a frozen agent is still read from, or its pings were not answered; what there is no room for is
    /// lost, and was never acknowledged.
    fn pass_to_agent(&mut self, frame: Frame) {
        let now = Instant::now();
        if !self.agent.is_frozen() || self.to_agent.has_room(now) {
            self.to_agent.push(frame, now);
        }
    }

    fn is_too_large(&self, message: &Message) -> bool {
        let cap = self.service.plan.faults.payload_cap;
        cap.is_some_and(|cap| message.payload.len() > cap)
    }

    fn lose_client(&mut self, code: CloseCode, reason: &'static str) {
        if let Some(client) = self.take_client() {
            self.send_away(client, code, reason);
        }
    }

    /// From now on there is no client, and what was on its way to it is lost.
    fn take_client(&mut self) -> Option<Client> {
        let client = self.client.take()?;
        self.to_client.clear();
        self.clocks.on_gone();
        self.agent.tell(messages::pause_publication());
        self.service
            .sessions
            .set_status(&self.session_id, Status::Disconnected);
        Some(client)
    }

    /// Takes `frame` and what came with it, while there is room.
    fn take_all_from_agent(&mut self, frame: Frame) {
        self.take_from_agent(frame);
        let now = Instant::now();
        while self.to_client.has_room(now)
            && let Some(frame) = self.agent.try_next()
        {
            self.take_from_agent(frame);
        }
    }

    fn take_from_agent(&mut self, frame: Frame) {
        // Its first frame asks for the channel, as a client's does; an agent of our own needs no check.
        let Some(message) = decode(&frame) else {
            return;
        };
        match message.message_type {
            MessageType::AGENT_SESSION_STATE => self.session_state(&message),
            MessageType::OUTPUT_STREAM_DATA if self.client.is_some() => {
                self.clocks.on_data(Instant::now());
                self.to_client.push(frame, Instant::now());
            }
            MessageType::ACKNOWLEDGE if self.client.is_some() => {
                self.to_client.push(frame, Instant::now());
            }
            // An acknowledgement has ended the pause, or the agent has not read of it yet.
            MessageType::OUTPUT_STREAM_DATA if !self.agent.has_words() => {
                self.agent.tell(messages::pause_publication());
            }
            other => {
                tracing::debug!(session_id = self.session_id, %other, "frame of the agent dropped");
            }
        }
    }

    fn session_state(&mut self, message: &Message) {
        let state = serde_json::from_slice::<SessionState>(&message.payload);
        if state.is_ok_and(|state| state.session_state == SessionState::TERMINATING) {
            self.service
                .sessions
                .set_status(&self.session_id, Status::Terminating);
            self.limit_end();
        }
    }

    fn send_away(&mut self, client: Client, code: CloseCode, reason: &'static str) {
        if client.is_silent() {
            return self.silenced.push(client.into_socket());
        }
        // Those who have left are forgotten, or a session would remember every client it ever had.
        while self.farewells.try_join_next().is_some() {}
        if self.farewells.len() < MAX_FAREWELLS {
            let farewell = client::close(client.into_socket(), code, reason);
            self.farewells.spawn(farewell);
        }
    }
}

/// Waits until a limit passes, if there is one.
async fn expired(at: Option<Instant>, expiry: Option<Expiry>) -> Option<Expiry> {
    until(at).await;
    expiry
}

/// Text and binary frames are alike to the service (`docs/PROTOCOL.md` 2.3). Digests are the ends' business.
fn decode(frame: &Frame) -> Option<Message> {
    Message::decode_undigested(frame.as_bytes()).ok()
}

/// Clients of one session that may take their time to leave.
const MAX_FAREWELLS: usize = 16;
