//! A document's parameters: their definitions, and the values of one session.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::DocumentError;

/// What a document says about one parameter, as it stands in the document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Definition {
    #[serde(rename = "type")]
    kind: Kind,
    default: Option<Value>,
    allowed_pattern: Option<String>,
    allowed_values: Option<Vec<String>>,
}

/// One parameter of a document, ready to judge values.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    kind: Kind,
    default: Option<Value>,
    allowed_pattern: Option<Regex>,
    allowed_values: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Kind {
    String,
    StringList,
    Integer,
    Boolean,
}

impl Parameter {
    pub(super) fn new(name: &str, definition: Definition) -> Result<Self, DocumentError> {
        let pattern = definition
            .allowed_pattern
            .as_deref()
            .map(Regex::new)
            .transpose();
        Ok(Self {
            kind: definition.kind,
            default: definition.default,
            allowed_pattern: pattern.map_err(|source| DocumentError::Pattern {
                parameter: name.to_owned(),
                source,
            })?,
            allowed_values: definition.allowed_values,
        })
    }

    /// The task message carries what the user gave as plain strings, never as one-element lists
    /// (`docs/PROTOCOL.md` 1.5).
    fn accept(&self, name: &str, given: &[String]) -> Result<Value, InvalidParameter> {
        for value in given {
            self.accept_one(name, value)?;
        }
        match (self.kind, given) {
            (Kind::StringList, values) => Ok(values.iter().map(String::as_str).collect()),
            (_, [value]) => Ok(Value::String(value.clone())),
            (_, values) => Err(InvalidParameter::Count {
                name: name.to_owned(),
                count: values.len(),
            }),
        }
    }

    fn accept_one(&self, name: &str, value: &str) -> Result<(), InvalidParameter> {
        let of_kind = match self.kind {
            Kind::String | Kind::StringList => true,
            Kind::Integer => value.parse::<i64>().is_ok(),
            Kind::Boolean => matches!(value, "true" | "false"),
        };
        if !of_kind {
            return Err(InvalidParameter::Kind {
                name: name.to_owned(),
                kind: if self.kind == Kind::Integer {
                    "Integer"
                } else {
                    "Boolean"
                },
            });
        }
        if let Some(allowed) = &self.allowed_values
            && !allowed.iter().any(|one| one == value)
        {
            return Err(InvalidParameter::NotAllowed {
                name: name.to_owned(),
                allowed: allowed.join(", "),
            });
        }
        if let Some(pattern) = &self.allowed_pattern
            && !pattern.is_match(value)
        {
            return Err(InvalidParameter::Pattern {
                name: name.to_owned(),
                pattern: pattern.as_str().to_owned(),
            });
        }
        Ok(())
    }
}

/// The value of every parameter that can be substituted: what was given, else the default.
///
/// Names the agent would not substitute are left out, so their placeholders stay as they are.
pub(super) fn values(
    parameters: &BTreeMap<String, Parameter>,
    given: &BTreeMap<String, Vec<String>>,
) -> Result<BTreeMap<String, Value>, InvalidParameter> {
    if let Some(name) = given.keys().find(|name| !parameters.contains_key(*name)) {
        return Err(InvalidParameter::Unknown {
            name: name.clone(),
            known: parameters.keys().cloned().collect::<Vec<_>>().join(", "),
        });
    }
    let mut values = BTreeMap::new();
    for (name, parameter) in parameters {
        let value = match (given.get(name), &parameter.default) {
            (Some(given), _) => parameter.accept(name, given)?,
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(InvalidParameter::Missing { name: name.clone() }),
        };
        if is_substitutable(name) {
            values.insert(name.clone(), value);
        }
    }
    Ok(values)
}

fn is_substitutable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Why StartSession's parameters do not fit the document. Values are not repeated: they may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidParameter {
    #[error("the document has no parameter {name}; it has: {known}", known = if known.is_empty() { "none" } else { known })]
    Unknown { name: String, known: String },
    #[error("parameter {name} is required by the document and was not given")]
    Missing { name: String },
    #[error("parameter {name} takes one value, {count} were given")]
    Count { name: String, count: usize },
    #[error("the value of parameter {name} is no {kind}")]
    Kind { name: String, kind: &'static str },
    #[error("the value of parameter {name} is not one of: {allowed}")]
    NotAllowed { name: String, allowed: String },
    #[error("the value of parameter {name} does not match its pattern {pattern}")]
    Pattern { name: String, pattern: String },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::given;
    use super::*;

    #[test]
    fn a_given_value_wins_over_the_default_and_is_plain_text() {
        let parameters = parameters(json!({"port": {"type": "String", "default": "80"}}));
        assert_eq!(values(&parameters, &given(&[])).unwrap()["port"], "80");
        assert_eq!(
            values(&parameters, &given(&[("port", &["22"])])).unwrap()["port"],
            "22"
        );
    }

    #[test]
    fn a_list_parameter_stays_a_list() {
        let parameters = parameters(json!({"names": {"type": "StringList"}}));
        let values = values(&parameters, &given(&[("names", &["a", "b"])])).unwrap();
        assert_eq!(values["names"], json!(["a", "b"]));
    }

    #[test]
    fn names_the_agent_would_not_substitute_are_left_out() {
        let parameters = parameters(json!({"a-b": {"type": "String", "default": "x"}}));
        assert_eq!(values(&parameters, &given(&[])).unwrap(), BTreeMap::new());
    }

    #[test]
    fn wrong_parameters_are_named_and_their_values_are_not() {
        let parameters = parameters(json!({
            "command": {"type": "String", "default": ""},
            "port": {"type": "String", "default": "1", "allowedPattern": "^[0-9]+$"},
            "size": {"type": "String", "default": "s", "allowedValues": ["s", "m"]},
            "count": {"type": "Integer", "default": 1},
            "loud": {"type": "Boolean", "default": false},
        }));
        let cases = [
            (
                ("colour", &["hush"][..]),
                "the document has no parameter colour; it has: command, count, loud, port, size",
            ),
            (
                ("command", &["hush", "b"]),
                "parameter command takes one value, 2 were given",
            ),
            (
                ("command", &[]),
                "parameter command takes one value, 0 were given",
            ),
            (
                ("port", &["hush"]),
                "the value of parameter port does not match its pattern ^[0-9]+$",
            ),
            (
                ("size", &["hush"]),
                "the value of parameter size is not one of: s, m",
            ),
            (
                ("count", &["hush"]),
                "the value of parameter count is no Integer",
            ),
            (
                ("loud", &["hush"]),
                "the value of parameter loud is no Boolean",
            ),
        ];
        for (parameter, message) in cases {
            let error = values(&parameters, &given(&[parameter])).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_parameter_without_default_must_be_given() {
        let parameters = parameters(json!({"command": {"type": "String"}}));
        let error = values(&parameters, &given(&[])).unwrap_err();
        assert_eq!(
            error,
            InvalidParameter::Missing {
                name: "command".to_owned()
            }
        );
    }

    fn parameters(json: Value) -> BTreeMap<String, Parameter> {
        let definitions: BTreeMap<String, Definition> = serde_json::from_value(json).unwrap();
        definitions
            .into_iter()
            .map(|(name, definition)| {
                let parameter = Parameter::new(&name, definition).unwrap();
                (name, parameter)
            })
            .collect()
    }
}
