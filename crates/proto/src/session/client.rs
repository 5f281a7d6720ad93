//! The client's end of a session.

mod handshake;
mod port;
mod receive;
mod send;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use std::time::Instant;

use uuid::Uuid;

use self::port::Port;
use super::CloseReason;
use super::Event;
use super::Frame;
use super::SessionType;
use super::input::InputQueue;
use super::rejects::Rejects;
use crate::composer::Composer;
use crate::crypto::DataKey;
use crate::crypto::SessionCipher;
use crate::handshake::client::ClientHandshake;
use crate::message::ChannelClosed;
use crate::message::ControlFlag;
use crate::message::Message;
use crate::message::MessageType;
use crate::message::OpenDataChannel;
use crate::secret::Secret;
use crate::stream::ReliableStream;
use crate::terminal_size::TerminalSize;
use crate::time::WallClock;
use crate::version::CLIENT_VERSION;
use crate::version::Version;

/// How long a pause of publication is believed. AWS's own clients ignore pauses, so a service
/// might never end one, and an agent waits 15 s for a handshake and then no longer.
const PAUSE_LIMIT: Duration = Duration::from_secs(3);
/// A session without handshake shows nothing before its first output. Once our terminal size is
/// acknowledged the agent is there, and it would have asked for a handshake first thing.
const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);
/// That time means nothing if the agent was away in it. It is therefore asked once more at the end,
/// and if it answers at once it has this long for a request that its answer overtook.
const LAST_GRACE: Duration = Duration::from_millis(300);
/// How long the agent may take for its part of a handshake; agents give the client 15 s.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait for the service's words after we had to fail a handshake.
const FAILURE_LIMIT: Duration = Duration::from_secs(3);
/// The byte upon which an agent interrupts a command without terminal (docs/PROTOCOL.md 7.3).
const INTERRUPT: &[u8] = b"\x03";

/// What a client knows of its session beforehand.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Names this client through all its connections.
    pub client_id: Uuid,
    /// The session, as the service named it.
    pub session_id: String,
    /// The target, as it was named to the service. Only encrypted sessions need it, and whoever
    /// provides their data key can find it out: [`DataKeyRequest::with_target`](crate::DataKeyRequest::with_target).
    pub target: Option<String>,
}

/// The client's end of a session, without I/O.
///
/// Inputs are `handle_…`, commands of the user plain verbs, outputs `poll_…`. After every input
/// or command take [`poll_transmit`](Self::poll_transmit) until it is empty, then
/// [`poll_event`](Self::poll_event), then wait until [`poll_timeout`](Self::poll_timeout) for
/// the next input. What is polled late is late, and never wrong.
pub struct ClientSession {
    config: ClientConfig,
    composer: Composer,
    stream: ReliableStream,
    handshake: ClientHandshake,
    cipher: Option<SessionCipher>,
    opening: Option<Frame>,
    events: VecDeque<Event>,
    input: InputQueue,
    size: Option<TerminalSize>,
    size_sent: Option<TerminalSize>,
    /// When the agent was asked for the second time whether it is there.
    asked_again: Option<Instant>,
    up: Option<Up>,
    rejects: Rejects,
    deadline: Option<(Timer, Instant)>,
    failure: Option<String>,
    /// The service's last word, until everything that came before it is handed out.
    channel_closed: Option<ChannelClosed>,
    terminating: bool,
    closed: bool,
}

/// What matters of an established session.
struct Up {
    session_type: SessionType,
    agent_version: Option<Version>,
    port: Option<Port>,
}

/// What the session waits for at the most until its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// A handshake request, after the agent showed itself.
    HandshakeGrace,
    /// The agent's next step of the handshake.
    Handshake,
    /// The service's word after our failure.
    Failure,
}

impl ClientSession {
    /// A session that is not connected yet. `seed` must be random and never be used again.
    pub fn new(config: ClientConfig, clock: WallClock, seed: [u8; 32]) -> Self {
        Self {
            config,
            composer: Composer::new(clock, seed),
            stream: ReliableStream::new(MessageType::INPUT_STREAM_DATA, Some(PAUSE_LIMIT)),
            handshake: ClientHandshake::Anything,
            cipher: None,
            opening: None,
            events: VecDeque::new(),
            input: InputQueue::default(),
            size: None,
            size_sent: None,
            asked_again: None,
            up: None,
            rejects: Rejects::default(),
            deadline: None,
            failure: None,
            channel_closed: None,
            terminating: false,
            closed: false,
        }
    }

    /// The WebSocket is open, for the first time or again. Everything unacknowledged is sent
    /// over it (docs/PROTOCOL.md 4.4).
    pub fn handle_connected(&mut self, token: &Secret, now: Instant) {
        let request_id = self.composer.uuid();
        let client_id = self.config.client_id;
        let open = OpenDataChannel::client(token.clone(), request_id, client_id, CLIENT_VERSION);
        self.opening = Some(Frame::Text(open.to_json().into()));
        self.stream.handle_connected(now);
        self.resume_handshake(now);
        self.pump(now);
    }

    /// The WebSocket is gone. All state is kept for the next one.
    pub fn handle_disconnected(&mut self, now: Instant) {
        self.opening = None;
        self.stream.handle_disconnected();
        self.suspend_handshake();
        self.take_back_probe(now);
    }

    /// A WebSocket message came. Unusable ones are dropped, as the reference client does; too
    /// many in a row end the session.
    pub fn handle_frame(&mut self, frame: &Frame, now: Instant) {
        if self.closed {
            return;
        }
        match Message::decode(frame.as_bytes()) {
            Ok(message) => self.on_message(message, now),
            Err(error) => self.reject(&error),
        }
        self.pump(now);
    }

    /// The answer to [`Event::DataKeyNeeded`]: the key, or the reason why there is none, which
    /// the agent is told and the close reason repeats.
    pub fn handle_data_key(&mut self, key: Result<DataKey, String>, now: Instant) {
        match std::mem::replace(&mut self.handshake, ClientHandshake::Nothing) {
            ClientHandshake::DataKey(requested) => self.on_data_key(requested, key, now),
            other => self.handshake = other,
        }
        self.pump(now);
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.stream.handle_timeout(now);
        if self.next_turn().is_some_and(|at| at <= now) {
            self.take_kept(now);
        }
        if let Some(mux) = self.streams() {
            mux.handle_timeout(now);
        }
        if let Some((timer, _)) = self.deadline.take_if(|(_, at)| *at <= now) {
            self.on_deadline(timer, now);
        }
        self.pump(now);
    }

    /// Takes input for the far end, as much as there is room for, and says how many bytes it
    /// took. After less than all, [`Event::Writable`] says when to try again.
    ///
    /// Input is held until the session is established: agents acknowledge and lose what comes
    /// before (docs/PROTOCOL.md 5). A line feed written alone reaches a shell as a carriage
    /// return (docs/PROTOCOL.md 7.0). A multiplexed session has no input but its
    /// [`streams`](Self::streams): what is written is thrown away.
    pub fn write(&mut self, data: &[u8], now: Instant) -> usize {
        if self.closed || self.streams().is_some() {
            return data.len();
        }
        self.link_is_used();
        let taken = self.input.write(data);
        self.pump(now);
        taken
    }

    /// The terminal has this size now.
    pub fn resize(&mut self, size: TerminalSize, now: Instant) {
        self.size = Some(size);
        self.pump(now);
    }

    /// Ends the session from this side, as far as the protocol allows.
    ///
    /// A command without terminal is interrupted and a port session gets a flag behind what was
    /// written, upon which the service closes the channel; what [`streams`](Self::streams) have
    /// not sent by then is given up. Shells, and ports at agents up to
    /// 2.3.722.0, have neither: [`CloseReason::Terminated`] says that what was written has
    /// arrived and the service may be told.
    pub fn terminate(&mut self, now: Instant) {
        if std::mem::replace(&mut self.terminating, true) {
            return;
        }
        if let Some(up) = &self.up {
            if up.session_type == SessionType::NON_INTERACTIVE_COMMANDS {
                self.input.append(INTERRUPT);
            } else if up.has_terminate_flag() {
                self.input.append_flag(ControlFlag::TERMINATE_SESSION);
            }
        }
        self.pump(now);
    }

    /// Since when the agent has owed an acknowledgement on this connection and given none. An agent
    /// also gives none while its program or destination takes no input (docs/PROTOCOL.md 4.2).
    #[must_use]
    pub fn unanswered_since(&self) -> Option<Instant> {
        self.stream.unanswered_since()
    }

    /// A number that changes whenever the session gets on: with every message of the agent that was
    /// next, and every one of ours that it acknowledges for the first time. Repeats change nothing.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.stream.progress()
    }

    /// Whether [`Event::Established`] was given.
    pub fn is_established(&self) -> bool {
        self.up.is_some()
    }

    /// The next WebSocket message to send.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Frame> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        let frame = self.stream.poll_transmit(&mut self.composer, now);
        // Streams are written to without a word to the session.
        let frame = frame.or_else(|| {
            self.pump(now);
            self.stream.poll_transmit(&mut self.composer, now)
        });
        frame.map(Frame::Binary)
    }

    /// The next thing to know or do.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let deadline = self.deadline.map(|(_, at)| at);
        let port = self.up.as_ref().and_then(|up| up.port.as_ref());
        deadline
            .into_iter()
            .chain(self.next_turn())
            .chain(self.stream.poll_timeout())
            .chain(port.and_then(Port::poll_timeout))
            .min()
    }

    fn on_deadline(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::HandshakeGrace if self.asked_again.is_none() => {
                self.asked_again = Some(now);
                self.size_sent = None;
            }
            Timer::HandshakeGrace => self.assume_shell(now),
            Timer::Handshake => {
                let seconds = HANDSHAKE_LIMIT.as_secs();
                self.close(CloseReason::HandshakeFailed(format!(
                    "the agent did not go on with the handshake for {seconds} seconds"
                )));
            }
            Timer::Failure => {
                let failure = self.failure.take().unwrap_or_default();
                self.close(CloseReason::HandshakeFailed(failure));
            }
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if !std::mem::replace(&mut self.closed, true) {
            self.deadline = None;
            self.events.push_back(Event::Closed(reason));
        }
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("session_id", &self.config.session_id)
            .finish_non_exhaustive()
    }
}
