//! The properties of a port document (`docs/PROTOCOL.md` 1.5), refused in the words of the agent.

use serde_json::Value;

/// Where a session leads, as the document says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Properties {
    /// The node itself if absent.
    pub(super) host: Option<String>,
    /// Never empty.
    pub(super) port: String,
    /// Whether connections come one after the other or side by side, instead of one for the whole session.
    pub(super) forwards: bool,
}

impl Properties {
    /// Reads the properties. An error is the agent's text.
    pub(super) fn parse(properties: &Value) -> Result<Self, String> {
        let port = text(properties, "portNumber")?;
        let host = text(properties, "host")?;
        let forwards = text(properties, "type")? == "LocalPortForwarding";
        if port.is_empty() {
            return Err(format!(
                "Port number is empty in session properties. {}",
                as_go(properties)
            ));
        }
        Ok(Self {
            host: (!host.is_empty()).then(|| host.to_owned()),
            port: port.to_owned(),
            forwards,
        })
    }
}

/// A text among the properties; empty if absent.
fn text<'a>(properties: &'a Value, name: &str) -> Result<&'a str, String> {
    let kind = match properties.get(name) {
        None | Some(Value::Null) => return Ok(""),
        Some(Value::String(text)) => return Ok(text),
        Some(Value::Bool(_)) => "bool",
        Some(Value::Number(_)) => "number",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    };
    Err(format!(
        "Unable to remarshal session properties. json: cannot unmarshal {kind} into Go struct field PortParameters.{name} of type string"
    ))
}

/// As Go prints a value it does not know the type of.
fn as_go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(as_go).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{name}:{}", as_go(value)))
                .collect();
            fields.sort_unstable();
            format!("map[{}]", fields.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_without_type_forwards_nothing() {
        let ssh = Properties::parse(&json!({"portNumber": "22"})).unwrap();
        assert!(!ssh.forwards);
        assert_eq!(ssh.host, None);
        let properties = json!({"portNumber": "80", "host": "db", "type": "LocalPortForwarding"});
        let forward = Properties::parse(&properties).unwrap();
        assert!(forward.forwards);
        assert_eq!(forward.host.as_deref(), Some("db"));
    }

    #[test]
    fn properties_without_a_port_are_refused_and_shown() {
        for (properties, shown) in [
            (json!({}), "map[]"),
            (json!({"portNumber": ""}), "map[portNumber:]"),
            (
                json!({"type": "LocalPortForwarding", "portNumber": null, "more": [1, true, "x"]}),
                "map[more:[1 true x] portNumber:<nil> type:LocalPortForwarding]",
            ),
        ] {
            assert_eq!(
                Properties::parse(&properties).unwrap_err(),
                format!("Port number is empty in session properties. {shown}")
            );
        }
    }

    #[test]
    fn a_port_that_is_no_text_is_refused_in_the_agents_words() {
        assert_eq!(
            Properties::parse(&json!({"portNumber": ["22"]})).unwrap_err(),
            "Unable to remarshal session properties. json: cannot unmarshal array into Go struct field \
             PortParameters.portNumber of type string"
        );
    }
}
