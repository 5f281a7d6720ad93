//! What `ssh` was given, checked as a whole: every mistake is reported, by the name of what it is in.

use std::collections::BTreeMap;

use serde_json::Value;
use ssm_session::StartRequest;
use ssm_session_proto::Secret;
use ssm_session_terminal::one_line;

use super::behaviour::Behaviour;
use super::config_file::ConfigFile;
use super::mistakes::Mistakes;
use super::variables::Variables;
use crate::api::ApiSettings;
use crate::args::SshArgs;
use crate::port::PortRequest;
use crate::response::Response;
use crate::response::kind;

mod target;

/// A session to start, and all that is needed for it.
#[derive(Debug)]
pub(crate) struct SshSettings {
    pub request: StartRequest,
    pub api: ApiSettings,
    pub behaviour: Behaviour,
    pub port: PortRequest,
    /// Whether a forward outlives its session.
    pub restart: bool,
}

impl SshSettings {
    /// The target, fit for a terminal.
    pub(crate) fn shown_target(&self) -> String {
        one_line(&self.request.target)
    }
}

/// Takes arguments and environment together.
///
/// # Errors
///
/// All mistakes at once.
pub(super) fn resolve(args: SshArgs, variables: Variables<'_>) -> Result<SshSettings, Mistakes> {
    let mut mistakes = Mistakes::default();
    let target = match args.target {
        Some(target) => mistakes.keep("--target", target::check(target)),
        None => {
            mistakes.add(
                "--target",
                format_args!("is missing; it is {}", target::FORMS),
            );
            None
        }
    };
    let document_name = args
        .document_name
        .and_then(|name| mistakes.keep("--document-name", document(name)));
    let reason = args
        .reason
        .and_then(|reason| mistakes.keep("--reason", self::reason(reason)));
    let parameters = match &args.parameters {
        Some(text) => parameters(text, &mut mistakes),
        None => BTreeMap::new(),
    };
    let file = ConfigFile::read(variables, &mut mistakes);
    let behaviour = Behaviour::read(&args.behaviour, variables, &file, &mut mistakes);
    let api = ApiSettings::read(args.aws, &args.network, variables, &file, &mut mistakes);
    if args.restart {
        check_restart(document_name.as_deref(), &behaviour, &mut mistakes);
    }
    match target {
        Some(target) if mistakes.is_empty() => {
            let port = serde_json::to_value(&parameters).unwrap_or_default();
            Ok(SshSettings {
                port: PortRequest::new(document_name.as_deref(), None, &port),
                request: StartRequest {
                    target,
                    document_name,
                    parameters,
                    reason,
                },
                api,
                behaviour,
                restart: args.restart,
            })
        }
        _ => Err(mistakes),
    }
}

/// A document of the account's own may be for a port; those of AWS are known.
fn check_restart(document: Option<&str>, behaviour: &Behaviour, mistakes: &mut Mistakes) {
    let place = "--restart";
    let is_forward = match document {
        None => false,
        Some(name) => !NO_FORWARDS.contains(&name),
    };
    let what = "is for sessions that forward a port; name one's document with --document-name, such as \
                AWS-StartPortForwardingSession";
    mistakes.check(place, is_forward, what);
    let tries = !behaviour.timeouts.resume.is_zero();
    let what = "tries for as long as --resume-for says, which is 0; give it a number of seconds";
    mistakes.check(place, tries, what);
}

/// AWS's documents for shells, commands, and `ssh`, whose connection is that of the session.
const NO_FORWARDS: [&str; 4] = [
    "SSM-SessionManagerRunShell",
    "AWS-StartInteractiveCommand",
    "AWS-StartNonInteractiveCommand",
    "AWS-StartSSHSession",
];

/// StartSession's own pattern, in words.
fn document(name: String) -> Result<String, &'static str> {
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"_-.:/".contains(&letter);
    if (3..=128).contains(&name.len()) && name.bytes().all(fits) {
        Ok(name)
    } else {
        Err("is not a document's name or ARN: 3 to 128 letters, digits and _ - . : /")
    }
}

fn reason(text: String) -> Result<String, String> {
    match text.chars().count() {
        1..=256 => Ok(text),
        count => Err(format!("has {count} characters instead of 1 to 256")),
    }
}

/// The document's parameters, each with its values. They may hold what is secret, so that none is repeated.
fn parameters(text: &Secret, mistakes: &mut Mistakes) -> BTreeMap<String, Vec<String>> {
    let parsed = Response::parse(text)
        .map_err(|fault| format!("{fault}; it is an object such as {{\"portNumber\": [\"22\"]}}"));
    let object = mistakes
        .keep("--parameters", parsed)
        .map(Response::into_value)
        .unwrap_or_default();
    let Value::Object(fields) = object else {
        return BTreeMap::new();
    };
    let mut parameters = BTreeMap::new();
    for (name, value) in fields {
        let values = values(value).map_err(|fault| format!("{name} {fault}"));
        if let Some(values) = mistakes.keep("--parameters", values) {
            parameters.insert(name, values);
        }
    }
    parameters
}

fn values(value: Value) -> Result<Vec<String>, String> {
    let one = |value: Value, what: &str| match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Err(format!(
            "{what} {}; values are texts, so put it in quotation marks",
            kind(&value)
        )),
        other => Err(format!("{what} {}, not text", kind(&other))),
    };
    match value {
        Value::Array(values) => values
            .into_iter()
            .map(|value| one(value, "has a value that is"))
            .collect(),
        value => one(value, "is").map(|text| vec![text]),
    }
}

#[cfg(test)]
mod tests;
