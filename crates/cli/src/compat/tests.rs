use ssm_session_proto::LocalEnd;

use super::*;

const RESPONSE: &str = r#"{"SessionId":"s-1","StreamUrl":"wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/s-1?role=publish_subscribe","TokenValue":"AAEAA"}"#;
const REQUEST: &str =
    r#"{"Target":"i-0123456789abcdef0","DocumentName":"SSM-SessionManagerRunShell"}"#;

/// An environment without any variable.
const NOTHING: Variables<'static> = Variables::new(&|_| None);

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn text(given: &[&str]) -> String {
    match read(&words(given), None, NOTHING) {
        Call::Text(text) => text,
        Call::Start(settings) => panic!("{settings:?}"),
    }
}

fn settings(given: &[&str]) -> SessionSettings {
    match read(&words(given), None, NOTHING) {
        Call::Start(settings) => *settings,
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
        &["ssh"][..],
        &["ssh", "--target", "i-0123456789abcdef0"],
        &["connect"],
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
        &["--log", "connect"],
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
    let unknown =
        "\nUnknown operation x. \nUse session-manager-plugin --version to check the version.\n\n";
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
        assert_eq!(settings.api.region.as_deref(), Some("us-east-1"));
        assert_eq!(
            settings.api.profile.as_deref(),
            (count > 3).then_some("dev")
        );
        assert_eq!(
            settings.target.as_deref(),
            (count > 4).then_some("i-0123456789abcdef0")
        );
    }
}

#[test]
fn an_endpoint_is_taken_where_systems_manager_is_behind_it_and_else_left_aside() {
    for (endpoint, taken) in [
        ("https://ssm.us-east-1.amazonaws.com", true),
        ("http://127.0.0.1:4566", true),
        ("", false),
        ("https://ecs.us-east-1.amazonaws.com", false),
        ("wss://ssmmessages.us-east-1.amazonaws.com/y?z", false),
        ("nonsense", false),
    ] {
        let settings = settings(&[RESPONSE, "us-east-1", "StartSession", "", REQUEST, endpoint]);
        let expected = taken.then_some(endpoint);
        assert_eq!(settings.api.endpoint.as_deref(), expected);
    }
    let shifted = settings(&[
        RESPONSE,
        "",
        "StartSession",
        REQUEST,
        "http://127.0.0.1:4566",
    ]);
    assert_eq!(
        shifted.api.endpoint.as_deref(),
        Some("http://127.0.0.1:4566")
    );
}

#[test]
fn a_region_that_is_none_is_that_of_the_stream() {
    let response = RESPONSE.replace("us-east-1", "eu-west-1");
    for region in ["", "aws-global"] {
        let settings = settings(&[&response, region, "StartSession"]);
        assert_eq!(settings.api.region.as_deref(), Some("eu-west-1"));
    }
}

#[test]
fn the_environment_says_how_aws_is_reached() {
    let start = |name: &str, value: &str| {
        let (name, value) = (name.to_owned(), value.to_owned());
        let look_up = |asked: &str| (asked == name).then(|| value.clone().into());
        let given = words(&[RESPONSE, "us-east-1", "StartSession"]);
        match read(&given, None, Variables::new(&look_up)) {
            Call::Text(text) => Err(text),
            Call::Start(settings) => Ok(*settings),
        }
    };
    let skips = |value| {
        let settings = start("SSM_PLUGIN_SKIP_CLIENT_CONFIGURE", value);
        settings.unwrap().api.network.unsigned
    };
    assert!(skips("true") && !skips("") && !skips("false"));
    let silence = start("SSM_SESSION_SILENCE", "20").unwrap();
    assert_eq!(silence.behaviour.timeouts.silence.as_secs(), 20);
    for (name, value) in [
        ("AWS_CA_BUNDLE", "/nonexistent/ca.pem"),
        ("SSL_CERT_FILE", "/nonexistent/ca.pem"),
        ("SSM_SESSION_CONFIG", "/nonexistent/config.toml"),
        ("SSM_SESSION_ALLOW_STREAM_HOSTS", "a b"),
        ("SSM_SESSION_STREAM_HOST", "a b"),
    ] {
        let text = start(name, value).unwrap_err();
        assert!(text.contains(value), "{text}");
        let expected = format!("Cannot perform start session: {name}: ");
        assert!(text.starts_with(&expected), "{text}");
    }
    for (name, value) in [
        ("SSM_SESSION_ESCAPE_CHAR", "ab"),
        ("SSM_SESSION_KEEPALIVE", "0"),
        ("SSM_SESSION_SILENCE", "15"),
        ("SSM_SESSION_RESUME_FOR", "1 h"),
    ] {
        let text = start(name, value).unwrap_err();
        let expected = format!("Cannot perform start session: {name}: ");
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[test]
fn a_stream_may_lead_where_the_environment_allows_it() {
    let response = RESPONSE.replace("ssmmessages.us-east-1.amazonaws.com", "relay.corp");
    let start = |hosts: Option<&'static str>| {
        let look_up = move |name: &str| {
            hosts
                .filter(|_| name == env_vars::ALLOW_STREAM_HOSTS)
                .map(Into::into)
        };
        let given = words(&[&response, "us-east-1", "StartSession"]);
        match read(&given, None, Variables::new(&look_up)) {
            Call::Text(text) => Err(text),
            Call::Start(settings) => Ok(settings.start.stream_url.host().to_owned()),
        }
    };
    let refused = start(None).unwrap_err();
    assert!(
        refused.contains("SSM_SESSION_ALLOW_STREAM_HOSTS"),
        "{refused}"
    );
    assert_eq!(start(Some("other, *.corp")).unwrap(), "relay.corp");
}

#[test]
fn a_profile_that_the_environment_names_anyway_is_not_put_before_its_keys() {
    let words = words(&[RESPONSE, "us-east-1", "StartSession", "work", REQUEST]);
    for (default, profile) in [("work", None), ("other", Some("work"))] {
        let variable = |name: &str| (name == "AWS_PROFILE").then(|| default.into());
        match read(&words, None, Variables::new(&variable)) {
            Call::Start(settings) => assert_eq!(settings.api.profile.as_deref(), profile),
            Call::Text(text) => panic!("{text}"),
        }
    }
}

#[test]
fn an_empty_profile_that_a_shell_dropped_is_noticed() {
    let settings = settings(&[RESPONSE, "us-east-1", "StartSession", REQUEST, "https://x"]);
    assert_eq!(settings.api.profile, None);
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
fn a_request_names_its_local_end_in_its_parameters() {
    let request = r#"{"Target":"i-0123456789abcdef0","DocumentName":"AWS-StartPortForwardingSession","Parameters":{"portNumber":["80"],"localPortNumber":["8080"]}}"#;
    let port = settings(&[RESPONSE, "us-east-1", "StartSession", "", request]).port;
    assert!(port.is_port);
    assert_eq!(port.local_end, Some(LocalEnd::Port(8080)));
    let shell = settings(&[RESPONSE, "us-east-1", "StartSession", "", REQUEST]).port;
    assert_eq!(shell, PortRequest::default());
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
        read(&given, Some(RESPONSE.into()), NOTHING),
        Call::Start(_)
    ));
    let Call::Text(text) = read(&given, None, NOTHING) else {
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
    let Call::Text(text) = read(&given, None, NOTHING) else {
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
