//! The service between the two ends of a session (`docs/PROTOCOL.md` 10.6).
//!
//! ```text
//!  client ── WebSocket ──► Gateway ── channel ──► agent
//!         ◄───────────────        ◄──────────────
//! ```
//!
//! One task per session holds the client's socket and the channels of the agent. Stream data and acknowledgements
//! pass unmodified. It holds at most one frame in each direction and takes the next only when that one is gone, so an
//! end that does not read stops the other through TCP and the bounded channels, and nothing grows.

mod client;
mod messages;
mod open;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::SessionState;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_websockets::CloseCode;

use self::client::Client;
use self::client::ClientEvent;
use self::client::Socket;
pub(crate) use self::open::open;
use crate::agent;
use crate::agent::AgentTask;
use crate::agent::Outcome;
use crate::agent::Relay;
use crate::agent::Status as AgentStatus;
use crate::documents::ResolvedDocument;
use crate::service::Service;
use crate::sessions::Status;

/// What the rest of the service asks of a session's gateway.
#[derive(Debug)]
pub(crate) enum Order {
    /// This socket, its token checked, is the client from now on.
    Attach(Box<Socket>),
    /// The session is to end.
    Terminate,
}

/// The service's side of one session.
pub(crate) struct Gateway {
    service: Arc<Service>,
    session_id: String,
    client: Option<Client>,
    /// At most one, from the agent.
    for_client: Option<Frame>,
    to_agent: mpsc::Sender<Frame>,
    from_agent: mpsc::Receiver<Frame>,
    /// At most one frame of the client, and what the service itself has to say.
    for_agent: VecDeque<Frame>,
    /// The agent's task alone, so that it ends with the gateway.
    agent: JoinSet<Outcome>,
    /// Where the agent's side stands.
    agent_end: AgentEnd,
    /// When to stop waiting for an end that has begun.
    deadline: Option<Instant>,
    /// Clients being sent away.
    farewells: JoinSet<()>,
}

/// How far the agent has ended.
#[derive(Default)]
struct AgentEnd {
    /// It sends no more.
    silent: bool,
    /// It reads no more.
    deaf: bool,
    outcome: Option<Outcome>,
}

enum Happening {
    Order(Option<Order>),
    Stopping,
    FromAgent(Option<Frame>),
    AgentEnded(Result<Outcome, JoinError>),
    Client(ClientEvent),
    ToAgent,
    AgentDeaf,
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
        let (to_client, from_agent) = mpsc::channel(FRAMES);
        let (to_agent, from_gateway) = mpsc::channel(FRAMES);
        let task = AgentTask {
            session_id: session_id.clone(),
            instance_id,
            document,
            challenge: service.plan.challenge,
            pacing: service.plan.pacing,
        };
        let relay = Relay {
            to_client,
            from_gateway,
        };
        let mut agent = JoinSet::new();
        agent.spawn(agent::run(task, relay, Arc::clone(&service.kms)));
        Self {
            service: Arc::clone(service),
            // Nobody is there yet to take what the agent sends.
            for_agent: VecDeque::from([messages::pause_publication()]),
            session_id,
            client: None,
            for_client: None,
            to_agent,
            from_agent,
            agent,
            agent_end: AgentEnd::default(),
            deadline: None,
            farewells: JoinSet::new(),
        }
    }

    /// Serves the session to its end.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            match self.next(&mut orders).await {
                Happening::Order(Some(Order::Attach(socket))) => self.attach(*socket),
                Happening::Order(Some(Order::Terminate) | None) | Happening::Stopping => self.end(),
                Happening::FromAgent(Some(frame)) => self.take_from_agent(frame),
                Happening::FromAgent(None) => self.agent_end.silent = true,
                Happening::AgentEnded(result) => self.agent_ended(result),
                Happening::Client(event) => self.client_event(event),
                Happening::ToAgent => {}
                Happening::AgentDeaf => self.agent_deaf(),
                Happening::Overdue => break,
            }
            if self.is_done() {
                break;
            }
        }
        self.take_late_client(&mut orders);
        self.finish().await;
    }

    async fn next(&mut self, orders: &mut mpsc::Receiver<Order>) -> Happening {
        let ending = self.deadline.is_some();
        let for_client_free = self.for_client.is_none();
        let for_agent_free = self.for_agent.is_empty();
        let agent_ended = self.agent_end.outcome.is_some();
        tokio::select! {
            order = orders.recv() => Happening::Order(order),
            () = self.service.stopped(), if !ending => Happening::Stopping,
            frame = self.from_agent.recv(), if for_client_free && !self.agent_end.silent => Happening::FromAgent(frame),
            Some(ended) = self.agent.join_next(), if !agent_ended => Happening::AgentEnded(ended),
            event = client::next(self.client.as_mut(), &mut self.for_client, for_agent_free) => Happening::Client(event),
            room = self.to_agent.reserve(), if !for_agent_free && !self.agent_end.deaf => match room {
                Ok(room) => {
                    if let Some(frame) = self.for_agent.pop_front() {
                        room.send(frame);
                    }
                    Happening::ToAgent
                }
                Err(_) => Happening::AgentDeaf,
            },
            () = until(self.deadline) => Happening::Overdue,
        }
    }

    /// The client is here: both ends may publish.
    fn attach(&mut self, socket: Socket) {
        let start = messages::start_publication();
        let client = Client::new(socket, start.clone());
        if let Some(previous) = self.client.replace(client) {
            self.send_away(
                previous,
                CloseCode::POLICY_VIOLATION,
                "the channel was opened again",
            );
        }
        self.tell_agent(start);
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
            ClientEvent::Received(frame) => match message_type(&frame) {
                Some(MessageType::INPUT_STREAM_DATA | MessageType::ACKNOWLEDGE) => {
                    self.tell_agent(frame);
                }
                other => tracing::debug!(
                    session_id = self.session_id,
                    ?other,
                    "frame of the client dropped"
                ),
            },
            ClientEvent::Gone(reason) => {
                tracing::info!(session_id = self.session_id, reason, "client gone");
                if let Some(client) = self.client.take() {
                    self.send_away(client, CloseCode::NORMAL_CLOSURE, "");
                }
                self.for_client = None;
                self.tell_agent(messages::pause_publication());
                self.service
                    .sessions
                    .set_status(&self.session_id, Status::Disconnected);
            }
        }
    }

    fn take_from_agent(&mut self, frame: Frame) {
        // Its first frame asks for the channel, as a client's does; an agent of our own needs no check.
        let Some(message) = decode(&frame) else {
            return;
        };
        match message.message_type {
            MessageType::AGENT_SESSION_STATE => self.session_state(&message),
            MessageType::OUTPUT_STREAM_DATA | MessageType::ACKNOWLEDGE if self.client.is_some() => {
                self.for_client = Some(frame);
            }
            // An acknowledgement has ended the pause, or the agent has not read of it yet.
            MessageType::OUTPUT_STREAM_DATA if self.for_agent.is_empty() => {
                self.tell_agent(messages::pause_publication());
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
            self.end_by(END_LIMIT);
        }
    }

    /// The service ends the session: the agent is told, kills its command, and sends what is left.
    fn end(&mut self) {
        if self.deadline.is_some() {
            return;
        }
        self.service
            .sessions
            .set_status(&self.session_id, Status::Terminating);
        self.tell_agent(messages::channel_closed(&self.session_id, ""));
        self.end_by(END_LIMIT);
    }

    fn agent_ended(&mut self, result: Result<Outcome, JoinError>) {
        self.agent_deaf();
        self.agent_end.outcome = Some(result.unwrap_or_else(|error| {
            tracing::error!(session_id = self.session_id, %error, "the emulated agent broke");
            Outcome {
                status: AgentStatus::Failed,
                output: "The emulated agent broke.".to_owned(),
            }
        }));
        self.end_by(END_LIMIT);
    }

    fn tell_agent(&mut self, frame: Frame) {
        if !self.agent_end.deaf {
            self.for_agent.push_back(frame);
        }
    }

    fn agent_deaf(&mut self) {
        self.agent_end.deaf = true;
        self.for_agent.clear();
    }

    fn end_by(&mut self, limit: Duration) {
        self.deadline.get_or_insert_with(|| Instant::now() + limit);
    }

    /// The agent has ended and the client has what it sent.
    fn is_done(&self) -> bool {
        self.agent_end.outcome.is_some() && self.agent_end.silent && self.for_client.is_none()
    }

    /// Tells the client, and waits until nothing of the session is left.
    async fn finish(mut self) {
        self.agent.shutdown().await;
        let outcome = self.agent_end.outcome.take();
        let failed = outcome
            .as_ref()
            .is_some_and(|outcome| matches!(outcome.status, AgentStatus::Failed));
        let status = if failed {
            Status::Failed
        } else {
            Status::Terminated
        };
        self.service.sessions.set_status(&self.session_id, status);
        tracing::info!(
            session_id = self.session_id,
            status = status.as_str(),
            "session over"
        );
        if let Some(mut client) = self.client.take() {
            let output = outcome.map(|outcome| outcome.output).unwrap_or_default();
            client.push(messages::channel_closed(&self.session_id, &output));
            self.send_away(client, CloseCode::NORMAL_CLOSURE, "");
        }
        while self.farewells.join_next().await.is_some() {}
    }

    fn send_away(&mut self, client: Client, code: CloseCode, reason: &'static str) {
        self.farewells
            .spawn(client::close(client.into_socket(), code, reason));
    }
}

fn message_type(frame: &Frame) -> Option<MessageType> {
    decode(frame).map(|message| message.message_type)
}

/// Text and binary frames are alike to the service (`docs/PROTOCOL.md` 2.3). Digests are the ends' business.
fn decode(frame: &Frame) -> Option<Message> {
    Message::decode_undigested(frame.as_bytes()).ok()
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Frames that may wait in each direction between gateway and agent.
const FRAMES: usize = 32;
/// How long a session may take to end: the agent drains for at most 2 s (`docs/PROTOCOL.md` 4.7).
const END_LIMIT: Duration = Duration::from_secs(5);
