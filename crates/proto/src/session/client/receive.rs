//! What the agent and the service say.

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use tracing::debug;
use tracing::trace;

use super::ClientSession;
use super::HANDSHAKE_GRACE;
use super::LAST_GRACE;
use super::Timer;
use crate::crypto::CryptoError;
use crate::handshake::client::ClientHandshake;
use crate::message::Acknowledge;
use crate::message::ChannelClosed;
use crate::message::Message;
use crate::message::MessageType;
use crate::message::PayloadType;
use crate::session::CloseReason;
use crate::session::Event;
use crate::session::OutputStream;
use crate::smux::MAX_UNREAD;
use crate::stream::Arrival;

/// How long readers of streams have for half of what may wait for one of them: a connection that
/// takes 4 MB/s is not overrun by what came early.
const READERS_TIME: Duration = Duration::from_millis(250);

/// Why a message could not be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it came before the session was ready for it")]
    Early,
    #[error("{0}")]
    Crypto(#[from] CryptoError),
}

impl ClientSession {
    pub(super) fn on_message(&mut self, message: Message, now: Instant) {
        trace!(
            kind = %message.message_type, number = message.sequence_number.0,
            payload = message.payload_type.0, length = message.payload.len(), "received"
        );
        match message.message_type {
            MessageType::OUTPUT_STREAM_DATA => return self.on_stream_message(message, now),
            MessageType::ACKNOWLEDGE => match Acknowledge::from_json(&message.payload) {
                Ok(acknowledge) => self.on_acknowledge(&acknowledge, now),
                Err(error) => return self.reject(&error),
            },
            MessageType::CHANNEL_CLOSED => {
                // Behind what came before it.
                self.channel_closed = serde_json::from_slice(&message.payload)
                    .ok()
                    .or_else(|| Some(ChannelClosed::default()));
                self.end_if_told();
            }
            MessageType::PAUSE_PUBLICATION => self.stream.pause_publication(now),
            MessageType::START_PUBLICATION => self.stream.resume_publication(),
            other => debug!(kind = %other, "ignoring a message of unknown type"),
        }
        self.rejects.reset();
    }

    fn on_stream_message(&mut self, message: Message, now: Instant) {
        let Arrival::Next(message) = self.stream.handle_message(message) else {
            return;
        };
        let acknowledgement = Acknowledge::of(&message);
        if let Err(error) = self.process(message, now) {
            // Not acknowledged: the agent sends it again.
            return self.reject(&error);
        }
        self.stream.accept(acknowledgement);
        self.rejects.reset();
        self.take_kept(now);
    }

    /// Processes what came early and is next by now, as far as there are readers for it.
    pub(super) fn take_kept(&mut self, now: Instant) {
        self.stream.begin_turn(now);
        while !self.closed
            && !self.is_saturated()
            && let Some(message) = self.stream.take_next()
        {
            if let Err(error) = self.process(message, now) {
                // It was acknowledged when it came early and will not come again.
                self.close(CloseReason::ProtocolViolation(format!(
                    "a message of the agent cannot be used: {error}"
                )));
            }
        }
        self.end_if_told();
    }

    /// When to hand out more of what came early. Readers that have much to read get some time for
    /// it, but not for ever, since one that is dead must not hold up the others.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        let at = self.stream.next_turn().filter(|_| !self.is_saturated())?;
        let busy = self.unread() >= MAX_UNREAD / 2;
        Some(if busy { at + READERS_TIME } else { at })
    }

    fn end_if_told(&mut self) {
        if self.stream.next_turn().is_none()
            && let Some(body) = self.channel_closed.take()
        {
            self.on_channel_closed(body);
        }
    }

    fn process(&mut self, message: Message, now: Instant) -> Result<(), Unusable> {
        match message.payload_type {
            PayloadType::HANDSHAKE_REQUEST => self.on_handshake_request(&message.payload, now),
            PayloadType::ENCRYPTION_CHALLENGE_REQUEST => self.on_challenge(&message.payload, now),
            PayloadType::HANDSHAKE_COMPLETE => self.on_handshake_complete(&message.payload, now),
            PayloadType::OUTPUT | PayloadType::STDERR | PayloadType::EXIT_CODE => {
                self.on_output(message.payload_type, message.payload, now)?;
            }
            PayloadType::FLAG => self.on_flag(&message.payload),
            other => debug!(payload = other.0, "ignoring a payload of unknown type"),
        }
        Ok(())
    }

    fn on_output(
        &mut self,
        kind: PayloadType,
        payload: Bytes,
        now: Instant,
    ) -> Result<(), Unusable> {
        match self.handshake {
            ClientHandshake::Anything => self.assume_shell(now),
            ClientHandshake::Nothing if self.up.is_some() => {}
            _ => return Err(Unusable::Early),
        }
        let data = match &self.cipher {
            Some(cipher) => cipher.open(&payload)?.into(),
            None => payload,
        };
        let Some(data) = self.deliver_to_port(data, now) else {
            return Ok(());
        };
        let event = match (kind, parse_exit_code(&data)) {
            (PayloadType::EXIT_CODE, Some(code)) => Event::ExitCode(code),
            (PayloadType::STDERR, _) => Event::Output {
                stream: OutputStream::Stderr,
                data,
            },
            _ => Event::Output {
                stream: OutputStream::Stdout,
                data,
            },
        };
        self.events.push_back(event);
        Ok(())
    }

    fn on_acknowledge(&mut self, acknowledge: &Acknowledge, now: Instant) {
        self.stream.handle_acknowledge(acknowledge, now);
        let agent_is_there = self.size_sent.is_some() && self.stream.is_acknowledged();
        if matches!(self.handshake, ClientHandshake::Anything)
            && agent_is_there
            && self.deadline.is_none()
        {
            let at_once = |at: Instant| now.saturating_duration_since(at) < HANDSHAKE_GRACE;
            let grace = if self.asked_again.is_some_and(at_once) {
                LAST_GRACE
            } else {
                HANDSHAKE_GRACE
            };
            self.deadline = Some((Timer::HandshakeGrace, now + grace));
        }
    }

    fn on_channel_closed(&mut self, body: ChannelClosed) {
        let reason = match self.failure.take() {
            Some(failure) => CloseReason::HandshakeFailed(failure),
            None => CloseReason::ChannelClosed {
                output: body.output,
                incomplete: self.stream.has_gap(),
            },
        };
        self.close(reason);
    }

    pub(super) fn reject(&mut self, error: &dyn std::fmt::Display) {
        debug!(%error, "dropping a message");
        if self.rejects.add() {
            self.close(CloseReason::ProtocolViolation(self.rejects.sentence(error)));
        }
    }
}

/// The number in `EXIT_CODE: n`.
fn parse_exit_code(data: &[u8]) -> Option<i32> {
    std::str::from_utf8(data)
        .ok()?
        .strip_prefix("EXIT_CODE:")?
        .trim()
        .parse()
        .ok()
}
