//! Bodies that concern the channel itself (docs/PROTOCOL.md 2.2 and 3.4).

use serde::Deserialize;
use serde::Serialize;
use uuid::Uuid;

use crate::secret::Secret;

/// The text that opens a data channel, sent right after the upgrade (docs/PROTOCOL.md 2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OpenDataChannel {
    /// `1.0`.
    pub message_schema_version: String,
    /// New for each opening.
    pub request_id: String,
    /// What StartSession or ResumeSession handed out.
    pub token_value: Secret,
    /// The agent's identity; absent in a client's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_instance_id: Option<String>,
    /// The same for all openings of one client; empty in an agent's text.
    #[serde(default)]
    pub client_id: String,
    /// The client's version; absent in an agent's text and in those of old clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
}

impl OpenDataChannel {
    /// The text of a client.
    pub fn client(token: Secret, request_id: Uuid, client_id: Uuid, version: &str) -> Self {
        Self {
            message_schema_version: SCHEMA_VERSION.to_owned(),
            request_id: request_id.hyphenated().to_string(),
            token_value: token,
            client_instance_id: None,
            client_id: client_id.hyphenated().to_string(),
            client_version: Some(version.to_owned()),
        }
    }

    /// The text of an agent.
    pub fn agent(token: Secret, request_id: Uuid, instance_id: &str) -> Self {
        Self {
            message_schema_version: SCHEMA_VERSION.to_owned(),
            request_id: request_id.hyphenated().to_string(),
            token_value: token,
            client_instance_id: Some(instance_id.to_owned()),
            client_id: String::new(),
            client_version: None,
        }
    }

    /// Reads the text.
    ///
    /// # Errors
    /// The text is not the JSON object of docs/PROTOCOL.md 2.2.
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Writes the text.
    pub fn to_json(&self) -> Vec<u8> {
        crate::json::to_vec(self)
    }
}

const SCHEMA_VERSION: &str = "1.0";

/// The service's word that a session is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChannelClosed {
    /// `channel_closed`.
    pub message_type: String,
    /// The message's own identity.
    pub message_id: String,
    /// Whom the message is for.
    pub destination_id: String,
    /// The session that is over.
    pub session_id: String,
    /// 1.
    pub schema_version: i64,
    /// When, as text.
    pub created_date: String,
    /// Why, for people; empty when there is nothing to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// The agent's word to the service about its end of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionState {
    /// 1.
    pub schema_version: i64,
    /// [`SessionState::CONNECTED`] or [`SessionState::TERMINATING`].
    pub session_state: String,
    /// The session in question.
    pub session_id: String,
}

impl SessionState {
    /// The agent has opened its channel.
    pub const CONNECTED: &str = "Connected";
    /// The agent has no more to send.
    pub const TERMINATING: &str = "Terminating";

    pub(crate) fn new(state: &str, session_id: &str) -> Self {
        Self {
            schema_version: 1,
            session_state: state.to_owned(),
            session_id: session_id.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_text_is_the_recorded_one() {
        let recorded = concat!(
            r#"{"MessageSchemaVersion":"1.0","RequestId":"aa8cffac-af6c-47cc-8b35-f272d80d35f9","#,
            r#""TokenValue":"133765c8-3d38-4c5f-a339-037cd6679445","#,
            r#""ClientId":"35535b5d-37c4-412b-a99a-133f64ef3ed2","ClientVersion":"1.2.0.0"}"#
        );
        let text = OpenDataChannel::client(
            Secret::new("133765c8-3d38-4c5f-a339-037cd6679445"),
            Uuid::from_u128(0xaa8c_ffac_af6c_47cc_8b35_f272_d80d_35f9),
            Uuid::from_u128(0x3553_5b5d_37c4_412b_a99a_133f_64ef_3ed2),
            "1.2.0.0",
        );
        assert_eq!(String::from_utf8(text.to_json()).unwrap(), recorded);
        assert_eq!(
            OpenDataChannel::from_json(recorded.as_bytes()).unwrap(),
            text
        );
    }

    #[test]
    fn the_token_is_not_shown() {
        let text = OpenDataChannel::agent(Secret::new("hush"), Uuid::nil(), "i-1");
        assert!(!format!("{text:?}").contains("hush"));
    }

    #[test]
    fn a_channel_closed_body_may_lack_everything() {
        let body: ChannelClosed = serde_json::from_str("{}").unwrap();
        assert_eq!(body, ChannelClosed::default());
    }
}
