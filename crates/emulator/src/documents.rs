//! Session documents: what a session runs, with which parameters (`docs/PROTOCOL.md` 1.5).

mod parameter;
mod substitution;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use ssm_session_proto::SessionType;

use self::parameter::Definition;
pub(crate) use self::parameter::InvalidParameter;
use self::parameter::Parameter;

/// The document a StartSession without a name means.
pub(crate) const DEFAULT: &str = "SSM-SessionManagerRunShell";

/// The document ECS's ExecuteCommand uses.
pub(crate) const EXECUTE_COMMAND: &str = "AmazonECS-ExecuteInteractiveCommand";

/// A session document.
#[derive(Clone, Debug)]
pub struct Document {
    name: String,
    session_type: SessionType,
    inputs: Value,
    parameters: BTreeMap<String, Parameter>,
    properties: Value,
}

/// A document with the parameters of one session filled in: what the agent is told to run.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedDocument {
    pub(crate) session_type: SessionType,
    /// One object per platform (`linux`, …) for command sessions, usually empty for shells.
    pub(crate) properties: Value,
    pub(crate) inputs: Inputs,
}

/// What the emulated agent honours of a document's `inputs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// The key that encrypts the session; none leaves it in clear.
    pub(crate) kms_key_id: Option<String>,
    /// Text typed into a Standard_Stream shell before the user gets it.
    pub(crate) shell_profile_linux: Option<String>,
}

impl Document {
    /// Reads a document as `aws ssm create-document` takes it.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] if the text is no session document.
    pub fn parse(name: impl Into<String>, json: &str) -> Result<Self, DocumentError> {
        let source: Source = serde_json::from_str(json).map_err(DocumentError::Json)?;
        if source.schema_version != SCHEMA_VERSION {
            return Err(DocumentError::SchemaVersion(source.schema_version));
        }
        if !SESSION_TYPES.contains(&source.session_type.as_str()) {
            return Err(DocumentError::SessionType(source.session_type));
        }
        let parameters = source.parameters.into_iter().map(|(name, definition)| {
            let parameter = Parameter::new(&name, definition)?;
            Ok((name, parameter))
        });
        Ok(Self {
            name: name.into(),
            session_type: SessionType::new(source.session_type),
            inputs: Value::Object(source.inputs),
            parameters: parameters.collect::<Result<_, DocumentError>>()?,
            properties: source.properties,
        })
    }

    /// The name StartSession gives.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of session it starts.
    pub fn session_type(&self) -> &SessionType {
        &self.session_type
    }

    /// Fills in what StartSession gave, and the defaults for the rest.
    pub(crate) fn resolve(
        &self,
        given: &BTreeMap<String, Vec<String>>,
    ) -> Result<ResolvedDocument, InvalidParameter> {
        let values = parameter::values(&self.parameters, given)?;
        let properties = substitution::substitute(&self.properties, &values);
        let inputs = substitution::substitute(&self.inputs, &values);
        Ok(ResolvedDocument {
            session_type: self.session_type.clone(),
            properties,
            inputs: Inputs::new(&inputs),
        })
    }
}

impl Inputs {
    /// Blank texts count as absent, as in the documents AWS's console writes.
    fn new(inputs: &Value) -> Self {
        let text = |pointer| {
            let text = inputs.pointer(pointer)?.as_str()?;
            (!text.trim().is_empty()).then(|| text.to_owned())
        };
        Self {
            kms_key_id: text("/kmsKeyId"),
            shell_profile_linux: text("/shellProfile/linux"),
        }
    }
}

/// Why a text is no session document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not JSON, or not of a document's shape.
    #[error("the document is not a JSON object of the session schema")]
    Json(#[source] serde_json::Error),
    /// The agent knows one version.
    #[error("the document has schemaVersion `{0}`; session documents have `1.0`")]
    SchemaVersion(String),
    /// The agent knows four types.
    #[error(
        "the document has sessionType `{0}`; known are Standard_Stream, InteractiveCommands, NonInteractiveCommands and Port"
    )]
    SessionType(String),
    /// `allowedPattern` is no regular expression.
    #[error("the allowedPattern of parameter `{parameter}` is no regular expression")]
    Pattern {
        /// Name of the parameter.
        parameter: String,
        /// What is wrong with the pattern.
        #[source]
        source: regex_lite::Error,
    },
}

/// All documents of one emulator, by name.
#[derive(Debug)]
pub(crate) struct Documents(BTreeMap<String, Document>);

impl Documents {
    /// The built-in documents, and `more` in front of them.
    pub(crate) fn new(more: Vec<Document>) -> Self {
        let built_in = BUILT_IN.iter().map(|(name, json)| {
            Document::parse(*name, json)
                .expect("the built-in documents are valid, a test parses each")
        });
        Self(
            built_in
                .chain(more)
                .map(|document| (document.name.clone(), document))
                .collect(),
        )
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Document> {
        self.0.get(name)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    schema_version: String,
    session_type: String,
    #[serde(default)]
    inputs: Map<String, Value>,
    #[serde(default)]
    parameters: BTreeMap<String, Definition>,
    #[serde(default = "empty_object")]
    properties: Value,
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}

const SCHEMA_VERSION: &str = "1.0";

const SESSION_TYPES: [&str; 4] = [
    "Standard_Stream",
    "InteractiveCommands",
    "NonInteractiveCommands",
    "Port",
];

const BUILT_IN: [(&str, &str); 11] = [
    (
        DEFAULT,
        include_str!("documents/SSM-SessionManagerRunShell.json"),
    ),
    (
        "AWS-StartInteractiveCommand",
        include_str!("documents/AWS-StartInteractiveCommand.json"),
    ),
    (
        "AWS-StartNonInteractiveCommand",
        include_str!("documents/AWS-StartNonInteractiveCommand.json"),
    ),
    (
        "AWS-StartSSHSession",
        include_str!("documents/AWS-StartSSHSession.json"),
    ),
    (
        "AWS-StartPortForwardingSession",
        include_str!("documents/AWS-StartPortForwardingSession.json"),
    ),
    (
        "AWS-StartPortForwardingSessionToRemoteHost",
        include_str!("documents/AWS-StartPortForwardingSessionToRemoteHost.json"),
    ),
    (
        "AWS-StartPortForwardingSessionToSocket",
        include_str!("documents/AWS-StartPortForwardingSessionToSocket.json"),
    ),
    (
        EXECUTE_COMMAND,
        include_str!("documents/AmazonECS-ExecuteInteractiveCommand.json"),
    ),
    (
        "Emulator-EncryptedShell",
        include_str!("documents/Emulator-EncryptedShell.json"),
    ),
    (
        "Emulator-SeparateOutput",
        include_str!("documents/Emulator-SeparateOutput.json"),
    ),
    (
        "Emulator-SeparateOutputPrefixed",
        include_str!("documents/Emulator-SeparateOutputPrefixed.json"),
    ),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_built_in_document_can_be_found_by_its_name() {
        let documents = Documents::new(Vec::new());
        for (name, _) in BUILT_IN {
            assert_eq!(documents.find(name).map(Document::name), Some(name));
        }
        assert!(documents.find("AWS-RunShellScript").is_none());
    }

    #[test]
    fn a_document_of_the_plan_replaces_the_built_in_one() {
        let mine = Document::parse(
            DEFAULT,
            r#"{"schemaVersion":"1.0","sessionType":"InteractiveCommands"}"#,
        )
        .unwrap();
        let documents = Documents::new(vec![mine]);
        let found = documents.find(DEFAULT).unwrap();
        assert_eq!(found.session_type(), &SessionType::INTERACTIVE_COMMANDS);
    }

    #[test]
    fn the_command_parameter_reaches_the_properties_of_the_platform() {
        let documents = Documents::new(Vec::new());
        let document = documents.find("AWS-StartInteractiveCommand").unwrap();
        let resolved = document
            .resolve(&given(&[("command", &["ls -l"])]))
            .unwrap();
        assert_eq!(resolved.properties["linux"]["commands"], "ls -l");
        assert_eq!(resolved.session_type, SessionType::INTERACTIVE_COMMANDS);
    }

    #[test]
    fn the_port_documents_have_the_defaults_of_aws() {
        let documents = Documents::new(Vec::new());
        for (name, parameters, properties) in [
            (
                "AWS-StartSSHSession",
                given(&[]),
                json!({"portNumber": "22"}),
            ),
            (
                "AWS-StartPortForwardingSession",
                given(&[]),
                json!({"portNumber": "80", "localPortNumber": "0", "type": "LocalPortForwarding"}),
            ),
            (
                "AWS-StartPortForwardingSessionToRemoteHost",
                given(&[
                    ("host", &["db.internal.example"]),
                    ("portNumber", &["5432"]),
                ]),
                json!({
                    "portNumber": "5432",
                    "localPortNumber": "0",
                    "type": "LocalPortForwarding",
                    "host": "db.internal.example",
                }),
            ),
            (
                "AWS-StartPortForwardingSessionToSocket",
                given(&[("localUnixSocket", &["/run/db.sock"])]),
                json!({
                    "portNumber": "80",
                    "type": "LocalPortForwarding",
                    "localConnectionType": "unix",
                    "localUnixSocket": "/run/db.sock",
                }),
            ),
        ] {
            let resolved = documents.find(name).unwrap().resolve(&parameters).unwrap();
            assert_eq!(resolved.session_type, SessionType::PORT);
            assert_eq!(resolved.properties, properties, "{name}");
        }
    }

    #[test]
    fn parameters_that_name_no_port_or_host_are_refused() {
        let documents = Documents::new(Vec::new());
        for (name, parameter, value) in [
            ("AWS-StartSSHSession", "portNumber", "0"),
            ("AWS-StartPortForwardingSession", "portNumber", "65536"),
            ("AWS-StartPortForwardingSession", "localPortNumber", "http"),
            (
                "AWS-StartPortForwardingSessionToRemoteHost",
                "host",
                "a;reboot",
            ),
            (
                "AWS-StartPortForwardingSessionToSocket",
                "localUnixSocket",
                "",
            ),
        ] {
            let document = documents.find(name).unwrap();
            let error = document.resolve(&given(&[(parameter, &[value])]));
            let text = error.unwrap_err().to_string();
            assert!(text.contains("does not match its pattern"), "{text}");
        }
    }

    #[test]
    fn separate_output_keeps_its_json_type() {
        let documents = Documents::new(Vec::new());
        let document = documents.find("Emulator-SeparateOutputPrefixed").unwrap();
        let resolved = document
            .resolve(&given(&[
                ("command", &["true"]),
                ("stdOutSeparatorPrefix", &["OUT:"]),
            ]))
            .unwrap();
        assert_eq!(
            resolved.properties["linux"],
            json!({
                "commands": "true",
                "runAsElevated": true,
                "separateOutputStream": true,
                "stdOutSeparatorPrefix": "OUT:",
                "stdErrSeparatorPrefix": "",
            })
        );
    }

    #[test]
    fn the_key_and_the_profile_are_read_from_the_inputs_and_blanks_are_not() {
        let text = r#"{"schemaVersion":"1.0","sessionType":"Standard_Stream",
            "inputs":{"kmsKeyId":"{{ key }}","shellProfile":{"linux":"cd /tmp","windows":""}},
            "parameters":{"key":{"type":"String","default":""}}}"#;
        let document = Document::parse("Mine", text).unwrap();
        let with_key = document.resolve(&given(&[("key", &["alias/a"])])).unwrap();
        assert_eq!(
            with_key.inputs,
            Inputs {
                kms_key_id: Some("alias/a".to_owned()),
                shell_profile_linux: Some("cd /tmp".to_owned()),
            }
        );
        assert_eq!(
            document
                .resolve(&BTreeMap::new())
                .unwrap()
                .inputs
                .kms_key_id,
            None
        );
    }

    #[test]
    fn what_is_no_session_document_is_refused_with_the_reason() {
        let cases = [
            ("[]", "not a JSON object"),
            (
                r#"{"schemaVersion":"2.2","sessionType":"Standard_Stream"}"#,
                "schemaVersion `2.2`",
            ),
            (
                r#"{"schemaVersion":"1.0","sessionType":"Telnet"}"#,
                "sessionType `Telnet`",
            ),
            (
                r#"{"schemaVersion":"1.0","sessionType":"Port","parameters":{"a":{"type":"String","allowedPattern":"("}}}"#,
                "allowedPattern of parameter `a`",
            ),
        ];
        for (text, reason) in cases {
            let error = Document::parse("Mine", text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    pub(super) fn given(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        pairs
            .iter()
            .map(|(name, values)| {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                ((*name).to_owned(), values)
            })
            .collect()
    }
}
