use clap::Parser as _;

use super::*;
use crate::args::Args;
use crate::args::Command;

const TARGET: [&str; 2] = ["--target", "i-0123456789abcdef0"];

fn resolve_words(words: &[&str]) -> Result<SshSettings, String> {
    let words = [&["session-manager-plugin", "ssh"], words].concat();
    let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
    let Command::Ssh(args) = args.command else {
        panic!("not ssh")
    };
    resolve(*args, Variables::new(&|_| None)).map_err(|mistakes| mistakes.list("ssh"))
}

fn with_target(words: &[&str]) -> Result<SshSettings, String> {
    resolve_words(&[&TARGET, words].concat())
}

fn parameters_of(json: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
    Ok(with_target(&["--parameters", json])?.request.parameters)
}

#[test]
fn a_target_is_enough() {
    let settings = with_target(&[]).unwrap();
    let expected = StartRequest {
        target: "i-0123456789abcdef0".to_owned(),
        ..StartRequest::default()
    };
    assert_eq!(settings.request, expected);
    assert_eq!(settings.port, PortRequest::default());
}

#[test]
fn values_are_texts_or_lists_of_texts() {
    let parameters = parameters_of(r#"{"a": "1", "b": ["2", "3"], "c": []}"#).unwrap();
    let expected = [("a", vec!["1"]), ("b", vec!["2", "3"]), ("c", vec![])];
    let expected: BTreeMap<String, Vec<String>> = expected
        .into_iter()
        .map(|(name, values)| {
            let values = values.into_iter().map(str::to_owned).collect();
            (name.to_owned(), values)
        })
        .collect();
    assert_eq!(parameters, expected);
}

#[test]
fn other_values_are_explained_by_name_and_not_repeated() {
    let error = parameters_of(
        r#"{"a": 4711, "b": true, "c": null, "d": {"x": "hidden"}, "e": ["x", 4711]}"#,
    )
    .unwrap_err();
    for words in [
        "--parameters: a is a number; values are texts, so put it in quotation marks",
        "--parameters: b is a truth value; values are texts",
        "--parameters: c is null, not text",
        "--parameters: d is an object, not text",
        "--parameters: e has a value that is a number; values are texts",
    ] {
        assert!(error.contains(words), "{words}\n{error}");
    }
    assert!(
        !error.contains("4711") && !error.contains("hidden"),
        "{error}"
    );
    let error = parameters_of("portNumber=22").unwrap_err();
    assert!(
        error.contains(r#"such as {"portNumber": ["22"]}"#),
        "{error}"
    );
    let error = parameters_of("[]").unwrap_err();
    assert!(error.contains("is a list, not a JSON object"), "{error}");
}

#[test]
fn all_mistakes_are_reported_at_once_and_by_name() {
    let long = "x".repeat(257);
    let error = resolve_words(&[
        "--document-name",
        "my document",
        "--parameters",
        "7",
        "--reason",
        &long,
        "--profile",
        "",
        "--region",
        "US East",
        "--endpoint-url",
        "https://ecs.us-east-1.amazonaws.com",
        "--allow-stream-host",
        "a:1",
        "--stream-host",
        "a b",
    ])
    .unwrap_err();
    for name in [
        "--target: is missing; it is i-…",
        "--document-name: is not a document's name",
        "--parameters: is a number, not a JSON object",
        "--reason: has 257 characters",
        "--profile: is not a name",
        "--region: is not a region's name",
        "--endpoint-url: is the endpoint of another service",
        "--allow-stream-host: ",
        "--stream-host: ",
    ] {
        assert!(error.contains(&format!("  {name}")), "{name}\n{error}");
    }
    assert_eq!(error.lines().count(), 11, "{error}");
}

#[test]
fn a_forward_is_known_by_its_document_and_local_port() {
    let document = ["--document-name", "AWS-StartPortForwardingSession"];
    let parameters = r#"{"portNumber": "80", "localPortNumber": "8080"}"#;
    let words = [&document[..], &["--parameters", parameters]].concat();
    let port = with_target(&words).unwrap().port;
    assert!(port.is_port);
    let local_end = ssm_session_proto::LocalEnd::Port(8080);
    assert_eq!(port.local_end, Some(local_end));
}

#[test]
fn only_forwards_are_restarted_and_only_where_there_is_time_for_it() {
    for name in [
        "AWS-StartPortForwardingSession",
        "AWS-StartPortForwardingSessionToRemoteHost",
        "Own-Document",
    ] {
        let words = ["--restart", "--document-name", name];
        assert!(with_target(&words).unwrap().restart, "{name}");
    }
    for words in [
        &["--restart"][..],
        &["--restart", "--document-name", "AWS-StartSSHSession"],
        &[
            "--restart",
            "--document-name",
            "AWS-StartInteractiveCommand",
        ],
    ] {
        let error = with_target(words).unwrap_err();
        let line = "  --restart: is for sessions that forward a port; name one's document";
        assert!(error.contains(line), "{error}");
    }
    let words = [
        "--restart",
        "--document-name",
        "Own-Document",
        "--resume-for",
        "0",
    ];
    let error = with_target(&words).unwrap_err();
    assert!(
        error.contains("  --restart: tries for as long as --resume-for says"),
        "{error}"
    );
}

#[test]
fn how_the_session_behaves_is_taken_along() {
    let settings = with_target(&["--escape-char", "none", "--keepalive", "5"]).unwrap();
    assert_eq!(settings.behaviour.escape.byte(), None);
    assert_eq!(settings.behaviour.timeouts.keepalive.as_secs(), 5);
    let error = with_target(&["--keepalive", "x", "--escape-char", "~~"]).unwrap_err();
    assert!(
        error.contains("  --keepalive: ") && error.contains("  --escape-char: "),
        "{error}"
    );
}

#[test]
fn no_debug_output_holds_the_parameters() {
    let words = [
        "session-manager-plugin",
        "ssh",
        "--parameters",
        r#"{"x":"hidden"}"#,
    ];
    let args = Args::try_parse_from(words).unwrap();
    assert!(!format!("{args:?}").contains("hidden"));
}
