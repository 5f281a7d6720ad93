//! The contract of AWS's session-manager-plugin with the programs that start it (`docs/PROTOCOL.md` 1.3).
//!
//! Its texts are matched by programs: they go to standard output, to the letter, and the status is 0.

use std::ffi::OsStr;
use std::ffi::OsString;

use serde_json::Value;
use ssm_session::PlainPolicy;
use ssm_session::SessionStart;
use ssm_session::StreamUrl;
use ssm_session_proto::CLIENT_VERSION;
use ssm_session_proto::Secret;
use ssm_session_terminal::one_line;

use crate::env_vars;
use crate::response::Response;
use crate::response::kind;
use crate::session::SessionSettings;

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
        "connect",
        "version",
        "help",
        "-h",
        "--help",
        "--verbose",
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
    Start(SessionSettings),
}

/// Reads the words after the program's name; `response` is what stood in the environment variable that
/// [`response_variable`] names.
pub(crate) fn read(words: &[OsString], response: Option<OsString>) -> Call {
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
        _ => match start(words, response) {
            Ok(settings) => Call::Start(settings),
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

/// The text at the end of every session. `reason` is the service's or the agent's, where they gave one.
pub(crate) fn ending(shown_id: &str, reason: &str) -> String {
    if reason.is_empty() {
        format!("\n\nExiting session with sessionId: {shown_id}.\n\n")
    } else {
        format!("\n\nSessionId: {shown_id} : {reason}\n\n")
    }
}

fn start(words: &[OsString], response: Option<OsString>) -> Result<SessionSettings, String> {
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
    let stream_url = StreamUrl::parse(&stream_url, PlainPolicy::Loopback)
        .map_err(|error| format!("in {place}, StreamUrl cannot be used: {error}"))?;
    let Rest {
        region,
        profile,
        target,
    } = rest(words)?;
    Ok(SessionSettings {
        start: SessionStart {
            session_id,
            stream_url,
            token,
        },
        target,
        client_id: None,
        region,
        profile,
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
    target: Option<String>,
}

/// Reads profile, request and endpoint. The endpoint, which may be empty, the ECS API's or a WebSocket's, is what the
/// caller reached its own API by: nothing in a session depends on it.
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
    let request = utf_8(words, request_at)?;
    let target = if request.is_empty() {
        None
    } else {
        target(&request)
            .map_err(|fault| format!("argument {request_at} (the StartSession request) {fault}"))?
    };
    Ok(Rest {
        region,
        profile,
        target,
    })
}

fn target(request: &str) -> Result<Option<String>, String> {
    let mut request = Response::parse(&Secret::new(request))?;
    match request.take("Target") {
        None => Ok(None),
        Some(Value::String(target)) => Ok(Some(target).filter(|target| !target.is_empty())),
        Some(other) => Err(format!("has a Target that is {}, not text", kind(&other))),
    }
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
mod tests {
    use super::*;

    const RESPONSE: &str = r#"{"SessionId":"s-1","StreamUrl":"wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/s-1?role=publish_subscribe","TokenValue":"AAEAA"}"#;
    const REQUEST: &str =
        r#"{"Target":"i-0123456789abcdef0","DocumentName":"SSM-SessionManagerRunShell"}"#;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn text(given: &[&str]) -> String {
        match read(&words(given), None) {
            Call::Text(text) => text,
            Call::Start(settings) => panic!("{settings:?}"),
        }
    }

    fn settings(given: &[&str]) -> SessionSettings {
        match read(&words(given), None) {
            Call::Start(settings) => settings,
            Call::Text(text) => panic!("{text}"),
        }
    }

    #[test]
    fn responses_variables_and_operations_are_the_plugins_calls() {
        for call in [
            &[][..],
            &["--version"],
            &["nonsense"],
            &["--version", "x"],
            &["-V"],
            &["-vx"],
            &["connector"],
            &["{}"],
            &["{}", "us-east-1", "Other"],
            &["AWS_SSM_START_SESSION_RESPONSE_2", "us-east-1"],
            &["connect", "us-east-1", "StartSession"],
            &["a", "b", "c", "d", "e", "f", "g", "h"],
        ] {
            assert!(is_drop_in(&words(call)), "{call:?}");
        }
    }

    #[test]
    fn our_own_commands_and_options_are_ours() {
        for call in [
            &["connect"][..],
            &["connect", "{}"],
            &["connect", "--region", "us-east-1", "{}"],
            &["version"],
            &["help"],
            &["help", "connect"],
            &["--help"],
            &["-h"],
            &["-v"],
            &["-vv", "connect"],
            &["--verbose", "connect"],
            &["--log-file", "x", "connect"],
            &["--log-file=x", "connect"],
            &["--version", "--verbose"],
            &["--version", "-v"],
        ] {
            assert!(!is_drop_in(&words(call)), "{call:?}");
        }
    }

    #[test]
    fn one_and_two_words_are_answered_with_the_plugins_texts() {
        assert_eq!(text(&[]), INSTALLED);
        assert_eq!(text(&["--version"]), "1.2.764.0\n");
        let unknown = "\nUnknown operation x. \nUse session-manager-plugin --version to check the version.\n\n";
        assert_eq!(text(&["x"]), unknown);
        assert_eq!(text(&["x", "y"]), unknown);
    }

    #[test]
    fn an_operation_other_than_start_session_is_invalid() {
        assert_eq!(
            text(&[RESPONSE, "us-east-1", "ResumeSession"]),
            "Invalid Operation"
        );
        assert_eq!(
            text(&["not json", "", "startsession", "", "", ""]),
            "Invalid Operation"
        );
    }

    #[test]
    fn every_number_of_words_from_three_on_starts_a_session() {
        let all = [
            RESPONSE,
            "us-east-1",
            "StartSession",
            "dev",
            REQUEST,
            "https://ssm.us-east-1.amazonaws.com",
            "more",
        ];
        for count in 3..=all.len() {
            let settings = settings(&all[..count]);
            assert_eq!(settings.start.session_id, "s-1");
            assert_eq!(settings.start.token.expose(), "AAEAA");
            assert_eq!(settings.region.as_deref(), Some("us-east-1"));
            assert_eq!(settings.profile.as_deref(), (count > 3).then_some("dev"));
            assert_eq!(
                settings.target.as_deref(),
                (count > 4).then_some("i-0123456789abcdef0")
            );
        }
    }

    #[test]
    fn any_endpoint_will_do() {
        for endpoint in [
            "",
            "https://ecs.us-east-1.amazonaws.com",
            "wss://x/y?z",
            "nonsense",
        ] {
            settings(&[RESPONSE, "us-east-1", "StartSession", "", REQUEST, endpoint]);
        }
    }

    #[test]
    fn an_empty_profile_that_a_shell_dropped_is_noticed() {
        let settings = settings(&[RESPONSE, "us-east-1", "StartSession", REQUEST, "https://x"]);
        assert_eq!(settings.profile, None);
        assert_eq!(settings.target.as_deref(), Some("i-0123456789abcdef0"));
    }

    #[test]
    fn a_session_id_may_be_nonsense() {
        let response = RESPONSE.replace(r#""SessionId":"s-1""#, r#""SessionId":"\u001b[2J""#);
        assert_eq!(
            settings(&[&response, "", "StartSession"]).start.session_id,
            "\x1b[2J"
        );
    }

    #[test]
    fn each_fault_of_a_response_is_named_with_its_place() {
        let start = |response: &str| text(&[response, "us-east-1", "StartSession"]);
        assert_eq!(
            start("{}"),
            "Cannot perform start session: in argument 1, SessionId is missing, StreamUrl is missing, TokenValue is missing\n"
        );
        assert_eq!(
            start(r#"{"SessionId":1,"StreamUrl":[],"TokenValue":null}"#),
            "Cannot perform start session: in argument 1, SessionId is a number, not text, StreamUrl is a list, not text, TokenValue is missing\n"
        );
        assert_eq!(
            start(r#"{"SessionId":"s","StreamUrl":"https://x","TokenValue":"t"}"#),
            "Cannot perform start session: in argument 1, StreamUrl cannot be used: the stream URL must begin with wss://\n"
        );
        assert!(
            start("nonsense").starts_with("Cannot perform start session: argument 1 is not JSON: ")
        );
        assert!(start("").starts_with("Cannot perform start session: argument 1 is not JSON: EOF"));
    }

    #[test]
    fn each_fault_of_a_request_is_named_with_its_place() {
        let start = |request: &str| text(&[RESPONSE, "us-east-1", "StartSession", "", request]);
        assert_eq!(
            start("[]"),
            "Cannot perform start session: argument 5 (the StartSession request) is a list, not a JSON object\n"
        );
        assert_eq!(
            start(r#"{"Target":5}"#),
            "Cannot perform start session: argument 5 (the StartSession request) has a Target that is a number, not text\n"
        );
        assert!(start("{").contains("argument 5 (the StartSession request) is not JSON: "));
    }

    #[test]
    fn a_response_in_the_environment_is_read_and_its_absence_named() {
        let given = words(&[
            "AWS_SSM_START_SESSION_RESPONSE_7",
            "us-east-1",
            "StartSession",
        ]);
        assert_eq!(
            response_variable(&given).unwrap(),
            "AWS_SSM_START_SESSION_RESPONSE_7"
        );
        assert!(matches!(
            read(&given, Some(RESPONSE.into())),
            Call::Start(_)
        ));
        let Call::Text(text) = read(&given, None) else {
            panic!("there is nothing to start")
        };
        assert_eq!(
            text,
            "Cannot perform start session: the environment variable AWS_SSM_START_SESSION_RESPONSE_7, which argument 1 names, is not set\n"
        );
    }

    #[test]
    fn an_assignment_in_place_of_a_name_is_not_repeated() {
        let text = text(&[
            "AWS_SSM_START_SESSION_RESPONSE={hidden}",
            "us-east-1",
            "StartSession",
        ]);
        assert!(text.contains("argument 1 is an assignment"), "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn an_argument_that_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt as _;

        let mut given = words(&[RESPONSE, "us-east-1", "StartSession", ""]);
        given.push(OsString::from_vec(vec![0xff]));
        let Call::Text(text) = read(&given, None) else {
            panic!("there is nothing to start")
        };
        assert_eq!(
            text,
            "Cannot perform start session: argument 5 is not UTF-8 text\n"
        );
    }

    #[test]
    fn the_texts_around_a_session_are_the_plugins() {
        assert_eq!(starting("s"), "\nStarting session with SessionId: s\n");
        assert_eq!(
            ending("s", ""),
            "\n\nExiting session with sessionId: s.\n\n"
        );
        assert_eq!(ending("s", "timed out"), "\n\nSessionId: s : timed out\n\n");
    }
}
