//! Child processes: the plugin, and this program in its other roles.

use std::io::BufRead as _;
use std::io::BufReader;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use crate::accounting;
use crate::relay::Place;

/// How long a process may take to say that it is ready.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A child, ended by its id when dropped.
pub(crate) struct Process(Child);

impl Process {
    /// The server; its port.
    pub(crate) fn server() -> (Self, u16) {
        Self::with_port(&["server"])
    }

    /// A relay to `next`; its port.
    pub(crate) fn relay(place: Place, next: u16) -> (Self, u16) {
        Self::with_port(&["relay", place.name(), &next.to_string()])
    }

    /// The emulator with a session to the server started; the answer to StartSession.
    pub(crate) fn emulator(agent_payload: usize, server: u16) -> (Self, String) {
        Self::in_role(&["emulator", &agent_payload.to_string(), &server.to_string()])
    }

    /// The plugin, started as the AWS CLI does; the port it has opened.
    pub(crate) fn plugin(response: &str) -> (Self, u16) {
        let name = "AWS_SSM_START_SESSION_RESPONSE";
        let request =
            r#"{"Target":"i-0123456789abcdef0","DocumentName":"AWS-StartPortForwardingSession"}"#;
        let mut command = Command::new(env!("CARGO_BIN_EXE_session-manager-plugin"));
        command
            .args([name, "us-east-1", "StartSession", "", request])
            .arg("http://127.0.0.1")
            .env(name, response)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("RUST_LOG");
        Self::start(command, |line| {
            let port = line.strip_prefix("Port ")?.split(' ').next()?;
            port.parse().ok()
        })
    }

    fn with_port(role: &[&str]) -> (Self, u16) {
        let (process, port) = Self::in_role(role);
        (process, port.parse().expect("a port"))
    }

    /// This program in another role; the line with which it says that it is ready.
    fn in_role(role: &[&str]) -> (Self, String) {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args(role);
        Self::start(command, |line| Some(line.to_owned()))
    }

    /// Starts a process and waits for the line of its output that `ready` takes.
    fn start<T: Send + 'static>(
        mut command: Command,
        ready: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> (Self, T) {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the process starts");
        let output = child.stdout.take().expect("its output is a pipe");
        let process = Self(child);
        let ready = read_until(output, ready);
        (
            process,
            ready.recv_timeout(START_LIMIT).expect("it is ready"),
        )
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Duration {
        accounting::cpu(self.0.id())
    }

    /// Most memory so far, in KiB.
    pub(crate) fn peak(&self) -> u64 {
        accounting::memory(self.0.id(), "VmHWM")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Reads all output of a process, and sends what the first line gives that `ready` takes.
fn read_until<T: Send + 'static>(
    output: ChildStdout,
    ready: impl Fn(&str) -> Option<T> + Send + 'static,
) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(ready) = ready(&line) {
                // Nobody waits for the second one.
                drop(sender.send(ready));
            }
        }
    });
    receiver
}
