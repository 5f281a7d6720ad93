//! Raw mode and whole sessions in processes of their own, on terminals of their own.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where its preparations do")]

mod caller;
mod ends;
mod escapes;
mod out_of_reach;
mod playing;
mod stage;
mod suspending;
mod unanswered;

use std::io::Read as _;

use rustix::termios::LocalModes;
use rustix::termios::OutputModes;
use ssm_session_terminal::Keys;
use ssm_session_terminal::RawMode;
use ssm_session_terminal::is_raw;
use ssm_session_terminal::window_size;

use crate::playing::Playing;
use crate::playing::own_test;
use crate::playing::say;

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

fn start(role: &str) -> Playing {
    Playing::start(&own_test("child"), &[(ROLE, role)])
}

#[test]
fn the_guard_restores_the_terminal_when_dropped() {
    let mut playing = start("ends");
    let seen = playing.until("raw;");
    assert!(
        seen.contains("size TerminalSize { cols: 93, rows: 31 };"),
        "{seen}"
    );
    let raw = playing.settings();
    assert!(!raw.local_modes.contains(LocalModes::ISIG));
    assert!(!raw.output_modes.contains(OutputModes::OPOST));
    playing.press(b"x");
    assert!(playing.end());
}

#[test]
fn a_panic_restores_the_terminal_before_its_message_is_printed() {
    let mut playing = start("panics");
    playing.until("raw;");
    playing.press(b"x");
    // Only a terminal that processes output makes CR LF of the message's line ends.
    playing.until("the message of a panic\r\n");
    assert!(playing.end());
}

#[test]
fn a_panic_in_another_thread_restores_the_terminal_too() {
    let mut playing = start("panics in another thread");
    playing.until("raw;");
    playing.press(b"x");
    playing.until("went on;");
    assert!(playing.is_restored());
    // The terminal is in line mode again.
    playing.press(b"\n");
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
