//! The program as a child, with pipes or on a terminal.

use std::fs::File;
use std::io::PipeWriter;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::process::Stdio;

use pty_process::OwnedReadPty;
use pty_process::OwnedWritePty;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::process::Pid;
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::process::Child;
use tokio::process::ChildStderr;
use tokio::process::ChildStdin;
use tokio::process::Command;

use crate::output::GUARD;
use crate::output::Output;

/// Without these, credentials are looked for in this machine's files and on its network.
const NO_CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_session-manager-plugin");

/// The program's name and its words, from an environment that leads to no account.
pub(crate) fn command<W: AsRef<str>>(words: &[W]) -> Command {
    with_words(Command::new(PROGRAM), words)
}

/// A shell that runs the program as its script says, in which `"$0" "$@"` stands for the program and its words.
pub(crate) fn shell_command<W: AsRef<str>>(script: &str, words: &[W]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, PROGRAM]);
    with_words(shell, words)
}

fn with_words<W: AsRef<str>>(mut command: Command, words: &[W]) -> Command {
    command
        .args(words.iter().map(AsRef::as_ref))
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if is_ours_or_awss(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command.envs(NO_CREDENTIALS);
    command
}

fn is_ours_or_awss(name: &str) -> bool {
    name.starts_with("AWS_") || name.starts_with("SSM_") || name == "RUST_LOG"
}

/// Runs to the end without input.
pub(crate) async fn run(mut command: Command) -> Finished {
    command.stdin(Stdio::null());
    let finished = tokio::time::timeout(GUARD, command.output())
        .await
        .expect("the program ends")
        .unwrap();
    Finished {
        stdout: String::from_utf8(finished.stdout).unwrap(),
        stderr: String::from_utf8(finished.stderr).unwrap(),
        status: finished.status.code(),
    }
}

#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: Option<i32>,
}

/// The other end of the program's standard output, held to see whether there is room in the pipe. While it is held,
/// the output has no end.
pub(crate) struct WriteEnd(PipeWriter);

impl WriteEnd {
    /// Waits until the program must wait for a reader.
    pub(crate) async fn until_full(self) {
        let full = async {
            while self.has_room() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(GUARD, full)
            .await
            .expect("the pipe fills");
    }

    fn has_room(&self) -> bool {
        let mut descriptors = [PollFd::new(&self.0, PollFlags::OUT)];
        rustix::event::poll(&mut descriptors, Some(&Timespec::default())).unwrap() > 0
    }
}

/// The program with three pipes.
pub(crate) struct Piped {
    pub(crate) process: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Output<Receiver>,
    pub(crate) stderr: Output<ChildStderr>,
}

impl Piped {
    pub(crate) fn start(command: Command) -> Self {
        Self::start_held(command).0
    }

    pub(crate) fn start_held(mut command: Command) -> (Self, WriteEnd) {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command holds the end it was given for another start.
        drop(command);
        let started = Self {
            stdin: process.stdin.take(),
            stdout: Output::new(Receiver::from_owned_fd(reader.into()).unwrap()),
            stderr: Output::new(process.stderr.take().unwrap()),
            process,
        };
        (started, WriteEnd(writer))
    }

    pub(crate) async fn write(&mut self, input: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(input).await.unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(&self.process, signal);
    }

    pub(crate) async fn status(&mut self) -> ExitStatus {
        ended(&mut self.process).await
    }
}

/// The program on a terminal of its own.
pub(crate) struct OnTerminal {
    process: Child,
    pub(crate) screen: Output<OwnedReadPty>,
    pub(crate) keys: OwnedWritePty,
    terminal: OwnedFd,
    settings_before: String,
}

impl OnTerminal {
    pub(crate) fn start<W: AsRef<str>>(words: &[W]) -> Self {
        Self::run(outside_of_aws(pty_process::Command::new(PROGRAM)), words)
    }

    /// Starts it with further environment variables.
    pub(crate) fn start_in<W: AsRef<str>>(words: &[W], more: &[(&str, &str)]) -> Self {
        let mut command = outside_of_aws(pty_process::Command::new(PROGRAM));
        for (name, value) in more {
            command = command.env(name, value);
        }
        Self::run(command, words)
    }

    /// Starts it as the AWS CLI does: with SIGINT, SIGQUIT and SIGTSTP ignored.
    pub(crate) fn start_with_signals_ignored<W: AsRef<str>>(words: &[W]) -> Self {
        let script = "trap '' INT QUIT TSTP; exec \"$0\" \"$@\"";
        Self::start_by_shell(script, words)
    }

    /// Starts a shell that runs the program as its script says, see [`shell_command`].
    pub(crate) fn start_by_shell<W: AsRef<str>>(script: &str, words: &[W]) -> Self {
        Self::start_by_shell_in(script, words, &[])
    }

    /// The same with further environment variables.
    pub(crate) fn start_by_shell_in<W: AsRef<str>>(
        script: &str,
        words: &[W],
        more: &[(&str, &str)],
    ) -> Self {
        let shell = outside_of_aws(pty_process::Command::new("sh"));
        let shell = shell.envs(more.iter().copied());
        Self::run(shell.args(["-c", script, PROGRAM]), words)
    }

    fn run<W: AsRef<str>>(command: pty_process::Command, words: &[W]) -> Self {
        let (terminal, line) = pty_process::open().unwrap();
        terminal.resize(pty_process::Size::new(31, 93)).unwrap();
        let descriptor = terminal.as_fd().try_clone_to_owned().unwrap();
        let settings_before = settings(&descriptor);
        let process = command
            .args(words.iter().map(AsRef::as_ref))
            .kill_on_drop(true)
            .spawn(line)
            .unwrap();
        let (screen, keys) = terminal.into_split();
        Self {
            process,
            screen: Output::new(screen),
            keys,
            settings_before,
            terminal: descriptor,
        }
    }

    pub(crate) async fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).await.unwrap();
    }

    /// Types a line for the remote shell.
    pub(crate) async fn enter(&mut self, line: &str) {
        self.press(format!("{line}\r").as_bytes()).await;
    }

    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        self.keys
            .resize(pty_process::Size::new(rows, cols))
            .unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(&self.process, signal);
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Whether the terminal's settings are those from before the program started.
    pub(crate) fn has_its_settings_back(&self) -> bool {
        settings(&self.terminal) == self.settings_before
    }

    /// What the program has set, as `stty -a` would show it.
    pub(crate) fn settings(&self) -> rustix::termios::Termios {
        rustix::termios::tcgetattr(&self.terminal).unwrap()
    }

    pub(crate) async fn status(&mut self) -> ExitStatus {
        ended(&mut self.process).await
    }
}

/// The same as [`command`]'s environment.
fn outside_of_aws(mut command: pty_process::Command) -> pty_process::Command {
    for (name, _) in std::env::vars_os() {
        if is_ours_or_awss(&name.to_string_lossy()) {
            command = command.env_remove(name);
        }
    }
    command.envs(NO_CREDENTIALS)
}

pub(crate) fn settings(terminal: impl AsFd) -> String {
    format!("{:?}", rustix::termios::tcgetattr(terminal).unwrap())
}

/// The two ends of a terminal: ours, and the one for a child.
pub(crate) fn open_terminal() -> (File, File) {
    use rustix::pty::OpenptFlags;

    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let ours = rustix::pty::openpt(flags | OpenptFlags::CLOEXEC).unwrap();
    rustix::pty::grantpt(&ours).unwrap();
    rustix::pty::unlockpt(&ours).unwrap();
    let theirs: OwnedFd = rustix::pty::ioctl_tiocgptpeer(&ours, flags).unwrap();
    (File::from(ours), File::from(theirs))
}

pub(crate) fn kill(process: &Child, signal: Signal) {
    let id = i32::try_from(process.id().expect("the program runs")).unwrap();
    rustix::process::kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

pub(crate) async fn ended(process: &mut Child) -> ExitStatus {
    tokio::time::timeout(GUARD, process.wait())
        .await
        .expect("the program ends")
        .unwrap()
}
