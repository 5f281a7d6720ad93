//! A program on a terminal of its own.

use std::io::Read as _;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::Child;

use pty_process::blocking::Command;
use pty_process::blocking::Pty;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::termios::Termios;

/// The words that start one test of this program as a program.
pub(crate) fn own_test(name: &str) -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    [program, "--exact", name, "--nocapture"]
        .map(str::to_owned)
        .to_vec()
}

/// Prints past the test harness, which captures what tests print.
pub(crate) fn say(text: &str) {
    rustix::io::write(rustix::stdio::stdout(), format!("{text};").as_bytes()).unwrap();
}

pub(crate) struct Playing {
    child: Child,
    terminal: Pty,
    before: String,
    unread: String,
}

impl Playing {
    pub(crate) fn start(words: &[String], variables: &[(&str, &str)]) -> Self {
        let (terminal, line) = pty_process::blocking::open().unwrap();
        terminal.resize(pty_process::Size::new(31, 93)).unwrap();
        let before = shown(&terminal);
        let child = Command::new(&words[0])
            .args(&words[1..])
            .envs(variables.iter().copied())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .spawn(line)
            .unwrap();
        Self {
            child,
            terminal,
            before,
            unread: String::new(),
        }
    }

    /// What appears on the screen, to the end of this text.
    pub(crate) fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.unread.find(text) {
                let rest = self.unread.split_off(at + text.len());
                return std::mem::replace(&mut self.unread, rest);
            }
            let limit = Some(&GUARD);
            assert!(self.has_output(limit), "no {text:?} in: {:?}", self.unread);
            assert!(self.read(), "ended before {text:?}: {}", self.unread);
        }
    }

    /// What has appeared on the screen by now.
    pub(crate) fn seen(&mut self) -> String {
        while self.has_output(Some(&Timespec::default())) && self.read() {}
        std::mem::take(&mut self.unread)
    }

    fn has_output(&self, limit: Option<&Timespec>) -> bool {
        let mut descriptors = [PollFd::new(&self.terminal, PollFlags::IN)];
        rustix::event::poll(&mut descriptors, limit).unwrap() > 0
    }

    /// Reads on; whether there was anything. Tests print ASCII.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        // A terminal whose other side is closed ends with an error.
        let length = self.terminal.read(&mut buffer).unwrap_or(0);
        let read = String::from_utf8_lossy(&buffer[..length]);
        self.unread.push_str(&read);
        length > 0
    }

    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.terminal.write_all(keys).unwrap();
    }

    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        let size = pty_process::Size::new(rows, cols);
        self.terminal.resize(size).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn settings(&self) -> Termios {
        rustix::termios::tcgetattr(&self.terminal).unwrap()
    }

    pub(crate) fn is_restored(&self) -> bool {
        shown(&self.terminal) == self.before
    }

    /// Waits for the end; whether the terminal is as it was.
    pub(crate) fn end(mut self) -> bool {
        self.rest();
        self.child.wait().unwrap();
        self.is_restored()
    }

    /// The rest of what appears on the screen.
    pub(crate) fn rest(&mut self) -> String {
        while self.read() {}
        std::mem::take(&mut self.unread)
    }

    /// Has the terminal vanish, as a window that is closed; the program is waited for by its death.
    pub(crate) fn vanish(self) -> Child {
        self.child
    }
}

fn shown(terminal: &Pty) -> String {
    let settings = rustix::termios::tcgetattr(terminal.as_fd()).unwrap();
    format!("{settings:?}")
}

/// Only against hanging.
const GUARD: Timespec = Timespec {
    tv_sec: 60,
    tv_nsec: 0,
};
