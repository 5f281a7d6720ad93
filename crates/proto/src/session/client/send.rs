//! What goes out: size, input, and the end.

use std::time::Instant;

use bytes::Bytes;

use super::ClientSession;
use crate::crypto::SEAL_OVERHEAD;
use crate::handshake::client::ClientHandshake;
use crate::message::ControlFlag;
use crate::message::PayloadType;
use crate::session::CloseReason;
use crate::session::Event;
use crate::session::PAYLOAD_ROOM;
use crate::session::input::Chunk;

impl ClientSession {
    /// Moves size and input into the stream as far as both are ready.
    pub(super) fn pump(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.pump_size(now);
        self.pump_input(now);
        self.pump_streams(now);
        self.pump_probe(now);
        self.pump_disconnection();
        if self.input.became_writable() {
            self.events.push_back(Event::Writable);
        }
        self.pump_termination();
    }

    fn pump_input(&mut self, now: Instant) {
        let Some(up) = &self.up else {
            return;
        };
        let shell = up.session_type.is_interactive_shell();
        while !self.input.is_empty() {
            let limit = self.payload_limit();
            // Flags are the protocol's own, and those that end a session must not wait for it.
            let room = self.stream.has_room(limit.saturating_add(SEAL_OVERHEAD));
            if !room && self.input.has_bytes() {
                return self.stream.on_limited();
            }
            match self.input.next_chunk(limit) {
                Some(Chunk::Data(data)) => self.send_input(data, now),
                Some(Chunk::LoneLineFeed) if shell => {
                    self.send_input(Bytes::from_static(b"\r"), now);
                }
                Some(Chunk::LoneLineFeed) => self.send_input(Bytes::from_static(b"\n"), now),
                Some(Chunk::Flag(flag)) => self.send_flag(flag, now),
                None => return,
            }
        }
    }

    fn send_flag(&mut self, flag: ControlFlag, now: Instant) {
        let flag = flag.to_payload();
        self.stream
            .send(PayloadType::FLAG, flag, &mut self.composer, now);
    }

    /// Before a session is established its size goes out too: it settles whether an agent is
    /// there at all, and sets the terminal before the first program starts.
    fn pump_size(&mut self, now: Instant) {
        let undecided = matches!(self.handshake, ClientHandshake::Anything);
        let due = self.size.filter(|_| self.size != self.size_sent);
        if let Some(size) = due
            && (self.up.is_some() || undecided)
            && self.stream.has_room(PAYLOAD_ROOM)
        {
            self.stream
                .send(PayloadType::SIZE, size.to_json(), &mut self.composer, now);
            self.size_sent = Some(size);
        }
    }

    fn send_input(&mut self, data: Bytes, now: Instant) {
        let payload = match &self.cipher {
            Some(cipher) => match cipher.seal(self.composer.random_bytes(), &data) {
                Ok(sealed) => sealed.into(),
                Err(error) => {
                    let text = format!("input cannot be encrypted: {error}");
                    return self.close(CloseReason::ProtocolViolation(text));
                }
            },
            None => data,
        };
        self.on_payload(payload.len());
        self.stream
            .send(PayloadType::OUTPUT, payload, &mut self.composer, now);
    }

    fn pump_termination(&mut self) {
        if !self.terminating {
            return;
        }
        let told = match &self.up {
            None => true,
            Some(up) => up.has_no_end() && self.input.is_empty() && self.stream.is_acknowledged(),
        };
        if told {
            self.close(CloseReason::Terminated);
        }
    }
}
