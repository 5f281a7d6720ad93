//! The agent's part of the handshake.

use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tracing::debug;

use super::AgentEvent;
use super::AgentSession;
use crate::crypto::SessionCipher;
use crate::handshake::ChallengeMode;
use crate::handshake::agent;
use crate::handshake::agent::AgentHandshake;
use crate::handshake::agent::ResponseVerdict;
use crate::message::Acknowledge;
use crate::message::Message;
use crate::message::PayloadType;
use crate::version::Version;

impl AgentSession {
    pub(super) fn begin(&mut self, now: Instant) {
        self.started = Some(now);
        let encryption = self.config.encryption.clone();
        if encryption.is_none() && !self.config.session_type.has_handshake() {
            self.handshake = AgentHandshake::Nothing;
            self.events.push_back(AgentEvent::Started {
                client_version: None,
            });
            return;
        }
        let challenge = encryption
            .as_ref()
            .filter(|encryption| encryption.challenge != ChallengeMode::Absent)
            .map(|_| BASE64_STANDARD.encode(self.composer.random_bytes::<16>()));
        let request = agent::request(
            &self.config.agent_version,
            &self.config.session_type,
            &self.config.properties,
            encryption
                .as_ref()
                .map(|encryption| (encryption, challenge.clone())),
        );
        self.stream.send(
            PayloadType::HANDSHAKE_REQUEST,
            request,
            &mut self.composer,
            now,
        );
        self.handshake = AgentHandshake::Response {
            asked: now,
            challenge,
        };
    }

    pub(super) fn on_response(
        &mut self,
        message: &Message,
        acknowledgement: Option<&Acknowledge>,
        now: Instant,
    ) -> bool {
        let AgentHandshake::Response { asked, challenge } = &self.handshake else {
            // Held for KMS: not consumed yet. Otherwise a second response, which deafens the
            // real agent and is ignored here.
            return !matches!(self.handshake, AgentHandshake::DataKey { .. });
        };
        let asked = *asked;
        let encryption = self.config.encryption.as_ref();
        let verdict = agent::judge(
            &message.payload,
            encryption.map(|encryption| (encryption, challenge.as_deref())),
            (&self.config.session_id, &self.config.instance_id),
        );
        match verdict {
            Ok(ResponseVerdict::Start { client_version }) => self.complete(client_version, now),
            Ok(ResponseVerdict::OpenKey {
                ciphertext,
                encryption_context,
                client_version,
            }) => {
                let key_id = encryption.map(|e| e.key_id.clone()).unwrap_or_default();
                self.held = acknowledgement.cloned();
                self.handshake = AgentHandshake::DataKey {
                    asked,
                    client_version,
                };
                self.events.push_back(AgentEvent::DataKeyNeeded {
                    ciphertext,
                    key_id,
                    encryption_context,
                });
                return false;
            }
            Ok(ResponseVerdict::Refuse(reason)) => self.fail(&reason),
            Err(error) => {
                debug!(%error, "not acknowledging a handshake response that cannot be read");
                return false;
            }
        }
        true
    }

    pub(super) fn challenge(
        &mut self,
        cipher: SessionCipher,
        client_version: Option<Version>,
        now: Instant,
    ) {
        let bytes = self.composer.random_bytes::<64>().to_vec();
        match cipher.seal(self.nonces.next(), &bytes) {
            Ok(sealed) => {
                let kind = PayloadType::ENCRYPTION_CHALLENGE_REQUEST;
                let body = agent::challenge_body(&sealed);
                self.stream.send(kind, body, &mut self.composer, now);
                self.cipher = Some(cipher);
                self.handshake = AgentHandshake::Challenge {
                    asked: now,
                    bytes,
                    client_version,
                };
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    pub(super) fn on_challenge_answer(&mut self, message: &Message, now: Instant) -> bool {
        let (
            AgentHandshake::Challenge {
                bytes,
                client_version,
                ..
            },
            Some(cipher),
        ) = (&self.handshake, &self.cipher)
        else {
            return true;
        };
        if !agent::is_answered(&message.payload, bytes, cipher) {
            return false;
        }
        let client_version = client_version.clone();
        self.complete(client_version, now);
        true
    }

    fn complete(&mut self, client_version: Option<Version>, now: Instant) {
        self.handshake = AgentHandshake::Nothing;
        let took = self
            .started
            .map(|at| now.saturating_duration_since(at))
            .unwrap_or_default();
        let body = agent::complete(
            took,
            self.cipher.is_some(),
            self.config.separate_output,
            client_version.as_ref(),
        );
        self.stream.send(
            PayloadType::HANDSHAKE_COMPLETE,
            body,
            &mut self.composer,
            now,
        );
        self.events
            .push_back(AgentEvent::Started { client_version });
    }

    pub(super) fn fail(&mut self, reason: &str) {
        self.handshake = AgentHandshake::Nothing;
        self.accepting = false;
        self.events.push_back(AgentEvent::Failed(format!(
            "\n----------ERROR-------\nEncountered error while initiating handshake. {reason}"
        )));
    }
}
