//! The death of the process that started the program.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;

use crate::stage::Stage;

/// A session over pipes, started by a shell as its parent, which has no terminal to lose.
struct Orphan {
    parent: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stage: Stage,
}

impl Orphan {
    fn start(more: &[(&str, &str)]) -> Self {
        let stage = Stage::build();
        let mut parent = Command::new("sh")
            // With something left to do the shell stays, and gives its standard input on.
            .args(["-c", "\"$@\"; exit", "sh"])
            .args(Stage::words())
            .envs(stage.variables(more))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: parent.stdin.take().unwrap(),
            stdout: BufReader::new(parent.stdout.take().unwrap()),
            parent,
            stage,
        }
    }

    fn kill_parent(&mut self) {
        self.parent.kill().unwrap();
        self.parent.wait().unwrap();
    }

    fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            let length = self.stdout.read_line(&mut seen).unwrap();
            assert!(length > 0, "ended before {text:?}: {seen}");
        }
        seen
    }
}

#[test]
fn a_shell_whose_caller_is_killed_ends_and_so_does_its_session() {
    let mut orphan = Orphan::start(&[Stage::follows()]);
    orphan.stdin.write_all(b"echo rea''dy\n").unwrap();
    orphan.until("ready\r\n");
    orphan.kill_parent();
    let last = orphan.until("outcome Signalled(Hangup), status 129");
    assert!(last.contains("listener false"), "{last}");
}

/// The system tells of a terminal's end, and so do the shell in it and the parent's death.
#[test]
fn a_hangup_of_many_words_is_one_wish_and_the_service_is_still_told() {
    let mut orphan = Orphan::start(&[Stage::follows()]);
    orphan.stdin.write_all(b"echo rea''dy\n").unwrap();
    orphan.until("ready\r\n");
    // Neither agent nor service hear of the end, which makes it last.
    orphan.stage.ask("freeze");
    orphan.stage.ask("mute");
    let process = orphan.stage.ask("process").parse().unwrap();
    let process = Pid::from_raw(process).unwrap();
    orphan.kill_parent();
    rustix::process::kill_process(process, Signal::HUP).unwrap();
    for _ in 0..20 {
        assert_eq!(orphan.stage.ask("find"), "0", "it still tries");
    }
    orphan.until("outcome Signalled(Hangup), status 129, terminated 1");
}

#[test]
fn a_forward_whose_caller_is_killed_leaves_no_local_end() {
    let document = "AWS-StartPortForwardingSession portNumber=9 localPortNumber=0";
    let mut orphan = Orphan::start(&[Stage::follows(), Stage::document(document)]);
    // Standard error is the test's: the port is asked for.
    let port: u16 = orphan.stage.ask("port").parse().unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    orphan.kill_parent();
    orphan.until("outcome Signalled(Hangup), status 129");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

/// `ssh -f` has its `ProxyCommand` survive the process that started it.
#[test]
fn a_connection_over_standard_streams_outlives_its_caller() {
    let destination = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = destination.local_addr().unwrap().port();
    let document = format!("AWS-StartSSHSession portNumber={port}");
    let mut orphan = Orphan::start(&[Stage::follows(), Stage::document(&document)]);
    let (mut connection, _) = destination.accept().unwrap();
    orphan.stdin.write_all(b"before").unwrap();
    connection.read_exact(&mut [0; 6]).unwrap();
    orphan.kill_parent();
    // By the time of the answer the death has been noticed if it ever is.
    orphan.stdin.write_all(b"after").unwrap();
    connection.read_exact(&mut [0; 5]).unwrap();
    connection.write_all(b"the answer\n").unwrap();
    orphan.until("the answer\n");
    drop(connection);
    orphan.until("outcome Closed");
}
