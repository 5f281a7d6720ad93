//! A managed node: the agent's machine behind a WebSocket, and the service's few words.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::SplitStream;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::AgentSession;
use ssm_session_proto::AgentWays;
use ssm_session_proto::Frame;
use ssm_session_proto::OpenDataChannel;
use ssm_session_proto::OutputStream;
use ssm_session_proto::Secret;
use ssm_session_proto::SessionType;
use ssm_session_proto::UnixMillis;
use ssm_session_proto::WallClock;
use ssm_session_proto::service;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_websockets::Message;
use tokio_websockets::WebSocketStream;
use uuid::Uuid;

use crate::streams::Streams;
use crate::support::SESSION;
use crate::support::TOKEN;

pub(crate) const TARGET: &str = "i-0123456789abcdef0";

pub(crate) struct Node<S> {
    agent: AgentSession,
    frames: SplitStream<WebSocketStream<S>>,
    outbox: mpsc::UnboundedSender<Message>,
    output: VecDeque<Bytes>,
    /// What it sends instead in a multiplexed session.
    streams: Option<Streams>,
}

pub(crate) fn agent_config(session_type: SessionType) -> AgentConfig {
    AgentConfig {
        session_id: SESSION.to_owned(),
        instance_id: TARGET.to_owned(),
        agent_version: "3.3.0.0".to_owned(),
        session_type,
        properties: serde_json::Value::Null,
        encryption: None,
        separate_output: false,
        ways: AgentWays::default(),
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Node<S> {
    /// A shell, once the client's first frame has the right token.
    pub(crate) async fn open(socket: WebSocketStream<S>) -> Self {
        Self::open_as(socket, agent_config(SessionType::STANDARD_STREAM)).await
    }

    pub(crate) async fn open_as(mut socket: WebSocketStream<S>, config: AgentConfig) -> Self {
        let opening = socket.next().await.unwrap().unwrap();
        assert!(opening.is_text());
        let opening = OpenDataChannel::from_json(opening.as_payload()).unwrap();
        assert_eq!(opening.token_value, Secret::new(TOKEN));

        let now = Instant::now();
        let clock = WallClock::new(now, Duration::from_secs(1_700_000_000));
        let mut agent = AgentSession::new(config, clock, [5; 32]);
        agent.handle_connected(&Secret::new("agent-token"), now);
        let (mut sink, frames) = socket.split();
        // On a task of its own, so that a client that does not read does not keep us from reading.
        let (outbox, mut waiting) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if sink.send(message).await.is_err() {
                    break;
                }
            }
        });
        Self {
            agent,
            frames,
            outbox,
            output: VecDeque::new(),
            streams: None,
        }
    }

    /// Has it send what streams have to say.
    pub(crate) fn multiplex(&mut self) {
        self.streams = Some(Streams::new());
    }

    pub(crate) fn streams(&mut self) -> &mut Streams {
        self.streams.as_mut().unwrap()
    }

    /// Drives the agent until it has something to say, or the client is gone.
    pub(crate) async fn event(&mut self) -> Option<AgentEvent> {
        loop {
            self.work();
            if let Some(event) = self.agent.poll_event() {
                return Some(event);
            }
            let due = self.agent.poll_timeout();
            let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                frame = self.frames.next() => {
                    let message = frame?.ok()?;
                    if message.is_binary() {
                        self.agent.handle_frame(&Frame::Binary(message.into_payload().into()), now());
                    } else if message.is_close() {
                        return None;
                    }
                }
                () = tokio::time::sleep_until(due.into()) => self.agent.handle_timeout(now()),
            }
        }
    }

    /// Leaves the agent alone until `again`, while the service goes on answering pings. What comes
    /// for the agent meanwhile reaches it then.
    pub(crate) async fn stand_still(&mut self, mut again: oneshot::Receiver<()>) {
        let mut kept = Vec::new();
        loop {
            tokio::select! {
                frame = self.frames.next() => match frame {
                    Some(Ok(message)) if message.is_binary() => kept.push(message),
                    Some(Ok(_)) => {}
                    _ => return,
                },
                _ = &mut again => break,
            }
        }
        for message in kept {
            let frame = Frame::Binary(message.into_payload().into());
            self.agent.handle_frame(&frame, now());
        }
    }

    pub(crate) fn work(&mut self) {
        self.send_output();
        while self.output.is_empty()
            && let Some(payload) = self.streams.as_mut().and_then(Streams::next_payload)
        {
            self.output.push_back(payload);
            self.send_output();
        }
    }

    /// Whether the agent has taken all there is to send.
    pub(crate) fn has_sent_all(&self) -> bool {
        let streams = self.streams.as_ref();
        self.output.is_empty() && !streams.is_some_and(|streams| streams.mux.has_work())
    }

    fn send_output(&mut self) {
        while let Some(data) = self.output.front() {
            if self.agent.write(OutputStream::Stdout, data, now()) < data.len() {
                break;
            }
            self.output.pop_front();
        }
        while let Some(frame) = self.agent.poll_transmit(now()) {
            // What the agent tells the service does not reach the client.
            if let Frame::Binary(bytes) = frame
                && !bytes[4..].starts_with(b"agent_session_state")
            {
                self.send(Message::binary(bytes));
            }
        }
    }

    pub(crate) fn send(&self, message: Message) {
        // The client may be gone; the next event tells.
        drop(self.outbox.send(message));
    }

    /// Queues output, cut as agents cut it.
    pub(crate) fn print(&mut self, data: &[u8]) {
        self.output
            .extend(data.chunks(1024).map(Bytes::copy_from_slice));
        self.work();
    }

    pub(crate) fn agent(&mut self) -> &mut AgentSession {
        &mut self.agent
    }

    /// The service closes the channel.
    pub(crate) fn close_channel(&mut self, words: &str) {
        let Frame::Binary(bytes) = service::channel_closed(
            SESSION,
            words,
            Uuid::from_u128(9),
            UnixMillis(1_700_000_000_000),
        ) else {
            panic!("channel_closed is a binary frame")
        };
        self.work();
        self.send(Message::binary(bytes));
    }

    /// Shows a prompt and sends everything back, until the client is gone. The line `exit`, an
    /// interrupt and the flag to terminate end the session.
    pub(crate) async fn echo(mut self) {
        while let Some(event) = self.event().await {
            match event {
                AgentEvent::Started { .. } => {
                    self.agent.accept_input();
                    self.print(b"$ ");
                }
                AgentEvent::Input(data) if matches!(&data[..], b"exit\r" | b"\x03") => {
                    self.agent.finish(now());
                }
                AgentEvent::Input(data) => self.print(&data),
                AgentEvent::Flag(2) => self.agent.finish(now()),
                AgentEvent::Drained => self.close_channel("Goodbye."),
                _ => {}
            }
        }
    }
}

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
