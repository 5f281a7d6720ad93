//! Every way out ends the session and gives the terminal back.

use std::fs::File;
use std::io::Read as _;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::pty::OpenptFlags;

use crate::escapes::Shell;
use crate::stage::Stage;

#[test]
fn a_signal_ends_a_session_in_order_though_the_node_takes_nothing() {
    for (signal, outcome) in [
        (Signal::INT, "outcome Signalled(Interrupt), status 130"),
        (Signal::TERM, "outcome Signalled(Terminate), status 143"),
        (Signal::HUP, "outcome Signalled(Hangup), status 129"),
    ] {
        let mut shell = Shell::ready(&[]);
        shell.stage.ask("freeze");
        shell.playing.signal(signal);
        shell.playing.until(&format!("{outcome}, terminated 1"));
        assert!(shell.playing.end(), "{signal:?}");
    }
}

#[test]
fn a_signal_ends_at_once_what_is_ending_already() {
    for (signal, outcome) in [
        (Signal::TERM, "outcome Signalled(Terminate), status 143"),
        // The far end's, as long as there is one.
        (Signal::QUIT, "outcome Signalled(Quit), status 131"),
    ] {
        let mut shell = Shell::ready(&[]);
        shell.stage.ask("freeze");
        shell.stage.ask("mute");
        shell.playing.press(b"~.");
        shell.playing.until("~.\r\n");
        shell.playing.signal(signal);
        shell.playing.until(outcome);
        assert!(shell.playing.end(), "{signal:?}");
    }
}

#[test]
fn a_service_that_never_answers_holds_the_end_up_for_a_while_only() {
    let mut shell = Shell::ready(&[]);
    shell.stage.ask("freeze");
    shell.stage.ask("mute");
    shell.playing.press(b"~.");
    shell.playing.until("outcome Left, status 130");
    assert!(shell.playing.end());
}

#[test]
fn while_the_agent_is_waited_for_ctrl_c_and_sigquit_end_it() {
    let mut shell = Shell::start_with(&[Stage::frozen()]);
    shell.stage.ask("find");
    shell.playing.press(b"\x03");
    shell
        .playing
        .until("outcome Signalled(Interrupt), status 130");
    assert!(shell.playing.end());

    let mut shell = Shell::start_with(&[Stage::frozen()]);
    shell.stage.ask("find");
    shell.playing.signal(Signal::QUIT);
    shell.playing.until("outcome Signalled(Quit), status 131");
    assert!(shell.playing.end());
}

#[test]
fn while_the_connection_is_lost_signals_end_it_and_the_service_is_told() {
    let mut shell = Shell::ready(&[]);
    shell.stage.ask("lose");
    shell.playing.until("the connection is lost since ");
    shell.playing.signal(Signal::TERM);
    let last = shell.playing.until("terminated 1");
    // The row has gone before anything else is said.
    assert!(last.contains("\x1b[K\x1b8outcome"), "{last:?}");
    assert!(shell.playing.end());
}

#[test]
fn a_screen_that_takes_no_output_holds_no_way_out_up() {
    let mut shell = Shell::ready(&[]);
    shell.enter("yes");
    // Read no further: the terminal's buffer fills, and the program's queues behind it.
    shell.playing.until("y\r\ny\r\n");
    shell.stage.ask("freeze");
    shell.playing.press(b"\r~.");
    shell.stage.until_over();
    assert!(shell.playing.is_restored());
    let outcome = shell.stage.outcome();
    assert!(outcome.starts_with("outcome Left, status 130"), "{outcome}");
}

#[test]
fn a_reader_that_stands_still_holds_no_signal_up() {
    let mut stage = Stage::build();
    let mut child = piped(&stage);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdin.write_all(b"yes\n").unwrap();
    // Far more than the commands' echo; the rest fills the pipe and what is behind it.
    stdout.read_exact(&mut [0; 100_000]).unwrap();
    stage.ask("freeze");
    let process = Pid::from_child(&child);
    rustix::process::kill_process(process, Signal::TERM).unwrap();
    stage.until_over();
    let outcome = stage.outcome();
    let expected = "outcome Signalled(Terminate), status 143, terminated 1";
    assert!(outcome.starts_with(expected), "{outcome}");
    drop(stdout);
    child.wait().unwrap();
}

#[test]
fn a_reader_that_has_gone_ends_the_session() {
    let mut stage = Stage::build();
    let mut child = piped(&stage);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdin.write_all(b"yes\n").unwrap();
    stdout.read_exact(&mut [0; 1000]).unwrap();
    stage.ask("find");
    drop(stdout);
    stage.until_over();
    let outcome = stage.outcome();
    assert!(
        outcome.starts_with("outcome OutputClosed, status 0"),
        "{outcome}"
    );
    child.wait().unwrap();
}

/// A session over pipes.
fn piped(stage: &Stage) -> Child {
    let words = Stage::words();
    Command::new(&words[0])
        .args(&words[1..])
        .envs(stage.variables(&[]))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_window_that_is_closed_ends_the_session_at_the_service() {
    let mut shell = Shell::ready(&[]);
    shell.stage.ask("freeze");
    shell.playing.vanish().wait().unwrap();
    let outcome = shell.stage.outcome();
    assert!(outcome.contains("terminated 1"), "{outcome}");
}

#[test]
fn a_terminal_that_vanishes_without_a_signal_is_noticed() {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let screen = rustix::pty::openpt(flags | OpenptFlags::CLOEXEC).unwrap();
    rustix::pty::unlockpt(&screen).unwrap();
    let line: OwnedFd = rustix::pty::ioctl_tiocgptpeer(&screen, flags).unwrap();
    let mut stage = Stage::build();
    let words = Stage::words();
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .envs(stage.variables(&[]))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(File::from(line))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    stage.ask("find");
    drop(screen);
    child.wait().unwrap();
    let outcome = stage.outcome();
    assert!(
        outcome.starts_with("outcome Signalled(Hangup), status 129"),
        "{outcome}"
    );
}

#[test]
fn a_local_end_is_kept_for_another_session_if_nobody_asked_for_the_end() {
    let document = "AWS-StartPortForwardingSession portNumber=9 localPortNumber=0";
    let mut forward = Shell::start_with(&[Stage::document(document)]);
    forward.playing.until(" is open, waiting for connections");
    forward.stage.ask("end");
    let last = forward.playing.until("listener ");
    assert!(last.contains("outcome Closed"), "{last}");
    forward.playing.until("true;");

    let mut forward = Shell::start_with(&[Stage::document(document)]);
    forward.playing.until(" is open, waiting for connections");
    forward.playing.signal(Signal::TERM);
    forward.playing.until("listener false;");
}
