//! A command on a terminal of its own: the shell of Standard_Stream sessions, and InteractiveCommands.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;

use bytes::Buf as _;
use bytes::Bytes;
use bytes::BytesMut;
use pty_process::Pty;
use ssm_session_proto::OutputStream;
use ssm_session_proto::TerminalSize;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use super::Guard;
use super::Outcome;
use super::job::End;
use super::job::LATE_OUTPUT;
use super::job::MESSAGE_SIZE;
use super::job::Turn;
use super::process::Belongings;
use super::process::Process;
use super::process::command_on_node;
use super::text::WholeCharacters;

/// A shell, or one command in a shell, on a pseudo-terminal.
pub(super) struct Terminal {
    pty: Pty,
    process: Process,
    /// Input the terminal has not taken yet.
    typed: BytesMut,
    characters: WholeCharacters,
    state: State,
}

#[derive(Debug)]
enum State {
    Running,
    /// The command has ended; so many bytes of its output may still be read.
    Draining {
        left: usize,
    },
    /// The output has ended too.
    Closing(VecDeque<Turn>),
}

/// What came of letting the command run.
enum Happened {
    Read(Bytes),
    AllTyped,
    StateChanged,
}

impl Terminal {
    /// Starts `sh`, or `commands` in one, with `profile` as the first line typed. An error is the agent's text.
    pub(super) fn start(
        commands: Option<&str>,
        profile: Option<&str>,
        guard: &Arc<Guard>,
    ) -> Result<Self, String> {
        let (pty, pts) = pty_process::open().map_err(|error| error.to_string())?;
        let mut command = command_on_node("sh");
        if let Some(commands) = commands {
            command.args(["-c", commands]);
        }
        let child = pty_process::Command::from(command)
            .spawn(pts)
            .map_err(|error| error.to_string())?;
        let mut typed = BytesMut::new();
        if let Some(profile) = profile {
            typed.extend_from_slice(profile.as_bytes());
            typed.extend_from_slice(b"\n");
        }
        Ok(Self {
            pty,
            process: Process::new(child, Belongings::Session, guard),
            typed,
            characters: WholeCharacters::default(),
            state: State::Running,
        })
    }

    /// See [`super::job::Job::turn`].
    pub(super) async fn turn(&mut self, may_output: bool) -> Turn {
        loop {
            let data = match &mut self.state {
                State::Running => match self.run(may_output).await {
                    Happened::Read(data) => Some(data),
                    Happened::AllTyped => return Turn::InputTaken,
                    Happened::StateChanged => None,
                },
                _ if !may_output => std::future::pending().await,
                State::Draining { left } => {
                    let read = read_now(&self.pty, MESSAGE_SIZE, left);
                    if read.is_none() {
                        self.close();
                    }
                    read
                }
                State::Closing(turns) => match turns.pop_front() {
                    Some(turn) => return turn,
                    None => std::future::pending().await,
                },
            };
            if let Some(data) = data {
                let data = self.characters.push(&data);
                if !data.is_empty() {
                    return output(data);
                }
            }
        }
    }

    /// Waits for output or for an end, and passes typed input on meanwhile.
    async fn run(&mut self, may_output: bool) -> Happened {
        let mut buffer = [0; MESSAGE_SIZE];
        loop {
            let (mut reader, mut writer) = self.pty.split();
            tokio::select! {
                read = reader.read(&mut buffer), if may_output => match read {
                    Ok(count) if count > 0 => {
                        return Happened::Read(Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default()));
                    }
                    // No process holds the terminal any more; the system reports that as an error.
                    Ok(_) | Err(_) => {
                        self.close();
                        return Happened::StateChanged;
                    }
                },
                written = writer.write(&self.typed), if !self.typed.is_empty() => {
                    match written {
                        Ok(count) => self.typed.advance(count),
                        Err(error) => {
                            tracing::debug!(%error, "the terminal takes no more input");
                            self.typed.clear();
                        }
                    }
                    if self.typed.is_empty() {
                        return Happened::AllTyped;
                    }
                }
                status = self.process.wait() => {
                    tracing::debug!(?status, "the command on the terminal ended");
                    // Nobody is left to read the rest of the input.
                    self.typed.clear();
                    self.state = State::Draining { left: LATE_OUTPUT };
                    return Happened::AllTyped;
                }
            }
        }
    }

    fn close(&mut self) {
        self.typed.clear();
        let mut turns = VecDeque::new();
        let rest = self.characters.finish();
        if !rest.is_empty() {
            turns.push_back(output(rest));
        }
        turns.push_back(Turn::Ended(End {
            announced: true,
            outcome: Outcome::success(),
        }));
        self.state = State::Closing(turns);
    }

    pub(super) fn takes_input(&self) -> bool {
        self.typed.is_empty()
    }

    pub(super) fn input(&mut self, data: &[u8]) {
        if matches!(self.state, State::Running) {
            self.typed.extend_from_slice(data);
        }
    }

    /// Sizes above 65535 lose their upper bits, as on the agent.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a terminal counts in 16 bits, and the agent truncates"
    )]
    pub(super) fn resize(&self, size: TerminalSize) {
        let (rows, cols) = (size.rows as u16, size.cols as u16);
        if let Err(error) = self.pty.resize(pty_process::Size::new(rows, cols)) {
            tracing::debug!(%error, "the terminal could not be resized");
        }
    }
}

fn output(data: Bytes) -> Turn {
    Turn::Output {
        stream: OutputStream::Stdout,
        data,
    }
}

/// Reads up to `most` bytes of what `source`, which does not block, holds at this moment; nothing when it holds
/// nothing, has ended, or `left` is used up.
///
/// Goes past the runtime, whose picture of what can be read may be older than the command's end.
pub(super) fn read_now(source: &impl AsFd, most: usize, left: &mut usize) -> Option<Bytes> {
    let mut buffer = [0; MESSAGE_SIZE];
    let room = buffer.get_mut(..most.min(*left))?;
    let count = rustix::io::retry_on_intr(|| rustix::io::read(source, &mut *room)).ok()?;
    *left -= count;
    let read = room.get(..count)?;
    (!read.is_empty()).then(|| Bytes::copy_from_slice(read))
}
