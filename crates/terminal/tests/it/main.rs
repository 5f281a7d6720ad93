//! Raw mode in a process of its own, on a terminal of its own.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where its preparations do")]

mod unanswered;

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::process::Child;

use pty_process::blocking::Command;
use pty_process::blocking::Pty;
use rustix::termios::LocalModes;
use rustix::termios::OutputModes;
use rustix::termios::Termios;
use ssm_session_terminal::Keys;
use ssm_session_terminal::RawMode;
use ssm_session_terminal::is_raw;
use ssm_session_terminal::window_size;

/// What this program does when a test starts it again as its own child.
const ROLE: &str = "SSM_SESSION_TERMINAL_TEST_ROLE";

/// Not a test of its own: the other side of those below.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let guard = RawMode::enter(Keys::Interruptible)
        .unwrap()
        .expect("a terminal");
    assert!(!is_raw());
    guard.switch(Keys::Raw).unwrap();
    assert!(is_raw());
    let second = RawMode::enter(Keys::Raw).unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::AlreadyExists);
    say(&format!("size {:?}", window_size()));
    say("raw");
    std::io::stdin().read_exact(&mut [0]).unwrap();
    match role.as_str() {
        "panics" => panic!("the message of a panic"),
        "panics in another thread" => {
            let panicking = std::thread::spawn(|| panic!("the message of a panic"));
            assert!(panicking.join().is_err());
            say("went on");
            std::io::stdin().read_exact(&mut [0]).unwrap();
        }
        _ => drop(guard),
    }
}

/// Past the test harness, which captures what tests print.
fn say(text: &str) {
    rustix::io::write(rustix::stdio::stdout(), format!("{text};").as_bytes()).unwrap();
}

struct Playing {
    child: Child,
    terminal: Pty,
    descriptor: OwnedFd,
    before: String,
}

impl Playing {
    fn start(role: &str) -> Self {
        let (terminal, line) = pty_process::blocking::open().unwrap();
        terminal.resize(pty_process::Size::new(31, 93)).unwrap();
        let descriptor = terminal.as_fd().try_clone_to_owned().unwrap();
        let before = format!("{:?}", settings(&descriptor));
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(ROLE, role)
            .spawn(line)
            .unwrap();
        Self {
            child,
            terminal,
            descriptor,
            before,
        }
    }

    fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            let mut buffer = [0; 4096];
            let length = self.terminal.read(&mut buffer).unwrap_or(0);
            assert!(length > 0, "ended before {text:?}: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        seen
    }

    fn press(&mut self) {
        std::io::Write::write_all(&mut self.terminal, b"x").unwrap();
    }

    fn is_restored(&self) -> bool {
        format!("{:?}", settings(&self.descriptor)) == self.before
    }

    fn end(mut self) -> bool {
        let mut rest = Vec::new();
        // A terminal whose other side is closed ends with an error.
        self.terminal.read_to_end(&mut rest).unwrap_or_default();
        self.child.wait().unwrap();
        self.is_restored()
    }
}

fn settings(terminal: &OwnedFd) -> Termios {
    rustix::termios::tcgetattr(terminal).unwrap()
}

#[test]
fn the_guard_restores_the_terminal_when_dropped() {
    let mut playing = Playing::start("ends");
    let seen = playing.until("raw;");
    assert!(
        seen.contains("size TerminalSize { cols: 93, rows: 31 };"),
        "{seen}"
    );
    let raw = settings(&playing.descriptor);
    assert!(!raw.local_modes.contains(LocalModes::ISIG));
    assert!(!raw.output_modes.contains(OutputModes::OPOST));
    playing.press();
    assert!(playing.end());
}

#[test]
fn a_panic_restores_the_terminal_before_its_message_is_printed() {
    let mut playing = Playing::start("panics");
    playing.until("raw;");
    playing.press();
    // Only a terminal that processes output makes CR LF of the message's line ends.
    playing.until("the message of a panic\r\n");
    assert!(playing.end());
}

#[test]
fn a_panic_in_another_thread_restores_the_terminal_too() {
    let mut playing = Playing::start("panics in another thread");
    playing.until("raw;");
    playing.press();
    playing.until("went on;");
    assert!(playing.is_restored());
    // The terminal is in line mode again.
    std::io::Write::write_all(&mut playing.terminal, b"\n").unwrap();
    assert!(playing.end());
}

#[test]
fn without_a_terminal_there_is_no_raw_mode() {
    let finished = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(ROLE, "ends")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&finished.stderr).into_owned();
    assert!(said.contains("a terminal"), "{said}");
}
