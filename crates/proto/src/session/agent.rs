//! The agent's end of a session, for emulators and simulations.

mod handshake;
mod receive;
mod ways;

pub use ways::AgentWays;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use tracing::debug;

use super::Frame;
use super::OutputStream;
use super::SessionType;
use crate::composer::Composer;
use crate::crypto::DataKey;
use crate::crypto::NonceCounter;
use crate::crypto::SessionCipher;
use crate::handshake::AgentEncryption;
use crate::handshake::agent::AgentHandshake;
use crate::message::Acknowledge;
use crate::message::ControlFlag;
use crate::message::Message;
use crate::message::MessageType;
use crate::message::OpenDataChannel;
use crate::message::PayloadType;
use crate::message::SessionState;
use crate::secret::Hidden;
use crate::secret::Secret;
use crate::stream::ReliableStream;
use crate::terminal_size::TerminalSize;
use crate::time::WallClock;
use crate::version::Version;

/// How long an ending agent waits for acknowledgements (docs/PROTOCOL.md 4.7).
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// What an agent knows of a session it is told to run.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The session, as the service named it.
    pub session_id: String,
    /// The agent's own identity, which is the target it has KMS bind the data key to.
    pub instance_id: String,
    /// Four numbers; clients compare nothing else (docs/PROTOCOL.md 5.2).
    pub agent_version: String,
    /// The document's session type.
    pub session_type: SessionType,
    /// The document's properties with parameters filled in.
    pub properties: Value,
    /// Encryption, if the document names a KMS key. Port sessions are never encrypted.
    pub encryption: Option<AgentEncryption>,
    /// Whether output streams are separate, which old clients are warned of.
    pub separate_output: bool,
    /// In what it is as odd as AWS's agent.
    pub ways: AgentWays,
}

/// The agent's end of a session, without I/O; driven like [`ClientSession`](super::ClientSession).
pub struct AgentSession {
    config: AgentConfig,
    composer: Composer,
    nonces: NonceCounter,
    stream: ReliableStream,
    handshake: AgentHandshake,
    started: Option<Instant>,
    /// The response that waits for KMS; acknowledged when its key is there.
    held: Option<Acknowledge>,
    cipher: Option<SessionCipher>,
    opening: Option<Frame>,
    aside: VecDeque<Frame>,
    events: VecDeque<AgentEvent>,
    accepting: bool,
    /// The length of output there was no room for.
    refused: Option<usize>,
    ending: Option<Ending>,
    over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ending {
    announce: bool,
    limit: Instant,
}

/// Something the owner of an [`AgentSession`] should know or do.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// Run the command now, and say [`accept_input`](AgentSession::accept_input) when it runs.
    Started {
        /// What the client calls itself; known only after a handshake.
        client_version: Option<Version>,
    },
    /// Have KMS open this and answer with [`handle_data_key`](AgentSession::handle_data_key).
    DataKeyNeeded {
        /// The data key under the KMS key.
        ciphertext: Vec<u8>,
        /// The KMS key.
        key_id: String,
        /// What the key must be bound to.
        encryption_context: BTreeMap<String, String>,
    },
    /// Bytes for the command.
    Input(Bytes),
    /// The size of the client's terminal.
    Resize(TerminalSize),
    /// A [`ControlFlag`] of the client.
    Flag(u32),
    /// A write was refused before; there is room again.
    Writable,
    /// The handshake failed; the words for the service.
    Failed(String),
    /// The service ended the session.
    ChannelClosed,
    /// After an end: everything has arrived, or will not. Close the channel.
    Drained,
}

impl AgentSession {
    /// A session that is not connected yet. `seed` must be random and never be used again.
    pub fn new(mut config: AgentConfig, clock: WallClock, seed: [u8; 32]) -> Self {
        config.encryption = config
            .encryption
            .filter(|_| config.session_type != SessionType::PORT);
        let mut composer = Composer::new(clock, seed);
        let ways = config.ways;
        Self {
            config,
            nonces: NonceCounter::new(composer.random_bytes()),
            composer,
            stream: ReliableStream::new(MessageType::OUTPUT_STREAM_DATA, None).with_ways(ways),
            handshake: AgentHandshake::Connection,
            started: None,
            held: None,
            cipher: None,
            opening: None,
            aside: VecDeque::new(),
            events: VecDeque::new(),
            accepting: false,
            refused: None,
            ending: None,
            over: false,
        }
    }

    /// The WebSocket is open, for the first time or again.
    pub fn handle_connected(&mut self, token: &Secret, now: Instant) {
        let request_id = self.composer.uuid();
        let open = OpenDataChannel::agent(token.clone(), request_id, &self.config.instance_id);
        self.opening = Some(Frame::Text(open.to_json().into()));
        self.stream.handle_connected(now);
        if matches!(self.handshake, AgentHandshake::Connection) {
            self.send_state(SessionState::CONNECTED, now);
            self.begin(now);
        }
    }

    /// The WebSocket is gone. All state is kept for the next one.
    pub fn handle_disconnected(&mut self, _now: Instant) {
        self.opening = None;
        self.stream.handle_disconnected();
    }

    /// A WebSocket message came. Unusable ones are dropped, and the channel goes on.
    pub fn handle_frame(&mut self, frame: &Frame, now: Instant) {
        if self.over {
            return;
        }
        match Message::decode_undigested(frame.as_bytes()) {
            Ok(message) => self.on_message(message, now),
            Err(error) => debug!(%error, "dropping a message"),
        }
        self.settle(now);
    }

    /// The answer to [`AgentEvent::DataKeyNeeded`]: the key, or KMS's reason.
    pub fn handle_data_key(&mut self, key: Result<DataKey, String>, now: Instant) {
        let version = match std::mem::replace(&mut self.handshake, AgentHandshake::Nothing) {
            AgentHandshake::DataKey { client_version, .. } => client_version,
            other => {
                self.handshake = other;
                return;
            }
        };
        if let Some(acknowledgement) = self.held.take() {
            self.stream.accept(acknowledgement);
        }
        let cipher = key.and_then(|key| SessionCipher::agent(&key).map_err(|e| e.to_string()));
        match cipher {
            Ok(cipher) => self.challenge(cipher, version, now),
            Err(reason) => self.fail(&format!(
                "Fetching data key failed: Unable to retrieve data key, {reason}"
            )),
        }
        self.take_kept(now);
        self.settle(now);
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.stream.handle_timeout(now);
        self.take_kept(now);
        if let Some((_, text)) = self.handshake.limit().filter(|(at, _)| *at <= now) {
            self.fail(text);
        }
        self.settle(now);
    }

    /// The command runs. Until then input is neither acknowledged nor consumed, and the client
    /// sends it again.
    pub fn accept_input(&mut self) {
        self.accepting = true;
    }

    /// Takes output as one message and says how many bytes it took: all, or none while
    /// publication is paused or the window is full; [`AgentEvent::Writable`] says when to try
    /// again. Empty output is swallowed, as the real agent does.
    pub fn write(&mut self, stream: OutputStream, data: &[u8], now: Instant) -> usize {
        if self.stream.is_paused() || !self.stream.has_room(data.len()) {
            self.refused = Some(data.len());
            self.stream.on_limited();
            return 0;
        }
        let kind = match stream {
            OutputStream::Stdout => PayloadType::OUTPUT,
            OutputStream::Stderr => PayloadType::STDERR,
        };
        if !data.is_empty() {
            self.send(kind, data, now);
        }
        data.len()
    }

    /// Sends the exit code of the command, behind all output.
    pub fn exit_code(&mut self, code: i32, now: Instant) {
        self.send(
            PayloadType::EXIT_CODE,
            format!("EXIT_CODE: {code}").as_bytes(),
            now,
        );
    }

    /// Tells the client that a connection to the destination could not be made, not which
    /// (docs/PROTOCOL.md 7.6).
    pub fn connect_to_port_error(&mut self, now: Instant) {
        let flag = ControlFlag::CONNECT_TO_PORT_ERROR.to_payload();
        self.stream
            .send(PayloadType::FLAG, flag, &mut self.composer, now);
    }

    /// The command has ended: waits for acknowledgements, then tells the service.
    pub fn finish(&mut self, now: Instant) {
        self.end(true, now);
    }

    /// The session was ended from outside: waits for acknowledgements and tells nobody.
    pub fn cancel(&mut self, now: Instant) {
        self.end(false, now);
    }

    /// The next WebSocket message to send.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Frame> {
        if !self.stream.is_connected() {
            return None;
        }
        if let Some(frame) = self.opening.take().or_else(|| self.aside.pop_front()) {
            return Some(frame);
        }
        self.stream
            .poll_transmit(&mut self.composer, now)
            .map(Frame::Binary)
    }

    /// The next thing to know or do.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<AgentEvent> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let handshake = self.handshake.limit().map(|(at, _)| at);
        let ending = self.ending.map(|ending| ending.limit);
        handshake
            .into_iter()
            .chain(ending)
            .chain(self.stream.next_turn())
            .chain(self.stream.poll_timeout())
            .min()
    }

    fn send(&mut self, kind: PayloadType, data: &[u8], now: Instant) {
        let payload = match &self.cipher {
            Some(cipher) => match cipher.seal(self.nonces.next(), data) {
                Ok(sealed) => Bytes::from(sealed),
                Err(error) => return self.fail(&error.to_string()),
            },
            None => Bytes::copy_from_slice(data),
        };
        self.stream.send(kind, payload, &mut self.composer, now);
    }

    fn send_state(&mut self, state: &str, now: Instant) {
        let body = crate::json::to_vec(&SessionState::new(state, &self.config.session_id));
        let message = self
            .composer
            .aside(MessageType::AGENT_SESSION_STATE, body, now);
        self.aside.push_back(Frame::Binary(message.encode()));
    }

    fn end(&mut self, announce: bool, now: Instant) {
        if self.ending.is_none() && !self.over {
            self.ending = Some(Ending {
                announce,
                limit: now + DRAIN_LIMIT,
            });
            self.settle(now);
        }
    }

    /// What follows from the state as it is after an input.
    fn settle(&mut self, now: Instant) {
        if let Some(length) = self.refused
            && !self.stream.is_paused()
            && self.stream.has_room(length)
        {
            self.refused = None;
            self.events.push_back(AgentEvent::Writable);
        }
        if let Some(ending) = self.ending
            && (self.stream.is_acknowledged() || ending.limit <= now)
        {
            self.ending = None;
            self.over = true;
            if ending.announce {
                self.send_state(SessionState::TERMINATING, now);
            }
            self.events.push_back(AgentEvent::Drained);
        }
    }
}

impl fmt::Debug for AgentSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentSession")
            .field("session_id", &self.config.session_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AgentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { client_version } => f
                .debug_struct("Started")
                .field("client_version", client_version)
                .finish(),
            Self::DataKeyNeeded {
                key_id,
                encryption_context,
                ..
            } => f
                .debug_struct("DataKeyNeeded")
                .field("key_id", key_id)
                .field("encryption_context", encryption_context)
                .finish_non_exhaustive(),
            Self::Input(data) => f.debug_tuple("Input").field(&Hidden(data)).finish(),
            Self::Resize(size) => f.debug_tuple("Resize").field(size).finish(),
            Self::Flag(flag) => f.debug_tuple("Flag").field(flag).finish(),
            Self::Writable => f.write_str("Writable"),
            Self::Failed(reason) => f.debug_tuple("Failed").field(reason).finish(),
            Self::ChannelClosed => f.write_str("ChannelClosed"),
            Self::Drained => f.write_str("Drained"),
        }
    }
}
