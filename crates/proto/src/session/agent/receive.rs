//! What the client and the service say.

use std::time::Instant;

use tracing::debug;

use super::AgentEvent;
use super::AgentSession;
use crate::crypto::CryptoError;
use crate::handshake::agent::AgentHandshake;
use crate::message::Acknowledge;
use crate::message::ControlFlag;
use crate::message::Message;
use crate::message::MessageType;
use crate::message::PayloadType;
use crate::stream::Arrival;

impl AgentSession {
    pub(super) fn on_message(&mut self, message: Message, now: Instant) {
        match message.message_type {
            MessageType::INPUT_STREAM_DATA => self.on_stream_message(message, now),
            MessageType::ACKNOWLEDGE => match Acknowledge::from_json(&message.payload) {
                Ok(acknowledge) => self.stream.handle_acknowledge(&acknowledge, now),
                Err(error) => debug!(%error, "dropping an acknowledgement"),
            },
            MessageType::CHANNEL_CLOSED => self.events.push_back(AgentEvent::ChannelClosed),
            MessageType::PAUSE_PUBLICATION => self.stream.pause_publication(now),
            MessageType::START_PUBLICATION => {
                self.stream.resume_publication();
                // What was on its way to the client's last connection may have been lost with it.
                self.stream.repeat();
            }
            other => debug!(kind = %other, "ignoring a message of unknown type"),
        }
    }

    fn on_stream_message(&mut self, message: Message, now: Instant) {
        let Arrival::Next(message) = self.stream.handle_message(message) else {
            if !matches!(self.handshake, AgentHandshake::Nothing) {
                // The client goes on without an answer of ours, which may be our request.
                self.stream.repeat();
            }
            return;
        };
        if self.held.is_some() {
            // The number is taken by the response that waits for KMS.
            return;
        }
        let acknowledgement = Acknowledge::of(&message);
        if self.process(&message, Some(&acknowledgement), now) {
            self.stream.accept(acknowledgement);
            self.take_kept(now);
        }
    }

    /// Processes what came early and is next by now. A message that cannot be processed then was
    /// acknowledged when it came, so it is lost; the real agent is stuck there (docs/PROTOCOL.md
    /// 4.2).
    pub(super) fn take_kept(&mut self, now: Instant) {
        self.stream.begin_turn(now);
        while let Some(message) = self.stream.take_next() {
            if !self.process(&message, None, now) {
                debug!("an early message could not be processed in its turn");
            }
        }
    }

    /// Whether the message was consumed. What is not is not acknowledged and comes again;
    /// `acknowledgement` is absent where it was given before.
    fn process(
        &mut self,
        message: &Message,
        acknowledgement: Option<&Acknowledge>,
        now: Instant,
    ) -> bool {
        match message.payload_type {
            PayloadType::HANDSHAKE_RESPONSE => self.on_response(message, acknowledgement, now),
            PayloadType::ENCRYPTION_CHALLENGE_RESPONSE => self.on_challenge_answer(message, now),
            PayloadType::OUTPUT | PayloadType::SIZE | PayloadType::FLAG => {
                self.on_input(message).unwrap_or_else(|error| {
                    debug!(%error, "not acknowledging a message");
                    false
                })
            }
            other => {
                debug!(payload = other.0, "ignoring a payload of unknown type");
                true
            }
        }
    }

    fn on_input(&mut self, message: &Message) -> Result<bool, CryptoError> {
        if !matches!(self.handshake, AgentHandshake::Nothing) {
            // Acknowledged and thrown away, as the real agent does (docs/PROTOCOL.md 5). A client
            // that sends input lacks our request, and must not go on without it for long.
            self.stream.repeat();
            return Ok(true);
        }
        if !self.accepting {
            return Ok(false);
        }
        let event = match message.payload_type {
            PayloadType::SIZE => match serde_json::from_slice(&message.payload) {
                Ok(size) => AgentEvent::Resize(size),
                Err(_) => return Ok(false),
            },
            PayloadType::FLAG => match ControlFlag::from_payload(&message.payload) {
                Some(flag) => AgentEvent::Flag(flag.0),
                None => return Ok(false),
            },
            _ => AgentEvent::Input(match &self.cipher {
                Some(cipher) => cipher.open(&message.payload)?.into(),
                None => message.payload.clone(),
            }),
        };
        self.events.push_back(event);
        Ok(true)
    }
}
