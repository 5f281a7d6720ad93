//! What ends the commands of sessions when this process cannot.

use std::process::Stdio;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use rustix::process::Pid;
use tokio::process::Child;
use tokio::process::ChildStdin;
use tokio::process::Command;

/// A small shell script beside the emulator that is told of each command, and ends those that are left when its
/// standard input does: when this process was killed, for example.
///
/// The system tells a terminal's foreground job of that, and a child if it asks; nobody tells a job in the background,
/// or what a command without a terminal has started. The guard is started with the first command, and without it
/// sessions do as well.
#[derive(Debug, Default)]
pub(crate) struct Guard(Mutex<Option<Script>>);

#[derive(Debug)]
struct Script {
    child: Child,
    words: ChildStdin,
}

impl Guard {
    /// From now on the command that `leader` leads is to end with this process.
    pub(super) fn watch(&self, leader: Pid) {
        let mut script = self.script();
        if script.is_none() {
            *script = start();
        }
        say(&mut script, "start", leader);
    }

    /// The command has ended, and its id may become another's.
    pub(super) fn forget(&self, leader: Pid) {
        say(&mut self.script(), "end", leader);
    }

    /// Waits until the script has ended, and with it what it was to end.
    pub(crate) async fn close(&self) {
        let Some(Script { mut child, words }) = self.script().take() else {
            return;
        };
        drop(words);
        if let Err(error) = child.wait().await {
            tracing::debug!(%error, "the guard of commands could not be waited for");
        }
    }

    fn script(&self) -> MutexGuard<'_, Option<Script>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start() -> Option<Script> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT]);
    // Neither the terminal's signals nor a closed directory concern it.
    command.process_group(0).current_dir("/").env_clear();
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::null());
    let started = streams.stderr(Stdio::null()).spawn();
    match started {
        Ok(mut child) => {
            let words = child.stdin.take()?;
            Some(Script { child, words })
        }
        Err(error) => {
            tracing::warn!(%error, "what ends commands if the emulator is killed could not be started");
            None
        }
    }
}

/// Never waits: the pipe holds thousands of words. A script that missed one could end what has become another's, so it
/// goes, and the next command starts another.
fn say(script: &mut Option<Script>, word: &str, leader: Pid) {
    let Some(Script { words, .. }) = script else {
        return;
    };
    let line = format!("{word} {}\n", leader.as_raw_nonzero());
    let written = rustix::io::retry_on_intr(|| rustix::io::write(&*words, line.as_bytes()));
    if let Err(error) = written {
        tracing::debug!(%error, "the guard of commands cannot be told any more");
        if let Some(Script { mut child, .. }) = script.take() {
            child.start_kill().ok();
        }
    }
}

/// `ids` holds the leaders, a blank around each. At the end every process group of the sessions they lead is added,
/// which only Linux tells: from `/proc/<pid>/stat`, `pid (name) state parent group session …`.
const SCRIPT: &str = r#"# ends the commands of an ssm-emulator that was killed
ids=' '
while read -r word id; do
    case $word$ids in
        start*) ids="$ids$id " ;;
        end*" $id "*) ids="${ids%%" $id "*} ${ids#*" $id "}" ;;
    esac
done
case $ids in
    *[0-9]*) ;;
    *) exit ;;
esac
groups=$ids
for stat in /proc/[0-9]*/stat; do
    { read -r line < "$stat"; } 2> /dev/null || continue
    set -- ${line##*") "}
    case $ids in
        *" $4 "*) groups="$groups $3" ;;
    esac
done
for signal in HUP CONT KILL; do
    for group in $groups; do
        kill -s $signal -- "-$group" 2> /dev/null
    done
done
"#;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_watched_ends_with_the_guard_and_what_is_forgotten_does_not() {
        let guard = Guard::default();
        let mut commands = ["first", "second", "third"].map(|_| sleeper());
        for (command, _) in &commands {
            guard.watch(id(command));
        }
        guard.forget(id(&commands[1].0));
        guard.close().await;
        for index in [0, 2] {
            let (command, output) = &mut commands[index];
            assert_eq!(command.wait().await.unwrap().code(), None);
            // The pipe ends when the last process of the group has ended.
            assert_eq!(output.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        }
        let (command, _) = &mut commands[1];
        assert!(command.try_wait().unwrap().is_none());
        rustix::process::kill_process_group(id(command), rustix::process::Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn a_script_that_has_gone_is_replaced_for_the_next_command() {
        let guard = Guard::default();
        let (mut first, mut output) = sleeper();
        guard.watch(id(&first));
        let mut script = guard.script().take().unwrap();
        script.child.kill().await.unwrap();
        *guard.script() = Some(script);
        guard.forget(id(&first));
        guard.watch(id(&first));
        guard.close().await;
        first.wait().await.unwrap();
        assert_eq!(output.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn every_group_of_a_session_ends() {
        let guard = Guard::default();
        let mut command = Command::new("setsid");
        // A shell with job control gives each of its jobs a group.
        command.args(["sh", "-mc", "(exec sleep 1000) & wait"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        guard.watch(id(&child));
        guard.close().await;
        assert_eq!(output.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        child.wait().await.unwrap();
    }

    /// A shell with a child, both in the group of the shell, and what ends when they do.
    fn sleeper() -> (Child, tokio::process::ChildStdout) {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & wait"]).process_group(0);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        (child, output)
    }

    fn id(child: &Child) -> Pid {
        Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap()
    }
}
