//! The acknowledge body (docs/PROTOCOL.md 3.1 and 3.4).

use serde::Deserialize;
use serde::Serialize;
use uuid::Uuid;

use super::Message;
use super::MessageType;
use super::SequenceNumber;

/// Says that one stream message arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Acknowledge {
    acknowledged_message_type: String,
    acknowledged_message_id: String,
    acknowledged_message_sequence_number: i64,
    is_sequential_message: bool,
}

impl Acknowledge {
    /// The acknowledgement of `message`.
    pub fn of(message: &Message) -> Self {
        Self::new(message.message_type, message.id, message.sequence_number)
    }

    pub(crate) fn new(message_type: MessageType, id: Uuid, number: SequenceNumber) -> Self {
        Self {
            acknowledged_message_type: message_type.as_str().to_owned(),
            acknowledged_message_id: id.hyphenated().to_string(),
            acknowledged_message_sequence_number: number.0,
            is_sequential_message: true,
        }
    }

    /// The place of the acknowledged message in its stream.
    pub fn sequence_number(&self) -> SequenceNumber {
        SequenceNumber(self.acknowledged_message_sequence_number)
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// The payload is not the JSON object of docs/PROTOCOL.md 3.4.
    pub fn from_json(payload: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(payload)
    }

    /// Writes the payload.
    pub fn to_json(&self) -> Vec<u8> {
        crate::json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_body_is_written() {
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        let body = Acknowledge::new(MessageType::OUTPUT_STREAM_DATA, id, SequenceNumber(0));
        let expected = concat!(
            r#"{"AcknowledgedMessageType":"output_stream_data","#,
            r#""AcknowledgedMessageId":"01234567-89ab-cdef-fedc-ba9876543210","#,
            r#""AcknowledgedMessageSequenceNumber":0,"IsSequentialMessage":true}"#
        );
        assert_eq!(String::from_utf8(body.to_json()).unwrap(), expected);
        assert_eq!(Acknowledge::from_json(expected.as_bytes()).unwrap(), body);
    }

    #[test]
    fn what_is_no_acknowledgement_is_an_error() {
        for payload in [
            "",
            "{}",
            "[]",
            r#"{"AcknowledgedMessageSequenceNumber":"0"}"#,
        ] {
            assert!(
                Acknowledge::from_json(payload.as_bytes()).is_err(),
                "{payload}"
            );
        }
    }
}
