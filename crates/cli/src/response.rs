//! What StartSession or ExecuteCommand answered, as callers hand it on.

use serde_json::Map;
use serde_json::Value;
use ssm_session_proto::Secret;

/// A JSON object whose keys are found without regard to case, as Go's decoder does, so that `SessionId`, the ECS
/// API's `sessionId` and a whole response with more in it are all the same (`docs/PROTOCOL.md` 1.3).
#[derive(Debug)]
pub(crate) struct Response {
    fields: Map<String, Value>,
}

impl Response {
    /// Parses a JSON object.
    ///
    /// # Errors
    ///
    /// Completes a sentence that begins with where the text stood: "… is not JSON: …". The text is not repeated, for
    /// it holds a token.
    pub(crate) fn parse(text: &Secret) -> Result<Self, String> {
        let value =
            serde_json::from_str(text.expose()).map_err(|error| format!("is not JSON: {error}"))?;
        Self::from_value(value)
    }

    /// Takes a JSON value that must be an object.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub(crate) fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Object(fields) => Ok(Self { fields }),
            other => Err(format!("is {}, not a JSON object", kind(&other))),
        }
    }

    /// All that has not been taken out, as a JSON object.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.fields)
    }

    /// Takes out the text under a key; `None` when there is none.
    ///
    /// # Errors
    ///
    /// Says what stands there instead of text.
    pub(crate) fn take_text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{key} is {}, not text", kind(&other))),
        }
    }

    /// Takes out the text under a key, or adds to `faults` what is wrong with it and answers with nothing.
    pub(crate) fn require_text(&mut self, key: &str, faults: &mut Vec<String>) -> String {
        let fault = match self.take_text(key) {
            Ok(Some(text)) => return text,
            Ok(None) => format!("{key} is missing"),
            Err(fault) => fault,
        };
        faults.push(fault);
        String::new()
    }

    /// Takes out whatever is under a key; `null` counts as nothing.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        let name = if self.fields.contains_key(key) {
            key.to_owned()
        } else {
            self.fields
                .keys()
                .find(|name| name.eq_ignore_ascii_case(key))?
                .clone()
        };
        self.fields.remove(&name).filter(|value| !value.is_null())
    }
}

/// What a value is, with its article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Response, String> {
        Response::parse(&Secret::new(text))
    }

    #[test]
    fn keys_are_found_in_any_case_and_others_ignored() {
        let mut response =
            parse(r#"{"sessionid": "a", "STREAMURL": "b", "ResponseMetadata": {"x": [1]}}"#)
                .unwrap();
        assert_eq!(response.take_text("SessionId").unwrap().unwrap(), "a");
        assert_eq!(response.take_text("StreamUrl").unwrap().unwrap(), "b");
        assert_eq!(response.take_text("TokenValue").unwrap(), None);
    }

    #[test]
    fn the_exact_key_wins_over_one_in_another_case() {
        let mut response =
            parse(r#"{"SESSIONID": "other", "SessionId": "exact", "sessionid": "third"}"#).unwrap();
        assert_eq!(response.take_text("SessionId").unwrap().unwrap(), "exact");
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let mut response =
            parse(r#"{"TokenValue": 7, "StreamUrl": null, "SessionId": ["x"]}"#).unwrap();
        assert_eq!(
            response.take_text("TokenValue").unwrap_err(),
            "TokenValue is a number, not text"
        );
        assert_eq!(response.take_text("StreamUrl").unwrap(), None);
        assert_eq!(
            response.take_text("SessionId").unwrap_err(),
            "SessionId is a list, not text"
        );
    }

    #[test]
    fn text_that_is_no_object_is_refused_without_repeating_it() {
        assert_eq!(parse("[1]").unwrap_err(), "is a list, not a JSON object");
        let error = parse(r#"{"TokenValue": "hidden" "#).unwrap_err();
        assert!(
            error.starts_with("is not JSON: EOF while parsing"),
            "{error}"
        );
        assert!(!error.contains("hidden"));
    }
}
