//! The contract of AWS's session-manager-plugin with the programs that start it (`docs/PROTOCOL.md` 1.3).
//!
//! Its texts are matched by programs: they go to standard output, to the letter, and the status is 0.

use std::ffi::OsStr;
use std::ffi::OsString;

use serde_json::Value;
use ssm_session::SessionStart;
use ssm_session::StreamUrl;
use ssm_session_proto::CLIENT_VERSION;
use ssm_session_proto::Secret;
use ssm_session_terminal::one_line;

use crate::api;
use crate::api::ApiSettings;
use crate::args::BehaviourArgs;
use crate::args::NetworkArgs;
use crate::endpoint;
use crate::env_vars;
use crate::port::PortRequest;
use crate::response::Response;
use crate::response::kind;
use crate::session::SessionSettings;
use crate::settings::Behaviour;
use crate::settings::ConfigFile;
use crate::settings::Mistakes;
use crate::settings::Network;
use crate::settings::Variables;
use crate::settings::refusal;

mod texts;

pub(crate) use texts::PluginTexts;

/// Whether the words after the program's name are those of a program that takes us for AWS's plugin.
///
/// The rule, in this order:
/// 1. A first word that is a JSON object or the name of an environment variable with a response is the plugin's;
/// 2. so is every command whose third word is an operation of the plugin;
/// 3. a first word that is a command or an option of ours is ours, and so is `--version` with `--verbose` behind it;
/// 4. everything else is the plugin's, which has an answer to every number of words.
pub(crate) fn is_drop_in(words: &[OsString]) -> bool {
    let word = |index: usize| {
        words
            .get(index)
            .and_then(|word| word.to_str())
            .unwrap_or_default()
    };
    let first = word(0);
    if first.starts_with('{')
        || first.starts_with(env_vars::START_SESSION_RESPONSE)
        || word(2) == START_SESSION
    {
        return true;
    }
    let ours = [
        "ssh",
        "connect",
        "version",
        "help",
        "-h",
        "--help",
        "--verbose",
        "--log",
        "--log-file",
    ]
    .contains(&first)
        || first.starts_with("--log-file=")
        || (first.starts_with("-v") && first[1..].bytes().all(|letter| letter == b'v'))
        || is_long_version(words);
    !ours
}

/// `--version --verbose`: the version of our own.
pub(crate) fn is_long_version(words: &[OsString]) -> bool {
    matches!(words, [version, verbose] if version == "--version" && (verbose == "--verbose" || verbose == "-v"))
}

/// The name of the environment variable with the response, if that is what the first word is.
pub(crate) fn response_variable(words: &[OsString]) -> Option<&OsStr> {
    let first = words.first()?;
    let is_name = first
        .as_encoded_bytes()
        .starts_with(env_vars::START_SESSION_RESPONSE.as_bytes());
    is_name.then_some(first)
}

/// What the words ask for.
#[derive(Debug)]
pub(crate) enum Call {
    /// Print this on standard output and be done.
    Text(String),
    /// Run a session.
    Start(Box<SessionSettings>),
}

/// Reads the words after the program's name; `response` is what stood in the environment variable that
/// [`response_variable`] names.
pub(crate) fn read(
    words: &[OsString],
    response: Option<OsString>,
    variables: Variables<'_>,
) -> Call {
    match words {
        [] => Call::Text(INSTALLED.to_owned()),
        [version] if version == "--version" => Call::Text(format!("{CLIENT_VERSION}\n")),
        [operation] | [operation, _] => Call::Text(format!(
            "\nUnknown operation {}. \nUse session-manager-plugin --version to check the version.\n\n",
            operation.to_string_lossy()
        )),
        [_, _, operation, ..] if operation != START_SESSION => {
            Call::Text("Invalid Operation".to_owned())
        }
        _ => match start(words, response, variables) {
            Ok(settings) => Call::Start(Box::new(settings)),
            Err(reason) => Call::Text(cannot_start(&reason)),
        },
    }
}

/// The text for any session that could not be started.
pub(crate) fn cannot_start(reason: &str) -> String {
    format!("Cannot perform start session: {}\n", one_line(reason))
}

/// The text at the start of every session, before its connection.
pub(crate) fn starting(shown_id: &str) -> String {
    format!("\nStarting session with SessionId: {shown_id}\n")
}

/// The text at the end of a session that was gone when its lost connection was to be resumed.
pub(crate) fn timed_out(shown_id: &str) -> String {
    format!("Session: {shown_id} timed out.\n")
}

/// The text at the end of every session. `reason` is the service's or the agent's, where they gave one.
pub(crate) fn ending(shown_id: &str, reason: &str) -> String {
    if reason.is_empty() {
        format!("\n\nExiting session with sessionId: {shown_id}.\n\n")
    } else {
        format!("\n\nSessionId: {shown_id} : {reason}\n\n")
    }
}

fn start(
    words: &[OsString],
    response: Option<OsString>,
    variables: Variables<'_>,
) -> Result<SessionSettings, String> {
    let (place, text) = response_text(words, response)?;
    let mut response = Response::parse(&text).map_err(|fault| format!("{place} {fault}"))?;
    let mut faults = Vec::new();
    let session_id = response.require_text("SessionId", &mut faults);
    let stream_url = response.require_text("StreamUrl", &mut faults);
    let token = Secret::new(response.require_text("TokenValue", &mut faults));
    if faults.is_empty() && token.expose().is_empty() {
        faults.push("TokenValue is empty".to_owned());
    }
    if !faults.is_empty() {
        return Err(format!("in {place}, {}", faults.join(", ")));
    }
    let rest = rest(words)?;
    let mut mistakes = Mistakes::default();
    // `aws ecs execute-command` names that of the environment too, where keys in the environment come before it.
    let default = variables.raw(env_vars::AWS_PROFILE);
    let profile = rest
        .profile
        .filter(|profile| default.as_ref() != Some(profile));
    let file = ConfigFile::read(variables, &mut mistakes);
    let args = NetworkArgs::default();
    let network = Network::read(&args, profile.as_deref(), variables, &file, &mut mistakes);
    let args = BehaviourArgs::default();
    let behaviour = Behaviour::read(&args, variables, &file, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes.sentence());
    }
    let region = api::region(rest.region, &stream_url);
    let stream_url = StreamUrl::parse(&stream_url, &network.policy).map_err(|error| {
        let reason = refusal(&error);
        format!("in {place}, StreamUrl cannot be used: {reason}")
    })?;
    Ok(SessionSettings {
        start: SessionStart {
            session_id,
            stream_url,
            token,
        },
        target: rest.request.target,
        client_id: None,
        api: ApiSettings {
            region,
            profile,
            endpoint: rest.endpoint,
            network,
        },
        behaviour,
        port: rest.request.port,
    })
}

/// The response and what to call the place where it stood.
fn response_text(
    words: &[OsString],
    variable: Option<OsString>,
) -> Result<(String, Secret), String> {
    let Some(name) = response_variable(words) else {
        return Ok(("argument 1".to_owned(), Secret::new(utf_8(words, 1)?)));
    };
    // With an equals sign the value itself stands in the argument, and must not be repeated.
    let name = name.to_string_lossy();
    if name.contains('=') {
        return Err(
            "argument 1 is an assignment; the name of the environment variable alone belongs there"
                .to_owned(),
        );
    }
    let place = format!("the environment variable {name}");
    let text = variable
        .ok_or_else(|| format!("{place}, which argument 1 names, is not set"))?
        .into_string()
        .map_err(|_| format!("{place} is not UTF-8 text"))?;
    Ok((place, Secret::new(text)))
}

/// What stands behind the operation.
struct Rest {
    region: Option<String>,
    profile: Option<String>,
    request: Request,
    endpoint: Option<String>,
}

/// What matters of the request.
#[derive(Default)]
struct Request {
    target: Option<String>,
    port: PortRequest,
}

/// Reads profile, request and endpoint. The endpoint is what the caller reached its own API by, and is left aside where
/// that is another than ours.
fn rest(words: &[OsString]) -> Result<Rest, String> {
    let region = Some(utf_8(words, 2)?).filter(|region| !region.is_empty());
    let mut profile = Some(utf_8(words, 4)?).filter(|profile| !profile.is_empty());
    let mut request_at = 5;
    if profile
        .as_deref()
        .is_some_and(|profile| profile.starts_with('{'))
    {
        // Callers that build a command line for a shell lose an empty profile there, and all behind it moves up.
        profile = None;
        request_at = 4;
    }
    let text = utf_8(words, request_at)?;
    let request = if text.is_empty() {
        Request::default()
    } else {
        request(&text)
            .map_err(|fault| format!("argument {request_at} (the StartSession request) {fault}"))?
    };
    let endpoint = utf_8(words, request_at + 1)?;
    Ok(Rest {
        region,
        profile,
        request,
        endpoint: endpoint::systems_manager(&endpoint).map(str::to_owned),
    })
}

fn request(text: &str) -> Result<Request, String> {
    let mut request = Response::parse(&Secret::new(text))?;
    let target = match request.take("Target") {
        None => None,
        Some(Value::String(target)) => Some(target).filter(|target| !target.is_empty()),
        Some(other) => return Err(format!("has a Target that is {}, not text", kind(&other))),
    };
    let document = request.take("DocumentName");
    let parameters = request.take("Parameters").unwrap_or_default();
    let port = PortRequest::new(document.as_ref().and_then(Value::as_str), None, &parameters);
    Ok(Request { target, port })
}

/// An argument by its number, the program's name being number 0; empty when there is none.
fn utf_8(words: &[OsString], number: usize) -> Result<String, String> {
    let Some(word) = words.get(number - 1) else {
        return Ok(String::new());
    };
    let text = word
        .to_str()
        .ok_or_else(|| format!("argument {number} is not UTF-8 text"))?;
    Ok(text.to_owned())
}

const START_SESSION: &str = "StartSession";
const INSTALLED: &str = "\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\n\n";

#[cfg(test)]
mod tests;
