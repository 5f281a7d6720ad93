//! The log: who can read it, what a line says, and that a session never waits for it.

use std::fs::File;
use std::fs::Permissions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use crate::node::Node;
use crate::node::Started;
use crate::output::GUARD;
use crate::plugin::Finished;
use crate::plugin::OnTerminal;
use crate::plugin::command;
use crate::plugin::ended;
use crate::plugin::run;
use crate::plugin::shell_command;

const DOCUMENT: &str = "Emulator-SeparateOutput";
const COMMAND: &str = "sh -c 'echo out; exit 3'";
/// Bytes that are some thousand messages.
const MEGABYTES: usize = 4 << 20;

/// The state folder of a user.
struct State(TempDir);

impl State {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("session-manager-plugin")
    }

    /// The program, with its user's state here.
    fn command<W: AsRef<str>>(&self, words: &[W]) -> Command {
        let mut command = command(words);
        command.env("XDG_STATE_HOME", self.0.path());
        command
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn connect(started: &str, more: &[&str]) -> Vec<String> {
    let words = ["connect", started].into_iter().chain(more.iter().copied());
    words.map(str::to_owned).collect()
}

fn is_done(finished: &Finished) {
    let got = (finished.stdout.as_str(), finished.status);
    assert_eq!(got, ("out\n", Some(3)), "{finished:?}");
}

fn pipe(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("pipe");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, 0o600.into(), 0).unwrap();
    path
}

/// A command whose output is in more messages than any pipe has room for lines about them.
fn with_much_output(node: &Node) -> Started {
    let command = format!("sh -c 'head -c {MEGABYTES} /dev/zero'");
    node.command(DOCUMENT, &command)
}

/// Lets a session go on whose log is not taken, to its end and all of its output.
async fn is_not_held_up(mut command: Command) {
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = process.stdout.take().unwrap();
    let mut output = tokio::io::sink();
    let copied = tokio::time::timeout(GUARD, tokio::io::copy(&mut stdout, &mut output)).await;
    let copied = copied.expect("the session goes on").unwrap();
    assert_eq!(copied, MEGABYTES as u64);
    assert_eq!(ended(&mut process).await.code(), Some(0));
}

#[tokio::test]
async fn the_users_own_log_is_private_and_says_when_who_and_which_session() {
    let node = Node::start().await;
    let state = State::new();
    std::fs::create_dir(state.folder()).unwrap();
    std::fs::set_permissions(state.folder(), Permissions::from_mode(0o777)).unwrap();
    let started = node.command(DOCUMENT, COMMAND);
    let words = connect(&started.json(), &["--log"]);
    let process = state
        .command(&words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut process = process.unwrap();
    let id = process.id().unwrap();
    assert_eq!(ended(&mut process).await.code(), Some(3));
    assert_eq!(mode(&state.folder()), 0o700);
    assert_eq!(mode(&state.folder().join("log")), 0o600);
    let log = state.log();
    assert!(log.contains(" INFO ") && log.contains("closed"), "{log}");
    let session = format!(r#" session{{id="{}"}}: "#, started.id());
    let mut has_begun = false;
    for line in log.lines() {
        let (time, rest) = line.split_once("Z ").unwrap();
        assert_eq!(time.len(), "2026-01-01T00:00:00.000000".len(), "{line}");
        assert!(rest.contains(&format!(" [{id}] ")), "{line}");
        has_begun |= line.contains(&session);
        assert_eq!(line.contains(&session), has_begun, "{line}");
    }
    assert!(has_begun, "{log}");
}

#[tokio::test]
async fn a_drop_in_logs_for_its_user_when_environment_or_file_say_so_and_shows_nothing() {
    let node = Node::start().await;
    for level in ["1", "INFO"] {
        let state = State::new();
        let started = node.command(DOCUMENT, COMMAND);
        let mut drop_in = state.command(&started.seven_words());
        drop_in.env("SSM_SESSION_LOG", level);
        assert_eq!(run(drop_in).await.stderr, "");
        let log = state.log();
        assert!(log.contains(started.id()), "{log}");
        assert_eq!(log.contains(" DEBUG "), level == "1", "{log}");
    }
    let state = State::new();
    let config = state.0.path().join("config.toml");
    std::fs::write(&config, "log = 'info'\n").unwrap();
    let mut drop_in = state.command(&node.command(DOCUMENT, COMMAND).seven_words());
    drop_in.env("SSM_SESSION_CONFIG", &config);
    assert_eq!(run(drop_in).await.stderr, "");
    assert!(state.log().contains(" INFO "));
}

#[tokio::test]
async fn several_sessions_share_the_log_and_their_lines_do_not_mix() {
    let node = Node::start().await;
    let state = State::new();
    let sessions: Vec<_> = (0..4).map(|_| node.command(DOCUMENT, COMMAND)).collect();
    let running = sessions.iter().map(|started| {
        let words = connect(&started.json(), &["--log", "-vv"]);
        run(state.command(&words))
    });
    for finished in futures_util::future::join_all(running).await {
        is_done(&finished);
        assert_eq!(finished.stderr, "");
    }
    let log = state.log();
    for line in log.lines() {
        // The beginning of a time: once, and first.
        let (day, rest) = line.split_at("2026-01-01T".len());
        assert!(day.starts_with("20") && day.ends_with('T'), "{line}");
        assert!(!rest.contains(day), "{line}");
    }
    for started in &sessions {
        let closed = |line: &&str| line.contains(started.id()) && line.contains(" closed by=");
        assert_eq!(log.lines().filter(closed).count(), 1, "{log}");
    }
}

#[tokio::test]
async fn a_megabyte_is_no_line_below_the_most_detailed_level() {
    let node = Node::start().await;
    let state = State::new();
    let words = connect(&with_much_output(&node).json(), &["--log"]);
    is_not_held_up(state.command(&words)).await;
    let lines = state.log().lines().count();
    // Some ten for each session; the memory of the last events holds a hundred.
    assert!(lines < 50, "{lines} lines");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_told_once_and_the_session_goes_on() {
    let node = Node::start().await;
    let directory = tempfile::tempdir().unwrap();
    let unread = pipe(&directory);
    for path in [
        Path::new("/dev/full"),
        Path::new("/nonexistent/log"),
        &unread,
    ] {
        let path = path.to_str().unwrap();
        let started = node.command(DOCUMENT, COMMAND);
        let words = connect(&started.json(), &["--log-file", path]);
        let finished = run(command(&words)).await;
        is_done(&finished);
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
        assert!(finished.stderr.contains(path), "{finished:?}");
        // Callers of a drop-in know the texts of AWS's plugin alone.
        let mut drop_in = command(&started_again(&node).seven_words());
        let plain = run(command(&started_again(&node).seven_words())).await;
        drop_in.env("SSM_SESSION_LOG_FILE", path);
        let finished = run(drop_in).await;
        let lines = |finished: &Finished| finished.stdout.lines().count();
        assert_eq!(lines(&finished), lines(&plain), "{finished:?}");
        assert_eq!((finished.stderr.as_str(), finished.status), ("", Some(0)));
    }
}

fn started_again(node: &Node) -> Started {
    node.command(DOCUMENT, COMMAND)
}

#[tokio::test]
async fn a_disk_that_fills_up_cuts_the_log_off_and_not_the_session() {
    let node = Node::start().await;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    // One block of 512 bytes, in which the first lines have room and the next one in part.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
    let started = node.command(DOCUMENT, COMMAND);
    let file = log.to_str().unwrap();
    let words = connect(&started.json(), &["-vv", "--log-file", file]);
    let finished = run(shell_command(script, &words)).await;
    is_done(&finished);
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    assert!(finished.stderr.contains(file), "{finished:?}");
    assert!(std::fs::metadata(&log).unwrap().len() >= 512);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_told_once_and_the_session_goes_on() {
    let node = Node::start().await;
    let state = State::new();
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), state.folder()).unwrap();
    let words = connect(&node.command(DOCUMENT, COMMAND).json(), &["--log"]);
    let finished = run(state.command(&words)).await;
    is_done(&finished);
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    assert!(finished.stderr.contains("is no folder"), "{finished:?}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_log_that_is_not_read_holds_up_no_session() {
    let node = Node::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = pipe(&directory);
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut reader = File::options()
        .read(true)
        .custom_flags(flags)
        .open(&path)
        .unwrap();
    let file = path.to_str().unwrap();
    let words = connect(
        &with_much_output(&node).json(),
        &["-vv", "--log-file", file],
    );
    is_not_held_up(command(&words)).await;
    // It was in use all the same.
    let mut first = [0; 20];
    reader.read_exact(&mut first).unwrap();
    assert!(first.starts_with(b"20"), "{first:?}");
}

#[tokio::test]
async fn standard_error_that_is_not_read_holds_up_no_session() {
    let node = Node::start().await;
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = command(&connect(&with_much_output(&node).json(), &["-vv"]));
    command.stderr(writer);
    is_not_held_up(command).await;
    drop(reader);
}

/// Starts a shell on a terminal, and waits until it is there and silent.
async fn shell(node: &Node, more: &[&str]) -> OnTerminal {
    let mut shell = OnTerminal::start(&connect(&node.shell().json(), more));
    shell.enter("PS1=; stty -echo; echo rea''dy").await;
    shell.screen.until("ready\r\n").await;
    shell
}

#[tokio::test]
async fn nothing_is_logged_over_a_session_and_all_of_it_afterwards() {
    let node = Node::start().await;
    // Every message either way is a line.
    let mut shell = shell(&node, &["-vv"]).await;
    shell.enter("echo first; echo se''cond").await;
    assert_eq!(shell.screen.up_to("second\r\n").await, "first\r\n");
    shell.enter("echo la''st; exit").await;
    assert_eq!(shell.screen.up_to("last\r\n").await, "");
    let shown = shell.screen.rest().await;
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains(" TRACE "), "{shown}");
    assert!(shown.contains(" closed by="), "{shown}");
    assert_eq!(shown.matches('\n').count(), shown.matches("\r\n").count());
    assert!(shell.has_its_settings_back());
}

#[tokio::test]
async fn the_oldest_lines_that_wait_fall_out_and_are_counted() {
    let node = Node::start().await;
    let mut shell = shell(&node, &["-vv"]).await;
    let output = format!("head -c {MEGABYTES} /dev/zero; echo la''st; exit");
    shell.enter(&output).await;
    let zeroes = shell.screen.take(MEGABYTES).await;
    assert!(zeroes.iter().all(|byte| *byte == 0));
    shell.screen.until("last\r\n").await;
    let shown = String::from_utf8(shell.screen.rest().await).unwrap();
    let hint = "earlier lines of the log were left out; --log keeps all of them in a file\r\n";
    assert!(shown.contains(hint), "{} bytes", shown.len());
    assert!(shown.contains("closed"), "{} bytes", shown.len());
    assert!(shown.len() < 512 * 1024, "{} bytes", shown.len());
}

#[tokio::test]
async fn the_log_of_standard_error_elsewhere_does_not_wait() {
    let node = Node::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("errors");
    let script = format!("exec \"$0\" \"$@\" 2>'{}'", file.display());
    let words = connect(&node.shell().json(), &["-v"]);
    let mut shell = OnTerminal::start_by_shell(&script, &words);
    shell.enter("PS1=; echo rea''dy").await;
    shell.screen.until("ready\r\n").await;
    let written = async {
        while !std::fs::read_to_string(&file)
            .unwrap()
            .contains("established")
        {
            tokio::task::yield_now().await;
        }
    };
    let written = tokio::time::timeout(GUARD, written).await;
    written.expect("it is written while the session runs");
}

#[tokio::test]
async fn neither_token_nor_what_is_typed_is_in_the_log_that_waits_or_is_kept() {
    let node = Node::start().await;
    let state = State::new();
    let started = node.shell();
    let folder = state.0.path().to_str().unwrap();
    let more = [("XDG_STATE_HOME", folder)];
    let mut kept = OnTerminal::start_in(&connect(&started.json(), &["-vv", "--log"]), &more);
    kept.enter("PS1=; stty -echo; read word; exit").await;
    kept.enter("typed-password").await;
    kept.screen.until_end().await;
    let log = state.log();
    assert!(log.contains(" TRACE "), "{log}");

    let waiting = node.shell();
    let mut held = OnTerminal::start(&connect(&waiting.json(), &["-vv"]));
    held.enter("PS1=; stty -echo; echo rea''dy; read word; echo la''st; exit")
        .await;
    held.screen.until("ready\r\n").await;
    held.enter("typed-password").await;
    held.screen.until("last\r\n").await;
    let shown = String::from_utf8(held.screen.rest().await).unwrap();
    assert!(shown.contains(" TRACE "), "{shown}");
    for text in [&log, &shown] {
        for secret in [started.token(), waiting.token(), "typed-password"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[tokio::test]
async fn a_log_has_one_place() {
    let words = ["connect", "{}", "--log", "--log-file", "x"];
    let finished = run(command(&words)).await;
    assert_eq!(finished.status, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("--log-file"), "{finished:?}");
}
