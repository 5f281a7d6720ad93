//! A crash of the program itself.
//!
//! Nothing in it crashes on demand. But where so few files may be open that the asynchronous runtime cannot have its pair
//! of sockets for signals, that runtime panics.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::plugin::Finished;
use crate::plugin::run;
use crate::plugin::shell_command;

/// A session of a program that may have so many files open.
async fn with_few_files(limit: u32, state: &Path) -> Finished {
    let response =
        r#"{"SessionId":"s-1","StreamUrl":"ws://127.0.0.1:1/","TokenValue":"the-token"}"#;
    let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
    let mut limited = shell_command(&script, &["connect", response]);
    limited.env("XDG_STATE_HOME", state).env("HOME", state);
    run(limited).await
}

#[tokio::test]
async fn a_crash_of_the_program_is_told_reported_and_255() {
    let directory = tempfile::tempdir().unwrap();
    let mut reported = None;
    for limit in 4..16 {
        let finished = with_few_files(limit, directory.path()).await;
        if finished.stderr.contains("has crashed") && finished.stderr.contains("crash-") {
            reported = Some(finished);
        }
    }
    let finished = reported.expect("a crash with one descriptor left for its report");
    assert_eq!(finished.status, Some(255), "{finished:?}");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    let (_, rest) = finished.stderr.split_once("the report ").unwrap();
    let path = Path::new(rest.split_once(" to ").unwrap().0);
    assert!(path.starts_with(directory.path()), "{finished:?}");
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let report = std::fs::read_to_string(path).unwrap();
    for part in ["used as: connect", "thread: main", "place: tokio-"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    for text in [&report, &finished.stderr] {
        assert!(!text.contains("the-token"), "{text}");
    }
}
