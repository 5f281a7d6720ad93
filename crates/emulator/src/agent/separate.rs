//! A command without a terminal whose standard output and standard error are sent apart, as they come.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use ssm_session_proto::OutputStream;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStderr;
use tokio::process::ChildStdout;

use super::Guard;
use super::Outcome;
use super::command;
use super::job::End;
use super::job::LATE_OUTPUT;
use super::job::MESSAGE_SIZE;
use super::job::Turn;
use super::process::Belongings;
use super::process::Process;
use super::properties::Prefixes;
use super::terminal::read_now;
use super::text::WholeCharacters;

/// A command with a pipe for each of its output streams.
#[derive(Debug)]
pub(super) struct Separate {
    process: Process,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    /// The user has sent a signal.
    interrupted: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Running,
    /// The command has ended; what is in the pipes may still be read.
    Draining {
        exit_code: i32,
    },
    /// The output has ended too.
    Closing(VecDeque<Turn>),
}

impl Separate {
    /// Starts the command that `words` say. An error is the agent's text.
    pub(super) fn start(
        words: &[String],
        prefixes: Prefixes,
        guard: &Arc<Guard>,
    ) -> Result<Self, String> {
        let mut child = command::spawn(words, Stdio::piped(), Stdio::piped())?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        Ok(Self {
            process: Process::new(child, Belongings::Group, guard),
            stdout: Stream::new(OutputStream::Stdout, stdout, prefixes.stdout),
            stderr: Stream::new(OutputStream::Stderr, stderr, prefixes.stderr),
            interrupted: false,
            state: State::Running,
        })
    }

    /// See [`super::job::Job::turn`].
    pub(super) async fn turn(&mut self, may_output: bool) -> Turn {
        loop {
            let data = match &mut self.state {
                State::Running => tokio::select! {
                    data = self.stdout.read(), if may_output && self.stdout.is_open() => data,
                    data = self.stderr.read(), if may_output && self.stderr.is_open() => data,
                    status = self.process.wait() => {
                        let exit_code = exit_code(status, self.interrupted);
                        self.state = State::Draining { exit_code };
                        None
                    }
                },
                _ if !may_output => std::future::pending().await,
                State::Draining { exit_code } => {
                    let exit_code = *exit_code;
                    let data = self.stdout.read_now().or_else(|| self.stderr.read_now());
                    if data.is_none() {
                        self.close(exit_code);
                    }
                    data
                }
                State::Closing(turns) => match turns.pop_front() {
                    Some(turn) => return turn,
                    None => std::future::pending().await,
                },
            };
            if let Some((stream, data)) = data
                && !data.is_empty()
            {
                return Turn::Output { stream, data };
            }
        }
    }

    fn close(&mut self, exit_code: i32) {
        let rests = [self.stdout.finish(), self.stderr.finish()];
        let mut turns: VecDeque<_> = rests
            .into_iter()
            .filter(|(_, data)| !data.is_empty())
            .map(|(stream, data)| Turn::Output { stream, data })
            .collect();
        turns.push_back(Turn::ExitCode(exit_code));
        turns.push_back(Turn::Ended(End {
            announced: true,
            outcome: Outcome::success(),
        }));
        self.state = State::Closing(turns);
    }

    /// Looks for a control character; the command itself has no input.
    ///
    /// The agent reads nothing more until a command it has signalled ends. This one goes on, or it would miss
    /// the end of the session while a command ignores the signal.
    pub(super) fn input(&mut self, data: &[u8]) {
        if let Some(signal) = command::control_signal(data) {
            self.interrupted = true;
            self.process.signal(signal);
        }
    }
}

/// As the agent reports it: -1 for a command ended by a signal, and 1 whatever the truth if the signal came from
/// the user.
fn exit_code(status: io::Result<ExitStatus>, interrupted: bool) -> i32 {
    match status {
        Ok(status) if !interrupted => status.code().unwrap_or(-1),
        Ok(_) => 1,
        Err(error) => {
            tracing::warn!(%error, "the exit status of a command could not be had");
            1
        }
    }
}

/// One output stream of the command.
#[derive(Debug)]
struct Stream<P> {
    kind: OutputStream,
    /// Nothing when it has ended.
    pipe: Option<P>,
    prefix: String,
    /// The next read gets the prefix: it is the first, or the one before ended with a line.
    at_line_start: bool,
    characters: WholeCharacters,
    /// How much may be read after the command's end.
    late: usize,
}

impl<P: AsyncRead + AsFd + Unpin> Stream<P> {
    fn new(kind: OutputStream, pipe: Option<P>, prefix: String) -> Self {
        Self {
            kind,
            pipe,
            prefix,
            at_line_start: true,
            characters: WholeCharacters::default(),
            late: LATE_OUTPUT,
        }
    }

    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Waits for output; nothing when the stream has ended.
    async fn read(&mut self) -> Option<(OutputStream, Bytes)> {
        let mut buffer = [0; MESSAGE_SIZE];
        // The prefix counts towards the size of a message whether or not this one gets it.
        let room = buffer.get_mut(self.prefix.len()..)?;
        match self.pipe.as_mut()?.read(room).await {
            Ok(count) if count > 0 => {
                let data = room.get(..count)?;
                Some((self.kind, self.message(data)))
            }
            Ok(_) => self.close(),
            Err(error) => {
                tracing::debug!(%error, stream = ?self.kind, "the output of a command broke off");
                self.close()
            }
        }
    }

    fn read_now(&mut self) -> Option<(OutputStream, Bytes)> {
        let room = MESSAGE_SIZE - self.prefix.len();
        let data = read_now(self.pipe.as_ref()?, room, &mut self.late)?;
        Some((self.kind, self.message(&data)))
    }

    fn close(&mut self) -> Option<(OutputStream, Bytes)> {
        self.pipe = None;
        None
    }

    fn finish(&mut self) -> (OutputStream, Bytes) {
        (self.kind, self.characters.finish())
    }

    fn message(&mut self, data: &[u8]) -> Bytes {
        let prefix = if self.at_line_start {
            self.prefix.as_bytes()
        } else {
            &[]
        };
        let message = self.characters.push(&[prefix, data].concat());
        self.at_line_start = data.ends_with(b"\n");
        message
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_prefix_marks_each_read_that_begins_a_line() {
        let mut stream = Stream::<ChildStdout>::new(OutputStream::Stdout, None, "O:".to_owned());
        assert_eq!(stream.message(b"one\ntwo\n").as_ref(), b"O:one\ntwo\n");
        assert_eq!(stream.message(b"thr").as_ref(), b"O:thr");
        assert_eq!(stream.message(b"ee\n").as_ref(), b"ee\n");
        assert_eq!(stream.message(b"four\n").as_ref(), b"O:four\n");
    }

    #[test]
    fn exit_codes_are_the_agents() {
        assert_eq!(exit_code(Ok(ExitStatus::from_raw(0)), false), 0);
        assert_eq!(exit_code(Ok(ExitStatus::from_raw(3 << 8)), false), 3);
        assert_eq!(exit_code(Ok(ExitStatus::from_raw(9)), false), -1);
        assert_eq!(exit_code(Ok(ExitStatus::from_raw(3 << 8)), true), 1);
        assert_eq!(exit_code(Err(io::Error::other("lost")), false), 1);
    }
}
