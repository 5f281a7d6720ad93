//! Crashes of this very program, which starts itself for that.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use ssm_session_terminal::Keys;
use ssm_session_terminal::RawMode;
use tracing_subscriber::filter::LevelFilter;

use super::*;
use crate::logging;
use crate::logging::Destination;
use crate::logging::LogSettings;

/// What the child does, and the folder for its report.
const ROLE: &str = "SSM_SESSION_TEST_CRASH_ROLE";
const FOLDER: &str = "SSM_SESSION_TEST_CRASH_FOLDER";
/// A file for its log.
const LOG: &str = "SSM_SESSION_TEST_CRASH_LOG";
/// What only the child's memory has of a session.
const PAYLOAD: &str = "SSM_SESSION_TEST_CRASH_PAYLOAD";

/// Not a test of its own: the program that crashes.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    let status = guard(folder, || {
        note_use("connect");
        logging::start(&LogSettings {
            destination: std::env::var_os(LOG).map(|path| Destination::File(path.into())),
            level: LevelFilter::DEBUG,
            filter: None,
            is_told: true,
        });
        tracing::info!(target: "ssm_session::driver", kind = "Standard_Stream", "established");
        tracing::trace!(target: "ssm_session::driver", "a frame");
        crash(&role);
        ExitStatus::Success
    });
    logging::finish();
    say(&format!("status {};", status.number()));
}

fn crash(role: &str) {
    let payload = || std::env::var(PAYLOAD).unwrap();
    match role {
        "literal" => panic!("the number is gone"),
        "payload" => panic!("unexpected {}", payload()),
        "thread" => {
            let thread = std::thread::Builder::new().name("standard output".to_owned());
            let thread = thread.spawn(|| panic!("in a thread")).unwrap();
            assert!(thread.join().is_err());
        }
        "task" => {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.build().unwrap();
            let task = async { tokio::spawn(async { panic!("in a task") }).await };
            assert!(runtime.block_on(task).unwrap_err().is_panic());
        }
        "terminal" => {
            let raw = RawMode::enter(Keys::Raw).unwrap();
            assert!(raw.is_some() && is_raw());
            panic!("at a terminal");
        }
        other => unreachable!("{other}"),
    }
}

/// Past the test harness, which captures what tests print.
fn say(text: &str) {
    rustix::io::write(rustix::stdio::stdout(), text.as_bytes()).unwrap();
}

fn words(role: &str) -> (PathBuf, [&str; 3], [(&str, &str); 2]) {
    let program = std::env::current_exe().unwrap();
    let words = ["--exact", "crash::tests::child", "--nocapture"];
    (program, words, [(ROLE, role), (PAYLOAD, "typed-password")])
}

/// Crashes without a terminal.
fn crashed(role: &str, folder: Option<&Path>) -> Output {
    let paths = folder.map(|folder| (FOLDER, folder.to_owned()));
    crashed_with(role, paths.as_slice())
}

fn crashed_with(role: &str, paths: &[(&str, PathBuf)]) -> Output {
    let (program, words, environment) = words(role);
    let mut command = Command::new(program);
    let paths = paths.iter().map(|(name, path)| (name, path));
    command.args(words).envs(environment).envs(paths);
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("status 255;"), "{output:?}");
    output
}

/// The only report of a folder.
fn report(folder: &Path) -> (PathBuf, String) {
    let reports: Vec<_> = fs::read_dir(folder).unwrap().collect();
    let [Ok(report)] = &reports[..] else {
        panic!("{reports:?}")
    };
    let path = report.path();
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

#[test]
fn a_crash_leaves_a_private_report_and_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("ours");
    let output = crashed("literal", Some(&folder));
    let (path, text) = report(&folder);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in [
        &*path.to_string_lossy(),
        "crates/cli/src/crash/tests.rs:",
        "/issues",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    for part in [
        concat!(
            "version: ",
            env!("CARGO_PKG_VERSION"),
            ", reported to AWS: 1."
        ),
        std::env::consts::OS,
        std::env::consts::ARCH,
        "used as: connect",
        "thread: crash::tests::child",
        "place: crates/cli/src/crash/tests.rs:",
        "message: the number is gone",
        "::panicking::panic_fmt\n",
        r#"INFO ssm_session::driver: established kind="Standard_Stream""#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("a frame"), "{text}");
}

#[test]
fn a_message_that_quotes_data_is_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let output = crashed("payload", Some(directory.path()));
    let (_, text) = report(directory.path());
    let stderr = String::from_utf8(output.stderr).unwrap();
    for text in [&text, &stderr] {
        assert!(!text.contains("typed-password"), "{text}");
    }
    assert!(text.contains("message: left out"), "{text}");
}

#[test]
fn a_crash_is_the_last_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    crashed_with("payload", &[(FOLDER, at("state")), (LOG, at("log"))]);
    let (path, _) = report(&at("state"));
    let log = fs::read_to_string(at("log")).unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.contains(" ERROR "), "{log}");
    assert!(last.contains(&*path.to_string_lossy()), "{log}");
    assert!(!log.contains("typed-password"), "{log}");
}

#[test]
fn a_crash_of_a_thread_or_a_task_is_one_of_the_program() {
    for (role, message) in [("thread", "in a thread"), ("task", "in a task")] {
        let directory = tempfile::tempdir().unwrap();
        crashed(role, Some(directory.path()));
        let (_, text) = report(directory.path());
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn without_a_place_for_a_report_the_sentence_remains() {
    for folder in [None, Some(Path::new("/dev/null/nowhere"))] {
        let output = crashed("literal", folder);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.contains("crates/cli/src/crash/tests.rs:"),
            "{stderr}"
        );
        assert!(!stderr.contains("nowhere"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn a_terminal_is_restored_before_the_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let (mut terminal, line) = pty_process::blocking::open().unwrap();
    let settings = rustix::termios::tcgetattr(&terminal).unwrap();
    let (program, words, environment) = words("terminal");
    let mut child = pty_process::blocking::Command::new(program)
        .args(words)
        .envs(environment)
        .env(FOLDER, directory.path())
        .spawn(line)
        .unwrap();
    let mut shown = Vec::new();
    // A terminal whose other side is closed ends with an error.
    terminal.read_to_end(&mut shown).unwrap_or_default();
    child.wait().unwrap();
    let shown = String::from_utf8_lossy(&shown);
    // Only a terminal that processes output makes CR LF of the line's end.
    let (_, end) = shown.split_once("/issues").unwrap();
    assert!(end.starts_with("\r\n"), "{shown}");
    assert!(shown.contains("status 255;"), "{shown}");
    let after = rustix::termios::tcgetattr(&terminal).unwrap();
    assert_eq!(format!("{after:?}"), format!("{settings:?}"));
}
