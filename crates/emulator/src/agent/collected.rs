//! A command without a terminal whose output, both streams in one, is sent when it has ended.

use std::fs::File;
use std::io;
use std::sync::Arc;

use ssm_session_proto::OutputStream;
use tokio::io::AsyncReadExt as _;
use tokio::io::Take;

use super::Guard;
use super::Outcome;
use super::command;
use super::job::End;
use super::job::MESSAGE_SIZE;
use super::job::Turn;
use super::process::Belongings;
use super::process::Process;
use super::text::WholeCharacters;

/// A command that writes to a file.
#[derive(Debug)]
pub(super) struct Collected {
    process: Process,
    characters: WholeCharacters,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The command runs; the file it writes to.
    Running(File),
    /// It has ended; what it has written and what of that is not sent yet.
    Sending(Take<tokio::fs::File>),
    Sent,
}

impl Collected {
    /// Starts the command that `words` say. An error is the agent's text.
    pub(super) fn start(words: &[String], guard: &Arc<Guard>) -> Result<Self, String> {
        let output = Output::create().map_err(|error| {
            format!("Failed to open file for writing command output. error: {error}")
        })?;
        let child = command::spawn(words, output.stdout.into(), output.stderr.into())?;
        Ok(Self {
            process: Process::new(child, Belongings::Group, guard),
            characters: WholeCharacters::default(),
            state: State::Running(output.reader),
        })
    }

    /// See [`super::job::Job::turn`].
    pub(super) async fn turn(&mut self, may_output: bool) -> Turn {
        loop {
            match &mut self.state {
                State::Running(file) => {
                    let status = self.process.wait().await;
                    tracing::debug!(?status, "the command ended");
                    match written(file) {
                        Ok(file) => self.state = State::Sending(file),
                        Err(error) => return unreadable(&error),
                    }
                }
                _ if !may_output => std::future::pending().await,
                State::Sending(file) => {
                    let mut buffer = [0; MESSAGE_SIZE];
                    let data = match file.read(&mut buffer).await {
                        Ok(0) => {
                            self.state = State::Sent;
                            self.characters.finish()
                        }
                        Ok(count) => self
                            .characters
                            .push(buffer.get(..count).unwrap_or_default()),
                        Err(error) => return unreadable(&error),
                    };
                    if !data.is_empty() {
                        return Turn::Output {
                            stream: OutputStream::Stdout,
                            data,
                        };
                    }
                }
                State::Sent => return ended(Outcome::success()),
            }
        }
    }

    /// Looks for a control character; the command itself has no input.
    pub(super) fn input(&self, data: &[u8]) {
        if let Some(signal) = command::control_signal(data) {
            self.process.signal(signal);
        }
    }
}

fn ended(outcome: Outcome) -> Turn {
    Turn::Ended(End {
        announced: true,
        outcome,
    })
}

fn unreadable(error: &io::Error) -> Turn {
    tracing::warn!(%error, "the output of a command could not be read");
    ended(Outcome::error(&format!(
        "Failed to read command output: {error}"
    )))
}

/// What has been written up to now: a process that got away may write for ever.
fn written(file: &File) -> io::Result<Take<tokio::fs::File>> {
    let length = file.metadata()?.len();
    Ok(tokio::fs::File::from_std(file.try_clone()?).take(length))
}

/// One file without a name, opened for both streams to append to and once to read.
struct Output {
    stdout: File,
    stderr: File,
    reader: File,
}

impl Output {
    fn create() -> io::Result<Self> {
        let named = tempfile::Builder::new().append(true).tempfile()?;
        let reader = named.reopen()?;
        let stdout = named.into_file();
        Ok(Self {
            stderr: stdout.try_clone()?,
            stdout,
            reader,
        })
    }
}
