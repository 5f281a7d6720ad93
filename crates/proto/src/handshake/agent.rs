//! The agent's side of the handshake.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use serde_json::json;

use super::context::encryption_context;
use super::wire::ActionStatus;
use super::wire::EncryptionChallenge;
use super::wire::HandshakeComplete;
use super::wire::HandshakeRequest;
use super::wire::HandshakeResponse;
use super::wire::KmsEncryptionRequest;
use super::wire::KmsEncryptionResult;
use super::wire::RequestedAction;
use super::wire::action;
use crate::crypto::SessionCipher;
use crate::json;
use crate::json::BodyError;
use crate::session::SessionType;
use crate::version::Gate;
use crate::version::Version;

/// How long the agent waits for each answer of the client, from the time it asked.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Encryption as the agent asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentEncryption {
    /// The KMS key that the session document names.
    pub key_id: String,
    /// What the agent does about the random challenge.
    pub challenge: ChallengeMode,
}

/// The random challenge in the encryption context (docs/PROTOCOL.md 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeMode {
    /// Not sent: agents before August 2024.
    Absent,
    /// Sent; clients that do not acknowledge it are let in.
    Offered,
    /// Sent; clients that do not acknowledge it are refused.
    Required,
}

/// What the agent waits for.
#[derive(Debug)]
pub(crate) enum AgentHandshake {
    /// To be connected for the first time.
    Connection,
    /// The client's response.
    Response {
        asked: Instant,
        challenge: Option<String>,
    },
    /// The data key, from KMS. The response is not acknowledged until it is there.
    DataKey {
        asked: Instant,
        client_version: Option<Version>,
    },
    /// The client's answer to these random bytes.
    Challenge {
        asked: Instant,
        bytes: Vec<u8>,
        client_version: Option<Version>,
    },
    /// Nothing: it is over, or there is none.
    Nothing,
}

impl AgentHandshake {
    /// When waiting ends, and what to say then.
    pub(crate) fn limit(&self) -> Option<(Instant, &'static str)> {
        match self {
            Self::Response { asked, .. } | Self::DataKey { asked, .. } => Some((
                *asked + ANSWER_LIMIT,
                "Handshake timed out. Please ensure that you have the latest version of the \
                 session manager plugin.",
            )),
            Self::Challenge { asked, .. } => Some((
                *asked + ANSWER_LIMIT,
                "Timed out waiting for encryption challenge.",
            )),
            Self::Connection | Self::Nothing => None,
        }
    }
}

/// The body of the request.
pub(crate) fn request(
    agent_version: &str,
    session_type: &SessionType,
    properties: &Value,
    encryption: Option<(&AgentEncryption, Option<String>)>,
) -> Vec<u8> {
    let mut actions = vec![RequestedAction {
        action_type: action::SESSION_TYPE.to_owned(),
        action_parameters: json!({
            "SessionType": session_type.as_str(),
            "Properties": properties,
        }),
    }];
    if let Some((encryption, challenge)) = encryption {
        let parameters = KmsEncryptionRequest {
            kms_key_id: encryption.key_id.clone(),
            challenge,
        };
        actions.push(RequestedAction {
            action_type: action::KMS_ENCRYPTION.to_owned(),
            action_parameters: serde_json::to_value(parameters).unwrap_or_default(),
        });
    }
    json::to_vec(&HandshakeRequest {
        agent_version: agent_version.to_owned(),
        requested_client_actions: actions,
    })
}

/// What a response comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResponseVerdict {
    /// The session may start.
    Start { client_version: Option<Version> },
    /// KMS must open the data key first.
    OpenKey {
        ciphertext: Vec<u8>,
        encryption_context: BTreeMap<String, String>,
        client_version: Option<Version>,
    },
    /// The session is refused, in the agent's words.
    Refuse(String),
}

/// Judges a response as the agent does (docs/PROTOCOL.md 5).
pub(crate) fn judge(
    payload: &[u8],
    encryption: Option<(&AgentEncryption, Option<&str>)>,
    (session_id, instance_id): (&str, &str),
) -> Result<ResponseVerdict, BodyError> {
    let response: HandshakeResponse = json::from_slice(payload)?;
    let client_version = response.client_version.map(Version::new);
    let mut result = None;
    for processed in response.processed_client_actions.unwrap_or_default() {
        if processed.action_status != ActionStatus::SUCCESS {
            return Ok(ResponseVerdict::Refuse(format!(
                "{} failed on client with status {} error: {}",
                processed.action_type,
                processed.action_status.number(),
                processed.error
            )));
        }
        if processed.action_type == action::KMS_ENCRYPTION {
            result = Some(serde_json::from_value::<KmsEncryptionResult>(
                processed.action_result,
            )?);
        }
    }
    let Some((encryption, challenge)) = encryption else {
        return Ok(ResponseVerdict::Start { client_version });
    };
    let Some(result) = result else {
        return Ok(ResponseVerdict::Refuse(
            "KMSEncryption is required but the client did not process it".to_owned(),
        ));
    };
    let acknowledged = challenge.filter(|_| result.challenge_acknowledgement);
    if acknowledged.is_none() && encryption.challenge == ChallengeMode::Required {
        return Ok(ResponseVerdict::Refuse(
            "client does not support required encryption context random challenge".to_owned(),
        ));
    }
    let Ok(ciphertext) = BASE64_STANDARD.decode(&result.cipher_text_key) else {
        return Ok(ResponseVerdict::Refuse(
            "KMSCipherTextKey is not base64".to_owned(),
        ));
    };
    Ok(ResponseVerdict::OpenKey {
        ciphertext,
        encryption_context: encryption_context(session_id, Some(instance_id), acknowledged),
        client_version,
    })
}

/// The body of a challenge or of its answer.
pub(crate) fn challenge_body(sealed: &[u8]) -> Vec<u8> {
    json::to_vec(&EncryptionChallenge {
        challenge: BASE64_STANDARD.encode(sealed),
    })
}

/// Whether the client's answer to a challenge holds the bytes it was sent.
pub(crate) fn is_answered(payload: &[u8], bytes: &[u8], cipher: &SessionCipher) -> bool {
    json::from_slice::<EncryptionChallenge>(payload)
        .ok()
        .and_then(|body| BASE64_STANDARD.decode(body.challenge).ok())
        .and_then(|sealed| cipher.open(&sealed).ok())
        .is_some_and(|opened| opened == bytes)
}

/// The body that ends a handshake.
pub(crate) fn complete(
    took: Duration,
    encrypted: bool,
    separate_output: bool,
    client_version: Option<&Version>,
) -> Vec<u8> {
    let mut customer_message = String::new();
    if separate_output && Gate::ClientSeparateOutputUnknown.admits(client_version) {
        customer_message.push_str(
            "Please update session manager plugin version (minimum required version 1.2.312.0) \
             for fully support of separate StdOut/StdErr output.\r\n",
        );
    }
    if encrypted {
        customer_message.push_str("This session is encrypted using AWS KMS.");
    }
    json::to_vec(&HandshakeComplete {
        handshake_time_to_complete: i64::try_from(took.as_nanos()).unwrap_or(i64::MAX),
        customer_message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: (&str, &str) = ("s-1", "i-1");

    fn encryption(challenge: ChallengeMode) -> AgentEncryption {
        AgentEncryption {
            key_id: "alias/k".to_owned(),
            challenge,
        }
    }

    fn encrypted_response(acknowledged: bool) -> Vec<u8> {
        let mut result = json!({"KMSCipherTextKey": "YmxvYg==", "KMSCipherTextHash": null});
        if acknowledged {
            result["ChallengeAcknowledgement"] = json!(true);
        }
        json!({"ClientVersion": "1.2.764.0", "Errors": null, "ProcessedClientActions": [
            {"ActionType": "KMSEncryption", "ActionStatus": 1, "ActionResult": result, "Error": ""}
        ]})
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_failed_action_refuses_the_session_in_the_agents_words() {
        let body = br#"{"ProcessedClientActions":[{"ActionType":"KMSEncryption","ActionStatus":2,"Error":"no"}]}"#;
        let verdict = judge(body, None, IDS).unwrap();
        let expected = "KMSEncryption failed on client with status 2 error: no";
        assert_eq!(verdict, ResponseVerdict::Refuse(expected.to_owned()));
    }

    #[test]
    fn an_empty_list_of_actions_and_no_version_are_let_in() {
        for body in [
            r#"{"ProcessedClientActions":[]}"#,
            r#"{"ProcessedClientActions":null}"#,
        ] {
            let verdict = judge(body.as_bytes(), None, IDS).unwrap();
            assert_eq!(
                verdict,
                ResponseVerdict::Start {
                    client_version: None
                }
            );
        }
    }

    #[test]
    fn only_a_required_challenge_must_be_acknowledged() {
        for (mode, acknowledged, in_context) in [
            (ChallengeMode::Offered, false, Some(false)),
            (ChallengeMode::Offered, true, Some(true)),
            (ChallengeMode::Required, true, Some(true)),
            (ChallengeMode::Required, false, None),
        ] {
            let encryption = encryption(mode);
            let body = encrypted_response(acknowledged);
            let verdict = judge(&body, Some((&encryption, Some("abc"))), IDS).unwrap();
            let found = match verdict {
                ResponseVerdict::OpenKey {
                    encryption_context, ..
                } => Some(encryption_context.contains_key("aws:ssm:RandomChallenge")),
                ResponseVerdict::Refuse(_) | ResponseVerdict::Start { .. } => None,
            };
            assert_eq!(found, in_context, "{mode:?} {acknowledged}");
        }
    }

    #[test]
    fn a_response_without_the_key_is_refused() {
        let encryption = encryption(ChallengeMode::Offered);
        let verdict = judge(b"{}", Some((&encryption, None)), IDS).unwrap();
        assert!(matches!(verdict, ResponseVerdict::Refuse(_)));
    }

    #[test]
    fn the_customer_message_tells_of_encryption_and_of_old_clients() {
        let old = Version::new("1.2.0.0");
        let body = complete(Duration::from_nanos(829_581), false, true, Some(&old));
        let recorded = concat!(
            r#"{"HandshakeTimeToComplete":829581,"CustomerMessage":"Please update session manager "#,
            r#"plugin version (minimum required version 1.2.312.0) for fully support of separate "#,
            r#"StdOut/StdErr output.\r\n"}"#
        );
        assert_eq!(String::from_utf8(body).unwrap(), recorded);
        let body = complete(Duration::ZERO, true, false, None);
        assert!(
            String::from_utf8(body)
                .unwrap()
                .contains("encrypted using AWS KMS.")
        );
    }
}
