//! The plugin as a child on a terminal of its own.

use std::io::Read as _;
use std::io::Write as _;
use std::time::Duration;

use pty_process::Size;
use pty_process::blocking::Command;
use pty_process::blocking::Pty;

use crate::accounting;

/// A running session.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) terminal: Pty,
}

impl Child {
    /// Starts the plugin as the AWS CLI does and waits for the shell.
    pub(crate) fn start(response: &str) -> Self {
        let (terminal, line) = pty_process::blocking::open().expect("a terminal");
        terminal.resize(Size::new(24, 80)).expect("a size");
        let name = "AWS_SSM_START_SESSION_RESPONSE";
        let process = Command::new(env!("CARGO_BIN_EXE_session-manager-plugin"))
            .args([name, "us-east-1", "StartSession"])
            .env(name, response)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .spawn(line)
            .expect("the plugin starts");
        let mut child = Self { process, terminal };
        child.command("echo 'rea''dy'", b"ready");
        child
    }

    /// Has the remote terminal echo this many keys at once, whatever they are.
    pub(crate) fn expect_keys(&mut self, keys: usize) {
        let command = format!(
            "stty raw echo; echo 'rea''dy'; head -c {keys} > /dev/null; stty sane; echo 'la''id'"
        );
        self.command(&command, b"ready");
    }

    /// Runs a shell command and reads until a line of its output shows `mark`.
    pub(crate) fn command(&mut self, command: &str, mark: &[u8]) {
        // Written at once: a line feed on its own would arrive as a return.
        let line = format!("{command}\n");
        self.terminal
            .write_all(line.as_bytes())
            .expect("the terminal takes a command");
        self.wait_for(mark);
    }

    /// Reads until a line shows `mark`.
    pub(crate) fn wait_for(&mut self, mark: &[u8]) {
        let mut seen = Vec::new();
        let mut buffer = [0; 1024];
        while !seen.windows(mark.len()).any(|window| window == mark) {
            let read = self.terminal.read(&mut buffer).expect("output comes");
            seen.extend_from_slice(&buffer[..read]);
        }
        self.drain_line(&seen, mark);
    }

    /// Reads the rest of the marked line, so that the next byte read is a new one.
    fn drain_line(&mut self, seen: &[u8], mark: &[u8]) {
        let behind = seen.windows(mark.len()).position(|window| window == mark);
        let rest = &seen[behind.map_or(0, |at| at + mark.len())..];
        let mut byte = [0];
        while !rest.contains(&b'\n') && byte != *b"\n" {
            self.terminal.read_exact(&mut byte).expect("output comes");
        }
    }

    /// Ends the session from the far end's shell.
    pub(crate) fn end(mut self) {
        self.terminal
            .write_all(b"exit\n")
            .expect("the terminal takes a command");
        let mut rest = Vec::new();
        // The terminal ends with an error once nobody holds its other side.
        drop(self.terminal.read_to_end(&mut rest));
        let status = self.process.wait().expect("the plugin ends");
        assert!(status.success(), "{status}");
    }

    /// Processor time so far, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        accounting::cpu(self.process.id())
    }

    /// Memory now, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        accounting::memory(self.process.id(), "VmRSS")
    }

    /// Most memory so far, in KiB.
    pub(crate) fn peak(&self) -> u64 {
        accounting::memory(self.process.id(), "VmHWM")
    }
}
