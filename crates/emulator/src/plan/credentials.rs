//! Keys that requests are signed with.

use std::time::SystemTime;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde_json::error::Category;
use ssm_session_proto::Secret;

use crate::time;

/// One access key, long-lived or temporary, whose requests are let in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Credentials {
    /// What a signature names, such as `AKIAIOSFODNN7EXAMPLE`.
    pub access_key_id: String,
    /// What signatures are made with.
    pub secret_access_key: Secret,
    /// What requests carry besides, if the credentials are temporary.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// From when on requests are answered with `ExpiredTokenException`.
    #[serde(default, deserialize_with = "expiration")]
    pub expiration: Option<SystemTime>,
}

impl Credentials {
    /// Reads a JSON list of credentials, or a single one, with the keys `AccessKeyId`, `SecretAccessKey` and, where
    /// there is one, `SessionToken` and `Expiration` (such as `2030-01-01T00:00:00Z`). Other keys are ignored.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`], which repeats nothing of the text.
    pub fn parse_list(json: &str) -> Result<Vec<Self>, InvalidCredentials> {
        let list = if json.trim_start().starts_with('{') {
            serde_json::from_str(json).map(|one| vec![one])
        } else {
            serde_json::from_str(json)
        };
        let list: Vec<Self> = list.map_err(|error| InvalidCredentials(reason(&error)))?;
        if list.is_empty() {
            return Err(InvalidCredentials("the list is empty".to_owned()));
        }
        for (index, credentials) in list.iter().enumerate() {
            credentials
                .check()
                .map_err(|reason| InvalidCredentials(format!("entry {}: {reason}", index + 1)))?;
        }
        Ok(list)
    }

    /// What makes no sense, in words.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let id = self.access_key_id.as_bytes();
        if id.is_empty() || !id.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err("AccessKeyId must be letters and digits, such as AKIAIOSFODNN7EXAMPLE");
        }
        if self.secret_access_key.expose().is_empty() {
            return Err("SecretAccessKey is empty");
        }
        let token = self.session_token.as_ref().map(Secret::expose);
        if token
            .is_some_and(|token| token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err("SessionToken must be printable ASCII without blanks");
        }
        Ok(())
    }
}

/// Why a text holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCredentials(String);

/// Where it went wrong, and how as far as that shows nothing of the text itself.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let harmless = text.starts_with("missing field") || text.starts_with(NO_TIME);
    match error.classify() {
        Category::Data if !harmless => format!(
            "a value has the wrong type at line {} column {}",
            error.line(),
            error.column()
        ),
        Category::Syntax | Category::Eof => format!("not JSON: {text}"),
        Category::Data | Category::Io => text,
    }
}

fn expiration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let moment = |text: String| time::parse(&text).ok_or_else(|| D::Error::custom(NO_TIME));
    text.map(moment).transpose()
}

const NO_TIME: &str = "Expiration is no time such as 2030-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_list_and_a_single_entry_are_read() {
        let one = r#"{"AccessKeyId":"AKIA1","SecretAccessKey":"s","SessionToken":"t",
            "Expiration":"2023-11-14T22:13:20Z","Version":1}"#;
        let expected = Credentials {
            access_key_id: "AKIA1".to_owned(),
            secret_access_key: Secret::new("s"),
            session_token: Some(Secret::new("t")),
            expiration: Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
        };
        assert_eq!(Credentials::parse_list(one), Ok(vec![expected.clone()]));
        let list = format!(r#"[{one},{{"AccessKeyId":"AKIA2","SecretAccessKey":"z"}}]"#);
        let list = Credentials::parse_list(&list).unwrap();
        assert_eq!(list[0], expected);
        assert_eq!(list[1].access_key_id, "AKIA2");
        assert_eq!(list[1].session_token, None);
        assert_eq!(list[1].expiration, None);
    }

    #[test]
    fn errors_say_where_and_never_what() {
        for (json, expected) in [
            ("", "not JSON: EOF while parsing"),
            (r#"["hush"#, "not JSON: EOF while parsing"),
            ("[]", "the list is empty"),
            (
                r#"["hush"]"#,
                "a value has the wrong type at line 1 column 7",
            ),
            (r#"{"AccessKeyId":"A"}"#, "missing field `SecretAccessKey`"),
            (
                r#"{"AccessKeyId":"A","SecretAccessKey":["hush"]}"#,
                "a value has the wrong type",
            ),
            (
                r#"{"AccessKeyId":"A","SecretAccessKey":"hush","Expiration":"hush"}"#,
                "Expiration is no time such as",
            ),
            (
                r#"{"AccessKeyId":"hush!","SecretAccessKey":"hush"}"#,
                "entry 1: AccessKeyId must be",
            ),
            (
                r#"{"AccessKeyId":"A","SecretAccessKey":""}"#,
                "SecretAccessKey is empty",
            ),
            (
                r#"{"AccessKeyId":"A","SecretAccessKey":"hush","SessionToken":"hush hush"}"#,
                "SessionToken must be",
            ),
        ] {
            let error = Credentials::parse_list(json).unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn debug_output_hides_the_secrets() {
        let json = r#"{"AccessKeyId":"A","SecretAccessKey":"hush","SessionToken":"hush"}"#;
        let text = format!("{:?}", Credentials::parse_list(json).unwrap());
        assert!(!text.contains("hush"), "{text}");
    }
}
