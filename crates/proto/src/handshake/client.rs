//! The client's side of the handshake.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::context::TARGET_ID;
use super::context::encryption_context;
use super::wire::ActionStatus;
use super::wire::EncryptionChallenge;
use super::wire::HandshakeComplete;
use super::wire::HandshakeRequest;
use super::wire::HandshakeResponse;
use super::wire::KmsEncryptionRequest;
use super::wire::KmsEncryptionResult;
use super::wire::ProcessedAction;
use super::wire::SessionTypeRequest;
use super::wire::action;
use crate::composer::Composer;
use crate::crypto::CryptoError;
use crate::crypto::DataKey;
use crate::crypto::SessionCipher;
use crate::json;
use crate::json::BodyError;
use crate::session::SessionType;
use crate::version::CLIENT_VERSION;
use crate::version::Version;

/// A data key that KMS must make: 64 bytes under this key, bound to this context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyRequest {
    /// The KMS key, as the session document names it: id, ARN or alias.
    pub key_id: String,
    /// What the agent will state when it has the key opened. Without a target, as long as that
    /// [is not known](Self::needs_target).
    pub encryption_context: BTreeMap<String, String>,
}

impl DataKeyRequest {
    /// Whether the encryption context lacks the session's target, which callers that name only
    /// the session leave open.
    pub fn needs_target(&self) -> bool {
        !self.encryption_context.contains_key(TARGET_ID)
    }

    /// The request with the session's target, as it was named to the service.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.encryption_context
            .insert(TARGET_ID.to_owned(), target.into());
        self
    }
}

/// What the client waits for.
#[derive(Debug)]
pub(crate) enum ClientHandshake {
    /// Whatever tells a session with a handshake from one without.
    Anything,
    /// The data key, from KMS.
    DataKey(Box<Requested>),
    /// The agent's encryption challenge.
    Challenge(Box<Requested>),
    /// The agent's word that it is ready.
    Complete(Box<Requested>),
    /// Nothing: it is over, or there is none.
    Nothing,
}

/// What the agent asked for.
#[derive(Debug)]
pub(crate) struct Requested {
    pub(crate) agent_version: Version,
    pub(crate) session_type: SessionType,
    pub(crate) properties: Value,
    encryption: Option<KmsEncryptionRequest>,
    /// Answers to actions other than encryption.
    answers: Vec<ProcessedAction>,
}

/// Why a handshake cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the agent's handshake request cannot be read: {0}")]
    Request(BodyError),
    #[error("the agent's handshake request asks for {0} actions, more than {MAX_ACTIONS}")]
    TooManyActions(usize),
    #[error("the agent's handshake request lacks the session type")]
    NoSessionType,
    #[error("the agent's encryption challenge cannot be read")]
    Challenge,
    #[error("the agent's encryption challenge cannot be answered: {0}")]
    Crypto(#[from] CryptoError),
    #[error("the agent's word that the handshake is complete cannot be read: {0}")]
    Complete(BodyError),
}

/// Most actions that are answered; agents ask for two.
const MAX_ACTIONS: usize = 16;

impl Requested {
    pub(crate) fn from_json(payload: &[u8]) -> Result<Self, HandshakeError> {
        let unreadable = |error: serde_json::Error| HandshakeError::Request(error.into());
        let request: HandshakeRequest =
            json::from_slice(payload).map_err(HandshakeError::Request)?;
        let count = request.requested_client_actions.len();
        if count > MAX_ACTIONS {
            return Err(HandshakeError::TooManyActions(count));
        }
        let mut session_type = None;
        let mut encryption = None;
        let mut answers = Vec::new();
        for requested in request.requested_client_actions {
            let parameters = requested.action_parameters;
            match requested.action_type.as_str() {
                action::SESSION_TYPE => {
                    session_type = Some(
                        serde_json::from_value::<SessionTypeRequest>(parameters)
                            .map_err(unreadable)?,
                    );
                    answers.push(answer(requested.action_type, ActionStatus::SUCCESS, ""));
                }
                action::KMS_ENCRYPTION => {
                    encryption = Some(serde_json::from_value(parameters).map_err(unreadable)?);
                }
                // The Go plugin leaves the status 0 here, which agents take for a failure.
                _ => answers.push(answer(
                    requested.action_type,
                    ActionStatus::UNSUPPORTED,
                    "the client does not know this action",
                )),
            }
        }
        let session_type = session_type.ok_or(HandshakeError::NoSessionType)?;
        Ok(Self {
            agent_version: Version::new(request.agent_version),
            session_type: SessionType::new(session_type.session_type),
            properties: session_type.properties,
            encryption,
            answers,
        })
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.encryption.is_some()
    }

    /// What KMS must make, if the session is to be encrypted.
    pub(crate) fn data_key_request(
        &self,
        session_id: &str,
        target: Option<&str>,
    ) -> Option<DataKeyRequest> {
        let encryption = self.encryption.as_ref()?;
        let challenge = encryption.challenge.as_deref();
        Some(DataKeyRequest {
            key_id: encryption.kms_key_id.clone(),
            encryption_context: encryption_context(session_id, target, challenge),
        })
    }

    /// The answer to all actions. `key` is the data key, or why there is none.
    pub(crate) fn response(&self, key: Option<Result<&DataKey, &str>>) -> Vec<u8> {
        let mut actions = self.answers.clone();
        match key {
            None => {}
            Some(Ok(key)) => {
                let result = KmsEncryptionResult {
                    cipher_text_key: BASE64_STANDARD.encode(&key.ciphertext),
                    cipher_text_hash: None,
                    challenge_acknowledgement: self
                        .encryption
                        .as_ref()
                        .is_some_and(|encryption| encryption.challenge.is_some()),
                };
                actions.push(ProcessedAction {
                    action_result: serde_json::to_value(result).unwrap_or_default(),
                    ..answer(action::KMS_ENCRYPTION.to_owned(), ActionStatus::SUCCESS, "")
                });
            }
            Some(Err(reason)) => actions.push(answer(
                action::KMS_ENCRYPTION.to_owned(),
                ActionStatus::FAILED,
                &format!("Failed to process action KMSEncryption: {reason}"),
            )),
        }
        json::to_vec(&HandshakeResponse {
            client_version: Some(CLIENT_VERSION.to_owned()),
            processed_client_actions: Some(actions),
            errors: None,
        })
    }
}

fn answer(action_type: String, action_status: ActionStatus, error: &str) -> ProcessedAction {
    let error = error.to_owned();
    ProcessedAction {
        action_type,
        action_status,
        action_result: Value::Null,
        error,
    }
}

/// Opens the agent's challenge and seals it again under the client's key.
pub(crate) fn answer_challenge(
    payload: &[u8],
    cipher: &SessionCipher,
    composer: &mut Composer,
) -> Result<Vec<u8>, HandshakeError> {
    let request: EncryptionChallenge =
        json::from_slice(payload).map_err(|_| HandshakeError::Challenge)?;
    let sealed = BASE64_STANDARD
        .decode(request.challenge)
        .map_err(|_| HandshakeError::Challenge)?;
    let answer = cipher.seal(composer.random_bytes(), &cipher.open(&sealed)?)?;
    Ok(json::to_vec(&EncryptionChallenge {
        challenge: BASE64_STANDARD.encode(answer),
    }))
}

/// Reads the agent's word that it is ready.
pub(crate) fn read_complete(payload: &[u8]) -> Result<HandshakeComplete, HandshakeError> {
    json::from_slice(payload).map_err(HandshakeError::Complete)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::MAX_BODY;

    fn requested(actions: Value) -> Result<Requested, HandshakeError> {
        let body = json!({"AgentVersion": "3.3.0.0", "RequestedClientActions": actions});
        Requested::from_json(body.to_string().as_bytes())
    }

    fn session_type() -> Value {
        json!({"ActionType": "SessionType", "ActionParameters":
            {"SessionType": "Standard_Stream", "Properties": null}})
    }

    #[test]
    fn an_unknown_action_is_answered_as_unsupported() {
        let requested = requested(json!([session_type(), {"ActionType": "Dance"}])).unwrap();
        let response: Value = serde_json::from_slice(&requested.response(None)).unwrap();
        let actions = &response["ProcessedClientActions"];
        assert_eq!(actions[0]["ActionStatus"], 1);
        assert_eq!(actions[1]["ActionType"], "Dance");
        assert_eq!(actions[1]["ActionStatus"], 3);
        assert_eq!(actions[1]["ActionResult"], Value::Null);
    }

    #[test]
    fn a_challenge_is_acknowledged_and_in_the_context_or_neither() {
        for challenge in [None, Some("DIJZ1rUnM2o8sFAWOuAOtA==")] {
            let mut parameters = json!({"KMSKeyId": "alias/k"});
            if let Some(challenge) = challenge {
                parameters["Challenge"] = json!(challenge);
            }
            let kms = json!({"ActionType": "KMSEncryption", "ActionParameters": parameters});
            let requested = requested(json!([session_type(), kms])).unwrap();
            let asked = requested.data_key_request("s-1", Some("i-1")).unwrap();
            let in_context = asked.encryption_context.get("aws:ssm:RandomChallenge");
            assert_eq!(in_context.map(String::as_str), challenge);
            let key = DataKey {
                plaintext: vec![0; 64].into(),
                ciphertext: b"blob".to_vec(),
            };
            let response: Value =
                serde_json::from_slice(&requested.response(Some(Ok(&key)))).unwrap();
            let result = &response["ProcessedClientActions"][1]["ActionResult"];
            assert_eq!(result["KMSCipherTextKey"], "YmxvYg==");
            assert_eq!(
                result.get("ChallengeAcknowledgement").is_some(),
                challenge.is_some()
            );
        }
    }

    #[test]
    fn a_request_of_too_many_actions_or_bytes_is_an_error() {
        let many = |count| requested(Value::from(vec![session_type(); count]));
        assert!(many(MAX_ACTIONS).is_ok());
        assert!(matches!(
            many(MAX_ACTIONS + 1),
            Err(HandshakeError::TooManyActions(17))
        ));
        let long = requested(json!([session_type(), {"ActionType": "x".repeat(MAX_BODY)}]));
        let text = long.unwrap_err().to_string();
        assert!(text.ends_with("bytes, more than 524288"), "{text}");
    }

    #[test]
    fn requests_that_cannot_be_read_are_errors() {
        assert!(matches!(
            Requested::from_json(b"{"),
            Err(HandshakeError::Request(_))
        ));
        assert!(matches!(
            requested(json!([])),
            Err(HandshakeError::NoSessionType)
        ));
        let kms = json!({"ActionType": "KMSEncryption", "ActionParameters": {"KMSKeyId": 7}});
        assert!(matches!(
            requested(json!([kms])),
            Err(HandshakeError::Request(_))
        ));
    }
}
