//! Mistakes in the arguments of `connect`.

use crate::plugin::command;
use crate::plugin::run;

#[tokio::test]
async fn all_mistakes_are_reported_at_once_on_standard_error() {
    let finished = run(command(&[
        "connect",
        "--stream-url",
        "http://x",
        "--client-id",
        "7",
        "--parameters",
        "3",
    ]))
    .await;
    assert_eq!(finished.status, Some(2));
    assert_eq!(finished.stdout, "");
    for option in [
        "--session-id",
        "--stream-url",
        "--token-value",
        "--client-id",
        "--parameters",
    ] {
        assert!(
            finished.stderr.contains(&format!("  {option}: ")),
            "{finished:?}"
        );
    }
}

#[tokio::test]
async fn an_unknown_option_is_named() {
    let finished = run(command(&["connect", "--sesion-id", "x"])).await;
    assert_eq!((finished.status, finished.stdout.as_str()), (Some(2), ""));
    assert!(finished.stderr.contains("--sesion-id"), "{finished:?}");
}

#[tokio::test]
async fn help_is_no_mistake() {
    for words in [&["--help"][..], &["help"], &["-h"], &["connect", "--help"]] {
        let finished = run(command(words)).await;
        assert_eq!(
            (finished.status, finished.stderr.as_str()),
            (Some(0), ""),
            "{words:?}"
        );
        assert!(
            finished.stdout.contains("Usage: session-manager-plugin"),
            "{finished:?}"
        );
    }
}

#[tokio::test]
async fn a_plain_stream_to_another_machine_needs_leave() {
    let response = r#"{"SessionId":"s","StreamUrl":"ws://example.invalid/","TokenValue":"t"}"#;
    let refused = run(command(&["connect", response])).await;
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("without TLS"), "{refused:?}");
    let allowed = run(command(&["connect", response, "--allow-plain"])).await;
    assert_eq!(allowed.status, Some(1));
    assert!(allowed.stderr.contains("example.invalid"), "{allowed:?}");
}
