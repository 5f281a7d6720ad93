//! The bodies of the handshake, as they are sent (docs/PROTOCOL.md 3.4 and 5).

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// Names of the actions an agent may ask for.
pub(crate) mod action {
    pub(crate) const SESSION_TYPE: &str = "SessionType";
    pub(crate) const KMS_ENCRYPTION: &str = "KMSEncryption";
}

/// How an action went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ActionStatus(u32);

impl ActionStatus {
    pub(crate) const SUCCESS: Self = Self(1);
    pub(crate) const FAILED: Self = Self(2);
    pub(crate) const UNSUPPORTED: Self = Self(3);

    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HandshakeRequest {
    pub(crate) agent_version: String,
    #[serde(default)]
    pub(crate) requested_client_actions: Vec<RequestedAction>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RequestedAction {
    pub(crate) action_type: String,
    #[serde(default)]
    pub(crate) action_parameters: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SessionTypeRequest {
    pub(crate) session_type: String,
    #[serde(default)]
    pub(crate) properties: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KmsEncryptionRequest {
    #[serde(rename = "KMSKeyId")]
    pub(crate) kms_key_id: String,
    /// Sixteen random bytes in base64, from agents since August 2024.
    #[serde(rename = "Challenge", default, skip_serializing_if = "Option::is_none")]
    pub(crate) challenge: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HandshakeResponse {
    #[serde(default)]
    pub(crate) client_version: Option<String>,
    #[serde(default)]
    pub(crate) processed_client_actions: Option<Vec<ProcessedAction>>,
    #[serde(default)]
    pub(crate) errors: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ProcessedAction {
    pub(crate) action_type: String,
    pub(crate) action_status: ActionStatus,
    #[serde(default)]
    pub(crate) action_result: Value,
    #[serde(default)]
    pub(crate) error: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KmsEncryptionResult {
    /// The data key under the KMS key, in base64.
    #[serde(rename = "KMSCipherTextKey")]
    pub(crate) cipher_text_key: String,
    /// Written as null and read by nobody.
    #[serde(rename = "KMSCipherTextHash", default)]
    pub(crate) cipher_text_hash: Option<String>,
    #[serde(
        rename = "ChallengeAcknowledgement",
        default,
        skip_serializing_if = "is_false"
    )]
    pub(crate) challenge_acknowledgement: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HandshakeComplete {
    /// Nanoseconds.
    #[serde(default)]
    pub(crate) handshake_time_to_complete: i64,
    #[serde(default)]
    pub(crate) customer_message: String,
}

/// Request and response of the encryption challenge alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EncryptionChallenge {
    /// Sealed random bytes, in base64.
    pub(crate) challenge: String,
}
