//! The texts and statuses that programs which start AWS's plugin rely on.

use crate::plugin::Finished;
use crate::plugin::command;
use crate::plugin::run;

async fn run_words(words: &[&str]) -> Finished {
    run(command(words)).await
}

#[tokio::test]
async fn fixed_answers_go_to_standard_output_to_the_letter_with_status_0() {
    let installed = "\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\n\n";
    let unknown = |operation: &str| {
        format!(
            "\nUnknown operation {operation}. \nUse session-manager-plugin --version to check the version.\n\n"
        )
    };
    let rows: [(&[&str], String); 9] = [
        (&[], installed.to_owned()),
        (&["--version"], "1.2.764.0\n".to_owned()),
        (&["nonsense"], unknown("nonsense")),
        (&["nonsense", "more"], unknown("nonsense")),
        (&["--version", "more"], unknown("--version")),
        (&["{}", "us-east-1", "ResumeSession"], "Invalid Operation".to_owned()),
        (&["{}", "r", "", "p", "{}"], "Invalid Operation".to_owned()),
        (
            &["{}", "us-east-1", "StartSession"],
            "Cannot perform start session: in argument 1, SessionId is missing, StreamUrl is missing, TokenValue is \
             missing\n"
                .to_owned(),
        ),
        (
            &["AWS_SSM_START_SESSION_RESPONSE", "us-east-1", "StartSession", "", "{}", ""],
            "Cannot perform start session: the environment variable AWS_SSM_START_SESSION_RESPONSE, which argument 1 \
             names, is not set\n"
                .to_owned(),
        ),
    ];
    for (words, expected) in rows {
        let finished = run_words(words).await;
        assert_eq!(finished.stdout, expected, "{words:?}");
        assert_eq!(finished.stderr, "", "{words:?}");
        assert_eq!(finished.status, Some(0), "{words:?}");
    }
}

#[tokio::test]
async fn the_version_is_in_the_range_that_the_cli_and_the_toolkits_take() {
    let version = run_words(&["--version"]).await.stdout;
    let parts: Vec<u32> = version
        .trim_end()
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    assert_eq!(parts.len(), 4);
    assert!(
        parts >= vec![1, 2, 764, 0] && parts < vec![2, 0, 0, 0],
        "{version}"
    );
}

#[tokio::test]
async fn our_own_version_is_behind_verbose() {
    let short = run_words(&["--version", "--verbose"]).await;
    assert!(short.stdout.starts_with(concat!(
        "session-manager-plugin ",
        env!("CARGO_PKG_VERSION")
    )));
    assert_eq!(short.stdout, run_words(&["version"]).await.stdout);
    assert_eq!(short.status, Some(0));
}

#[tokio::test]
async fn whatever_is_wrong_is_one_sentence_on_standard_output_with_status_0() {
    let good = r#"{"SessionId":"s","StreamUrl":"wss://127.0.0.1:1/x","TokenValue":"hidden"}"#;
    let rows: [&[&str]; 8] = [
        &["not json", "us-east-1", "StartSession"],
        &["[]", "us-east-1", "StartSession"],
        &[
            r#"{"SessionId":7,"StreamUrl":{},"TokenValue":"hidden"}"#,
            "us-east-1",
            "StartSession",
        ],
        &[
            r#"{"SessionId":"s","StreamUrl":"https://x","TokenValue":"hidden"}"#,
            "",
            "StartSession",
        ],
        &[
            r#"{"SessionId":"s","StreamUrl":"ws://example.com","TokenValue":"hidden"}"#,
            "",
            "StartSession",
        ],
        &[good, "us-east-1", "StartSession", "", "not json", ""],
        &[good, "us-east-1", "StartSession", "", r#"{"Target":7}"#, ""],
        &[
            "AWS_SSM_START_SESSION_RESPONSE={hidden}",
            "us-east-1",
            "StartSession",
        ],
    ];
    for words in rows {
        let finished = run_words(words).await;
        assert!(
            finished
                .stdout
                .starts_with("Cannot perform start session: "),
            "{words:?}: {finished:?}"
        );
        assert_eq!(
            finished.stdout.lines().count(),
            1,
            "{words:?}: {finished:?}"
        );
        assert!(
            !finished.stdout.contains("hidden"),
            "{words:?}: {finished:?}"
        );
        assert_eq!(
            (finished.stderr.as_str(), finished.status),
            ("", Some(0)),
            "{words:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_is_reported_behind_the_first_text() {
    let response = r#"{"SessionId":"s-1","StreamUrl":"wss://127.0.0.1:1/x","TokenValue":"hidden"}"#;
    let finished = run_words(&[response, "us-east-1", "StartSession"]).await;
    let expected = "\nStarting session with SessionId: s-1\nCannot perform start session: ";
    assert!(finished.stdout.starts_with(expected), "{finished:?}");
    assert!(finished.stdout.contains("127.0.0.1"), "{finished:?}");
    let advice = "; check the network, the firewall and the VPC endpoints\n";
    assert!(finished.stdout.ends_with(advice), "{finished:?}");
    assert_eq!((finished.stderr.as_str(), finished.status), ("", Some(0)));
}

#[tokio::test]
async fn a_token_in_place_of_the_session_id_is_not_printed() {
    let response =
        r#"{"SessionId":"hidden","StreamUrl":"wss://127.0.0.1:1/x","TokenValue":"hidden"}"#;
    let finished = run_words(&[response, "us-east-1", "StartSession"]).await;
    assert!(
        finished
            .stdout
            .starts_with("\nStarting session with SessionId: "),
        "{finished:?}"
    );
    assert!(!finished.stdout.contains("hidden"), "{finished:?}");
}
