//! A started command together with everything it started.

use std::ffi::OsStr;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;

use rustix::process::Pid;
use rustix::process::Signal;
use tokio::process::Child;
use tokio::process::Command;

use super::guard::Guard;
use super::signals::start_with_defaults;

/// A command as the agent starts one on the node: in the user's home, with the terminal type and the locale
/// the agent sets.
///
/// The emulated node is this machine and its user is the user of this process, so the rest of the environment
/// is this process's own, as the real agent's commands inherit the agent's.
pub(super) fn command_on_node(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("TERM", "xterm-256color").kill_on_drop(true);
    if std::env::var_os("LANG").is_none_or(|language| language.is_empty()) {
        command.env("LANG", "C.UTF-8");
    }
    if let Some(home) = std::env::home_dir()
        && home.is_dir()
    {
        command.env("HOME", &home).current_dir(&home);
    }
    start_with_defaults(&mut command);
    command
}

/// Which processes belong to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongings {
    /// The process group it leads.
    Group,
    /// Every process group of the session it leads: a shell gives each of its jobs one.
    Session,
}

/// A running command. Nothing of it stays: when it ends, is dropped or is waited for, what it left running in
/// its group or session is ended too. On a node a job left in the background would live on; here it would
/// outlive the emulator. Only a process that made a session of its own escapes.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// The command while its process id is its own, which is until it has been waited for.
    leader: Option<Pid>,
    belongings: Belongings,
    guard: Arc<Guard>,
}

impl Process {
    /// Takes charge of `child`, which leads a group or session of its own, and has `guard` do so after this process.
    pub(super) fn new(child: Child, belongings: Belongings, guard: &Arc<Guard>) -> Self {
        let leader = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(leader) = leader {
            guard.watch(leader);
        }
        Self {
            child,
            leader,
            belongings,
            guard: Arc::clone(guard),
        }
    }

    /// Waits for the command's end. Cancel-safe; may be called again after the end.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.end();
        status
    }

    /// Sends `signal` to the command's own process group.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            send(leader, signal);
        }
    }

    /// Hangs up on all that is left, then kills it.
    fn end(&mut self) {
        let Some(leader) = self.leader.take() else {
            return;
        };
        let groups = match self.belongings {
            Belongings::Group => vec![leader],
            Belongings::Session => groups_of_session(leader),
        };
        // A stopped process takes a signal only when it is continued.
        for signal in [Signal::HUP, Signal::CONT, Signal::KILL] {
            for group in &groups {
                send(*group, signal);
            }
        }
        self.guard.forget(leader);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A group that has ended meanwhile is what the caller wanted.
fn send(group: Pid, signal: Signal) {
    if let Err(error) = rustix::process::kill_process_group(group, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::debug!(?group, ?signal, %error, "a process group could not be signalled");
    }
}

/// The process groups of the session that `leader` leads, its own among them.
#[cfg(target_os = "linux")]
fn groups_of_session(leader: Pid) -> Vec<Pid> {
    let mut groups = vec![leader];
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return groups;
    };
    for process in processes.flatten() {
        let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else {
            continue; // no process, or one that has ended meanwhile
        };
        if let Some((group, session)) = group_and_session(&stat)
            && session == leader
            && !groups.contains(&group)
        {
            groups.push(group);
        }
    }
    groups
}

/// Only Linux tells which processes a session has. Elsewhere the terminal, which closes with the session,
/// hangs up on the job in the foreground.
#[cfg(not(target_os = "linux"))]
fn groups_of_session(leader: Pid) -> Vec<Pid> {
    vec![leader]
}

/// From `/proc/<pid>/stat`: `pid (name) state parent group session …`, where the name may hold anything, and group and
/// session of a process that is just ending are -1.
#[cfg(target_os = "linux")]
fn group_and_session(stat: &str) -> Option<(Pid, Pid)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut numbers = fields
        .split_ascii_whitespace()
        .skip(2)
        .map(|field| Pid::from_raw(field.parse().ok().filter(|id| *id > 0)?));
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::AsyncBufReadExt as _;
    use tokio::io::AsyncReadExt as _;
    use tokio::io::BufReader;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_is_just_ending_is_in_no_session() {
        assert_eq!(group_and_session("12 (sh) X 0 -1 -1 0 -1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_name_with_brackets_does_not_hide_its_session() {
        let pid = |raw| Pid::from_raw(raw).unwrap();
        let found = group_and_session("12 (a) (b 7 8) S 1 34 56 0 -1");
        assert_eq!(found, Some((pid(34), pid(56))));
        assert_eq!(group_and_session("12 (a) S 1"), None);
        assert_eq!(group_and_session(""), None);
    }

    #[tokio::test]
    async fn dropping_a_process_ends_its_children_too() {
        let (process, mut output) = start("sleep 1000 & echo started; wait");
        let mut line = String::new();
        output.read_line(&mut line).await.unwrap();
        assert_eq!(line, "started\n");
        drop(process);
        // The pipe ends when the last process that holds it has ended.
        assert_eq!(output.read_to_string(&mut line).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_a_process_leaves_behind_ends_with_it() {
        let (mut process, mut output) = start("sleep 1000 & exit 3");
        assert_eq!(process.wait().await.unwrap().code(), Some(3));
        assert_eq!(output.read_to_string(&mut String::new()).await.unwrap(), 0);
    }

    fn start(script: &str) -> (Process, BufReader<tokio::process::ChildStdout>) {
        let mut command = command_on_node("sh");
        command.args(["-c", script]).process_group(0);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let guard = Arc::default();
        (Process::new(child, Belongings::Group, &guard), output)
    }
}
