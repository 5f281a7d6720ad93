use clap::Parser as _;

use super::*;
use crate::args::Args;
use crate::args::Command;

const RESPONSE: &str = r#"{"SessionId":"s-1","StreamUrl":"wss://ssmmessages.us-east-1.amazonaws.com/x","TokenValue":"AAEAA"}"#;
const OPTIONS: [&str; 4] = [
    "--session-id",
    "s-1",
    "--stream-url",
    "wss://ssmmessages.us-east-1.amazonaws.com/x",
];

#[derive(Default)]
struct Around<'a> {
    response: Option<&'a str>,
    token: Option<&'a str>,
    stdin: &'a [u8],
}

fn resolve_in(around: &mut Around<'_>, words: &[&str]) -> Result<SessionSettings, String> {
    let words = [&["session-manager-plugin", "connect"], words].concat();
    let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
    let Command::Connect(args) = args.command else {
        panic!("not connect")
    };
    let (response, token) = (
        around.response.map(OsString::from),
        around.token.map(OsString::from),
    );
    let variables = Variables::new(&|_| None);
    resolve(*args, response, token, variables, &mut around.stdin)
        .map_err(|mistakes| mistakes.list("connect"))
}

fn resolve_words(words: &[&str]) -> Result<SessionSettings, String> {
    resolve_in(&mut Around::default(), words)
}

fn with_options(more: &[&str]) -> Vec<String> {
    OPTIONS
        .iter()
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect()
}

#[test]
fn a_json_argument_is_enough() {
    let settings = resolve_words(&[RESPONSE]).unwrap();
    assert_eq!(settings.start.session_id, "s-1");
    assert_eq!(
        settings.start.stream_url.host(),
        "ssmmessages.us-east-1.amazonaws.com"
    );
    assert_eq!(settings.start.token.expose(), "AAEAA");
}

#[test]
fn options_are_enough_and_may_complete_the_json() {
    let words = with_options(&["--token-value", "AAEAA", "--target", "i-0123456789abcdef0"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let settings = resolve_words(&words).unwrap();
    assert_eq!(settings.target.as_deref(), Some("i-0123456789abcdef0"));
    let id = "01234567-89ab-cdef-0123-456789abcdef";
    let settings = resolve_words(&[
        RESPONSE,
        "--client-id",
        id,
        "--region",
        "eu-west-1",
        "--profile",
        "p",
    ])
    .unwrap();
    assert_eq!(settings.client_id, Some(Uuid::parse_str(id).unwrap()));
    assert_eq!(settings.api.region.as_deref(), Some("eu-west-1"));
    assert_eq!(settings.api.profile.as_deref(), Some("p"));
}

#[test]
fn the_response_may_stand_in_the_environment_and_is_not_mixed_with_other_sessions() {
    let mut around = Around {
        response: Some(RESPONSE),
        ..Around::default()
    };
    assert_eq!(
        resolve_in(&mut around, &[]).unwrap().start.session_id,
        "s-1"
    );
    let error = resolve_in(&mut around, &["--session-id", "s-2"]).unwrap_err();
    assert!(error.contains("--stream-url: is missing"), "{error}");
}

#[test]
fn the_token_comes_from_the_environment_unless_an_option_has_it() {
    let words = OPTIONS;
    let mut around = Around {
        token: Some("from-environment"),
        ..Around::default()
    };
    assert_eq!(
        resolve_in(&mut around, &words)
            .unwrap()
            .start
            .token
            .expose(),
        "from-environment"
    );
    let words = with_options(&["--token-value", "from-option"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(
        resolve_in(&mut around, &words)
            .unwrap()
            .start
            .token
            .expose(),
        "from-option"
    );
}

#[test]
fn the_token_is_the_first_line_of_standard_input_and_the_rest_is_left() {
    let words = with_options(&["--token-value", "-"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut around = Around {
        stdin: b"AAEAA\r\necho hello\n",
        ..Around::default()
    };
    assert_eq!(
        resolve_in(&mut around, &words)
            .unwrap()
            .start
            .token
            .expose(),
        "AAEAA"
    );
    assert_eq!(around.stdin, b"echo hello\n");
    let error = resolve_in(&mut Around::default(), &words).unwrap_err();
    assert!(error.contains("--token-value: is empty"), "{error}");
}

#[test]
fn the_json_is_read_from_standard_input_up_to_the_end_of_its_line() {
    let text = format!("{}\necho hello\n", RESPONSE.replace(',', ",\n  "));
    let mut around = Around {
        stdin: text.as_bytes(),
        ..Around::default()
    };
    assert_eq!(
        resolve_in(&mut around, &["-"]).unwrap().start.session_id,
        "s-1"
    );
    assert_eq!(around.stdin, b"echo hello\n");
    let mut around = Around {
        stdin: b"{} more\n",
        ..Around::default()
    };
    let error = resolve_in(&mut around, &["-"]).unwrap_err();
    assert!(
        error.contains("JSON on standard input: goes on behind the object"),
        "{error}"
    );
}

#[test]
fn all_mistakes_are_reported_at_once_and_by_name() {
    let error = resolve_words(&[
        "--stream-url",
        "https://example.com",
        "--client-id",
        "7",
        "--parameters",
        "[]",
        "--session-type",
        "Shell",
        "--region",
        "US East",
        "--endpoint-url",
        "ssm",
        "--target",
        "",
        "--document-name",
        "",
        "--profile",
        "",
    ])
    .unwrap_err();
    for name in [
        "--session-id: is missing",
        "--stream-url: the stream URL must begin with wss://",
        "--token-value: is missing, and SSM_SESSION_TOKEN is not set",
        "--client-id: is not a UUID",
        "--parameters: is a list, not a JSON object",
        "--session-type: is not Standard_Stream, InteractiveCommands, NonInteractiveCommands or Port",
        "--region: is not a region's name",
        "--endpoint-url: is not a URL",
        "--target: is not a name",
        "--document-name: is not a name",
        "--profile: is not a name",
    ] {
        assert!(error.contains(&format!("  {name}")), "{name}\n{error}");
    }
    assert_eq!(error.lines().count(), 13, "{error}");
}

#[test]
fn nothing_at_all_names_all_that_is_needed() {
    let error = resolve_words(&[]).unwrap_err();
    for option in ["--session-id", "--stream-url", "--token-value"] {
        assert!(
            error.contains(&format!("  {option}: is missing")),
            "{error}"
        );
    }
}

#[test]
fn what_is_given_twice_is_a_mistake() {
    let error =
        resolve_words(&[RESPONSE, "--session-id", "s-2", "--token-value", "x"]).unwrap_err();
    assert!(
        error.contains("--session-id: is given in the JSON as SessionId too"),
        "{error}"
    );
    assert!(
        error.contains("--token-value: is given in the JSON as TokenValue too"),
        "{error}"
    );
    let error = resolve_words(&[RESPONSE, RESPONSE]).unwrap_err();
    assert!(error.contains("JSON: is given more than once"), "{error}");
    assert!(!error.contains("AAEAA"), "{error}");
}

#[test]
fn plain_streams_to_other_machines_need_leave() {
    let response = RESPONSE.replace("wss:", "ws:");
    let error = resolve_words(&[&response]).unwrap_err();
    assert!(
        error.contains(
            "--stream-url: the stream URL leads to ssmmessages.us-east-1.amazonaws.com without TLS"
        ),
        "{error}"
    );
    resolve_words(&[&response, "--allow-plain"]).unwrap();
    resolve_words(&[&response.replace("ssmmessages.us-east-1.amazonaws.com", "127.0.0.1:9")])
        .unwrap();
}

#[test]
fn faults_within_the_json_are_named() {
    let error =
        resolve_words(&[r#"{"SessionId": 1, "StreamUrl": "", "Parameters": 3}"#]).unwrap_err();
    assert!(
        error.contains("JSON: SessionId is a number, not text"),
        "{error}"
    );
    assert!(error.contains("--stream-url: is empty"), "{error}");
    assert!(error.contains("--token-value: is missing"), "{error}");
    assert!(
        error.contains("Parameters in the JSON: is a number, not a JSON object"),
        "{error}"
    );
    let error = resolve_words(&["{"]).unwrap_err();
    assert!(error.contains("JSON: is not JSON: EOF"), "{error}");
}

#[test]
fn a_stream_that_leads_elsewhere_is_refused_with_the_ways_to_allow_it() {
    let response = RESPONSE.replace("ssmmessages.us-east-1.amazonaws.com", "host.example");
    let error = resolve_words(&[&response]).unwrap_err();
    for words in [
        "host.example",
        "--allow-stream-host",
        "SSM_SESSION_ALLOW_STREAM_HOSTS",
        "configuration file",
    ] {
        assert!(error.contains(words), "{words}\n{error}");
    }
    resolve_words(&[&response, "--allow-stream-host", "*.example"]).unwrap();
    let replaced = resolve_words(&[&response, "--stream-host", "relay.corp:8443"]).unwrap();
    assert_eq!(replaced.start.stream_url.host(), "relay.corp");
    assert_eq!(replaced.start.stream_url.port(), 8443);
}

#[test]
fn the_region_may_come_from_the_stream_url_and_the_endpoint_is_kept() {
    let settings = resolve_words(&[RESPONSE, "--endpoint-url", "http://127.0.0.1:1"]).unwrap();
    assert_eq!(settings.api.region.as_deref(), Some("us-east-1"));
    assert_eq!(settings.api.endpoint.as_deref(), Some("http://127.0.0.1:1"));
    // The host that replaces another says nothing of the region.
    let settings = resolve_words(&[RESPONSE, "--stream-host", "10.0.0.1"]).unwrap();
    assert_eq!(settings.api.region.as_deref(), Some("us-east-1"));
}
