//! What goes out: size, input, and the end.

use std::time::Instant;

use bytes::Bytes;

use super::ClientSession;
use crate::handshake::client::ClientHandshake;
use crate::message::PayloadType;
use crate::session::CloseReason;
use crate::session::Event;
use crate::session::PAYLOAD_ROOM;

impl ClientSession {
    /// Moves size and input into the stream as far as both are ready.
    pub(super) fn pump(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.pump_size(now);
        if let Some(up) = &self.up {
            let shell = up.session_type.is_interactive_shell();
            while self.stream.has_room(PAYLOAD_ROOM)
                && let Some(chunk) = self.input.next_chunk()
            {
                let line_feed = shell && chunk.lone_line_feed;
                let data = if line_feed {
                    Bytes::from_static(b"\r")
                } else {
                    chunk.data
                };
                self.send_input(data, now);
            }
        }
        if self.input.became_writable() {
            self.events.push_back(Event::Writable);
        }
        self.pump_termination();
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
        self.stream
            .send(PayloadType::OUTPUT, payload, &mut self.composer, now);
    }

    fn pump_termination(&mut self) {
        if !self.terminating {
            return;
        }
        let told = match &self.up {
            None => true,
            Some(up) => {
                up.session_type.is_interactive_shell()
                    && self.input.is_empty()
                    && self.stream.is_acknowledged()
            }
        };
        if told {
            self.close(CloseReason::Terminated);
        }
    }
}
