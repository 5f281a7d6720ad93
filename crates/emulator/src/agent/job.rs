//! What the agent runs for a session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ssm_session_proto::ControlFlag;
use ssm_session_proto::OutputStream;
use ssm_session_proto::SessionType;
use ssm_session_proto::TerminalSize;
use ssm_session_proto::Version;
use tokio::time::Instant;

use super::AgentTask;
use super::Guard;
use super::Outcome;
use super::collected::Collected;
use super::port::Port;
use super::properties::Properties;
use super::separate::Separate;
use super::terminal::Terminal;
use super::words;
use crate::documents::ResolvedDocument;
use crate::plan::Pacing;

/// The most output of one message; a character held back from the message before adds up to 3 bytes.
pub(super) const MESSAGE_SIZE: usize = 1024;

/// The most that is read from a terminal or pipe after the command's end. It can hold no more of what the
/// command itself wrote; a longer stream comes from a process that got away from it.
pub(super) const LATE_OUTPUT: usize = 1 << 20;

/// A session's command or connections, from their start to their end.
pub(super) enum Job {
    Terminal(Terminal),
    Collected(Collected),
    Separate(Separate),
    Port(Port),
    Refused(Refused),
}

/// What a job does next.
#[derive(Debug)]
pub(super) enum Turn {
    Output {
        stream: OutputStream,
        data: Bytes,
    },
    ExitCode(i32),
    /// A connection could not be made.
    ConnectToPortError,
    /// The input given so far was passed on.
    InputTaken,
    /// Always the last.
    Ended(End),
}

/// How a job ended.
#[derive(Debug)]
pub(super) struct End {
    /// Whether the agent announces the end on the data channel, or just leaves.
    pub(super) announced: bool,
    pub(super) outcome: Outcome,
}

impl Job {
    /// Starts what `task` says. A start that fails is a job too: it tells the user, then ends.
    pub(super) fn start(task: &AgentTask, client_version: Option<&Version>) -> Self {
        let document = &task.document;
        let started = if document.session_type == SessionType::STANDARD_STREAM {
            Terminal::start(
                None,
                document.inputs.shell_profile_linux.as_deref(),
                &task.guard,
            )
            .map(Self::Terminal)
            .map_err(|error| Refusal::Unstartable(format!("Failed to start pty: {error}\n")))
        } else if document.session_type == SessionType::PORT {
            Port::start(task, client_version)
                .map(Self::Port)
                .map_err(Refusal::Invalid)
        } else {
            Self::start_command(document, &task.guard)
        };
        started
            .unwrap_or_else(|refusal| Self::Refused(Refused::new(refusal, document, task.pacing)))
    }

    fn start_command(document: &ResolvedDocument, guard: &Arc<Guard>) -> Result<Self, Refusal> {
        let properties = Properties::parse(&document.properties).map_err(Refusal::Invalid)?;
        if properties.commands.trim().is_empty() {
            return Err(Refusal::Invalid(format!(
                "Commands cannot be empty for session type {}",
                document.session_type.as_str()
            )));
        }
        if document.session_type == SessionType::INTERACTIVE_COMMANDS {
            return Terminal::start(Some(&properties.commands), None, guard)
                .map(Self::Terminal)
                .map_err(|error| Refusal::Unstartable(format!("Failed to start pty: {error}\n")));
        }
        let prefixes = properties.separate_output.map_err(Refusal::Invalid)?;
        let words = words::split(&properties.commands).map_err(|error| {
            Refusal::Unstartable(format!("Failed to parse commands input: {error}\n"))
        })?;
        match prefixes {
            Some(prefixes) => Separate::start(&words, prefixes, guard)
                .map(Self::Separate)
                .map_err(|error| Refusal::NotExecuted {
                    error,
                    exit_code: true,
                }),
            None => Collected::start(&words, guard)
                .map(Self::Collected)
                .map_err(|error| Refusal::NotExecuted {
                    error,
                    exit_code: false,
                }),
        }
    }

    /// Waits for what the job does next; without `may_output` the turn comes later. Cancel-safe.
    pub(super) async fn turn(&mut self, may_output: bool) -> Turn {
        match self {
            Self::Terminal(terminal) => terminal.turn(may_output).await,
            Self::Collected(collected) => collected.turn(may_output).await,
            Self::Separate(separate) => separate.turn(may_output).await,
            Self::Port(port) => port.turn(may_output).await,
            Self::Refused(refused) => refused.turn(may_output).await,
        }
    }

    /// Output that is there already, where looking for it costs nothing.
    pub(super) fn next_output(&mut self) -> Option<Bytes> {
        match self {
            Self::Port(port) => port.next_output(),
            Self::Terminal(_) | Self::Collected(_) | Self::Separate(_) | Self::Refused(_) => None,
        }
    }

    /// Whether more input can be taken: what came before has been passed on.
    pub(super) fn takes_input(&self) -> bool {
        match self {
            Self::Terminal(terminal) => terminal.takes_input(),
            Self::Port(port) => port.takes_input(),
            Self::Collected(_) | Self::Separate(_) | Self::Refused(_) => true,
        }
    }

    pub(super) fn input(&mut self, data: Bytes) {
        match self {
            Self::Terminal(terminal) => terminal.input(&data),
            Self::Collected(collected) => collected.input(&data),
            Self::Separate(separate) => separate.input(&data),
            Self::Port(port) => port.input(data),
            Self::Refused(_) => {}
        }
    }

    /// A flag of the client, and the session's end if it ends it at once.
    pub(super) fn flag(&mut self, flag: ControlFlag) -> Option<End> {
        match self {
            Self::Port(port) => port.flag(flag),
            // Sessions without ports have no use for flags.
            Self::Terminal(_) | Self::Collected(_) | Self::Separate(_) | Self::Refused(_) => None,
        }
    }

    pub(super) fn resize(&self, size: TerminalSize) {
        match self {
            Self::Terminal(terminal) => terminal.resize(size),
            // Without a terminal there is nothing to resize.
            Self::Collected(_) | Self::Separate(_) | Self::Port(_) | Self::Refused(_) => {}
        }
    }

    /// How long the agent waits between the start and the first output: time for a shell to come up.
    pub(super) fn wait_before_output(&self) -> Duration {
        match self {
            Self::Terminal(_) => Duration::from_secs(1),
            Self::Collected(_) | Self::Separate(_) | Self::Port(_) | Self::Refused(_) => {
                Duration::ZERO
            }
        }
    }

    /// How long the agent rests after each message of output.
    pub(super) fn wait_after_output(&self) -> Duration {
        match self {
            Self::Terminal(_) | Self::Collected(_) | Self::Port(_) => Duration::from_millis(1),
            Self::Separate(_) | Self::Refused(_) => Duration::ZERO,
        }
    }
}

/// Why nothing was started.
#[derive(Debug)]
enum Refusal {
    /// The document's properties make no sense; the text is for the service alone.
    Invalid(String),
    /// The command could not be prepared.
    Unstartable(String),
    /// The operating system did not execute the command, for the reason in the agent's words.
    NotExecuted { error: String, exit_code: bool },
}

impl Refusal {
    /// What the real agent does then, and how long it waits before each step.
    fn turns(self, has_terminal: bool) -> Vec<(Duration, Turn)> {
        const AT_ONCE: Duration = Duration::ZERO;
        match self {
            Self::Invalid(text) => vec![(AT_ONCE, ended(false, Outcome::failed(text)))],
            Self::Unstartable(error) => {
                let text = format!("Unable to start command: {error}\n");
                let end = ended(false, Outcome::error(&text));
                if has_terminal {
                    vec![(Duration::from_secs(2), end)]
                } else {
                    vec![(Duration::from_secs(3), told(text)), (AT_ONCE, end)]
                }
            }
            Self::NotExecuted { error, exit_code } => {
                let text = format!("Error occurred starting the command: {error}\n");
                let end = ended(true, Outcome::error(&text));
                let code = exit_code.then_some((AT_ONCE, Turn::ExitCode(1)));
                let told = (Duration::from_secs(1), told(error));
                code.into_iter().chain([told, (AT_ONCE, end)]).collect()
            }
        }
    }
}

/// A job that was never started: what the agent still does is decided, only the time has to pass.
#[derive(Debug)]
pub(super) struct Refused {
    /// Each with the wait before it.
    turns: VecDeque<(Duration, Turn)>,
    next: Instant,
}

impl Refused {
    fn new(refusal: Refusal, document: &ResolvedDocument, pacing: Pacing) -> Self {
        let has_terminal = document.session_type.is_interactive_shell();
        let mut turns: VecDeque<_> = refusal.turns(has_terminal).into();
        if pacing == Pacing::None {
            for (wait, _) in &mut turns {
                *wait = Duration::ZERO;
            }
        }
        let mut refused = Self {
            turns,
            next: Instant::now(),
        };
        refused.schedule();
        refused
    }

    fn schedule(&mut self) {
        if let Some((wait, _)) = self.turns.front() {
            self.next = Instant::now() + *wait;
        }
    }

    async fn turn(&mut self, may_output: bool) -> Turn {
        tokio::time::sleep_until(self.next).await;
        if may_output && let Some((_, turn)) = self.turns.pop_front() {
            self.schedule();
            return turn;
        }
        std::future::pending().await
    }
}

fn ended(announced: bool, outcome: Outcome) -> Turn {
    Turn::Ended(End { announced, outcome })
}

/// An error the user sees on standard error.
fn told(text: String) -> Turn {
    Turn::Output {
        stream: OutputStream::Stderr,
        data: Bytes::from(text),
    }
}
