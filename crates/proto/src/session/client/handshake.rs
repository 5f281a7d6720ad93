//! The handshake, and what a session is once it is over.

use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use tracing::warn;

use super::ClientSession;
use super::FAILURE_LIMIT;
use super::HANDSHAKE_LIMIT;
use super::Timer;
use super::Up;
use super::port::Port;
use crate::crypto::DataKey;
use crate::crypto::SessionCipher;
use crate::handshake::client::ClientHandshake;
use crate::handshake::client::HandshakeError;
use crate::handshake::client::Requested;
use crate::handshake::client::answer_challenge;
use crate::handshake::client::read_complete;
use crate::message::PayloadType;
use crate::session::CloseReason;
use crate::session::Established;
use crate::session::Event;
use crate::session::SessionType;

impl ClientSession {
    pub(super) fn on_handshake_request(&mut self, payload: &[u8], now: Instant) {
        let assumed = matches!(
            &self.up,
            Some(Up {
                agent_version: None,
                ..
            })
        );
        if !matches!(self.handshake, ClientHandshake::Anything) && !assumed {
            // A second response would deafen the agent (docs/PROTOCOL.md 5).
            return warn!("ignoring a second handshake request");
        }
        let requested = match Requested::from_json(payload) {
            Ok(requested) => Box::new(requested),
            Err(error) => return self.fail_handshake(&error),
        };
        self.up = None;
        let target = self.config.target.as_deref();
        match requested.data_key_request(&self.config.session_id, target) {
            Some(request) => {
                self.deadline = None;
                self.handshake = ClientHandshake::DataKey(requested);
                self.events.push_back(Event::DataKeyNeeded(request));
            }
            None => {
                self.respond(&requested.response(None), now);
                self.handshake = ClientHandshake::Complete(requested);
            }
        }
    }

    pub(super) fn on_data_key(
        &mut self,
        requested: Box<Requested>,
        key: Result<DataKey, String>,
        now: Instant,
    ) {
        let sealed = key.and_then(|key| {
            SessionCipher::client(&key)
                .map(|cipher| (cipher, key))
                .map_err(|e| e.to_string())
        });
        match sealed {
            Ok((cipher, key)) => {
                self.cipher = Some(cipher);
                self.respond(&requested.response(Some(Ok(&key))), now);
                self.handshake = ClientHandshake::Challenge(requested);
            }
            Err(reason) => {
                self.respond(&requested.response(Some(Err(&reason))), now);
                self.failure = Some(reason);
                self.deadline = Some((Timer::Failure, now + FAILURE_LIMIT));
            }
        }
    }

    fn respond(&mut self, response: &[u8], now: Instant) {
        let response = Bytes::copy_from_slice(response);
        self.stream.send(
            PayloadType::HANDSHAKE_RESPONSE,
            response,
            &mut self.composer,
            now,
        );
        self.deadline = Some((Timer::Handshake, now + HANDSHAKE_LIMIT));
    }

    pub(super) fn on_challenge(&mut self, payload: &[u8], now: Instant) {
        let (ClientHandshake::Challenge(_), Some(cipher)) = (&self.handshake, &self.cipher) else {
            return warn!("ignoring an encryption challenge that is not due");
        };
        match answer_challenge(payload, cipher, &mut self.composer) {
            Ok(answer) => {
                let kind = PayloadType::ENCRYPTION_CHALLENGE_RESPONSE;
                self.stream.send(kind, answer, &mut self.composer, now);
                let old = std::mem::replace(&mut self.handshake, ClientHandshake::Nothing);
                if let ClientHandshake::Challenge(requested) = old {
                    self.handshake = ClientHandshake::Complete(requested);
                }
            }
            Err(error) => self.fail_handshake(&error),
        }
    }

    pub(super) fn on_handshake_complete(&mut self, payload: &[u8], now: Instant) {
        let requested = match std::mem::replace(&mut self.handshake, ClientHandshake::Nothing) {
            ClientHandshake::Complete(requested) => requested,
            other => {
                self.handshake = other;
                return warn!("ignoring the end of a handshake that is not due");
            }
        };
        match read_complete(payload) {
            Ok(complete) => {
                let encrypted = requested.is_encrypted();
                let established = Established {
                    session_type: requested.session_type,
                    agent_version: Some(requested.agent_version),
                    customer_message: complete.customer_message,
                    encrypted,
                    properties: requested.properties,
                };
                self.establish(established, now);
            }
            Err(error) => self.fail_handshake(&error),
        }
    }

    /// The connection is gone: nothing follows from the agent's silence.
    pub(super) fn suspend_handshake(&mut self) {
        let suspended = self.deadline.take_if(|(timer, _)| *timer != Timer::Failure);
        let asked = self.asked_again.take().is_some();
        if asked || matches!(suspended, Some((Timer::HandshakeGrace, _))) {
            // The agent's request may have been lost, and it has to show itself on the next connection.
            self.size_sent = None;
        }
    }

    /// There is a connection again: the agent has as long as ever.
    pub(super) fn resume_handshake(&mut self, now: Instant) {
        let waiting = matches!(
            self.handshake,
            ClientHandshake::Challenge(_) | ClientHandshake::Complete(_)
        );
        if waiting && self.deadline.is_none() {
            self.deadline = Some((Timer::Handshake, now + HANDSHAKE_LIMIT));
        }
    }

    /// Takes the session for one without a handshake, which is one with a terminal.
    pub(super) fn assume_shell(&mut self, now: Instant) {
        self.handshake = ClientHandshake::Nothing;
        let established = Established {
            session_type: SessionType::STANDARD_STREAM,
            agent_version: None,
            customer_message: String::new(),
            encrypted: false,
            properties: Value::Null,
        };
        self.establish(established, now);
    }

    fn establish(&mut self, established: Established, now: Instant) {
        self.deadline = None;
        self.asked_again = None;
        // What was sent during a handshake did not reach the far end.
        if established.agent_version.is_some() {
            self.size_sent = None;
        }
        self.up = Some(Up {
            session_type: established.session_type.clone(),
            agent_version: established.agent_version.clone(),
            port: Port::of(&established, now),
        });
        self.events.push_back(Event::Established(established));
    }

    fn fail_handshake(&mut self, error: &HandshakeError) {
        self.close(CloseReason::HandshakeFailed(error.to_string()));
    }
}
