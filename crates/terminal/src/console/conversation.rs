//! The loop of a session on the console.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

mod ending;
mod establishing;
mod keys;
mod telling;

use bytes::Bytes;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session_proto::OutputStream;
use tokio::time::Instant;

use super::Console;
use super::Outcome;
use super::Patience;
use super::Setup;
use super::Streams;
use super::outage::Outage;
use super::row::Row;
use super::typing::Typing;
use super::until;
use crate::end_of_input::EndOfInput;
use crate::escape::EscapeChar;
use crate::escape::Recogniser;
use crate::input::Input;
use crate::raw_mode::Keys;
use crate::raw_mode::RawMode;
use crate::signals::Notice;
use crate::signals::Signal;
use crate::size::window_size;

/// One session, from the moment its connection stands.
pub(super) struct Conversation<'a> {
    console: &'a mut Console,
    session: Session,
    setup: &'a mut Setup,
    phase: Phase,
    raw: Option<RawMode>,
    /// Standard input is, or was, a terminal: a user sits there.
    at_terminal: bool,
    /// The stream by which that user's screen is reached, if it is, and is not a connection's.
    screen: Option<OutputStream>,
    outage: Outage,
    row: Row,
    input: Option<Input>,
    end_of_input: Option<EndOfInput>,
    escapes: Recogniser,
    typing: Typing,
    /// The user has been told that input is refused.
    has_refused: bool,
    /// The far end has left the cursor in the midst of a line.
    amid_line: bool,
    /// Output that has no place in the writer's queue yet; while there is any, no event is taken.
    unwritten: VecDeque<(OutputStream, Bytes)>,
    /// Why the session is being ended from here, and until when the service may take to end it.
    ending: Option<(Outcome, Instant)>,
    /// Until when an agent that is known to answer first thing may take to do so.
    answer_by: Option<Instant>,
    output_broken: bool,
}

/// What is at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not known yet.
    Waiting,
    /// A terminal.
    Terminal,
    /// A command without standard input.
    Command,
}

enum Step {
    Notice(Notice),
    Event(SessionEvent),
    Place,
    Chunk(Option<Bytes>),
    Sent,
    Broken(Arc<io::Error>),
    Silence,
    Outage,
    Row,
    Impatient,
    Unanswered,
    TimeUp,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(console: &'a mut Console, session: Session, setup: &'a mut Setup) -> Self {
        let typing = Typing::new(session.control());
        let raw = if setup.is_port {
            None
        } else {
            enter(Keys::Interruptible)
        };
        let answer_by = setup.is_port.then(|| Instant::now() + ANSWER_LIMIT);
        let at_terminal = io::stdin().is_terminal();
        let screen = console.screen().filter(|_| at_terminal && !setup.is_port);
        let escape = if at_terminal {
            setup.escape
        } else {
            EscapeChar::NONE
        };
        Self {
            console,
            session,
            setup,
            phase: Phase::Waiting,
            raw,
            at_terminal,
            screen,
            outage: Outage::default(),
            row: Row::default(),
            input: None,
            end_of_input: None,
            escapes: Recogniser::new(escape),
            typing,
            has_refused: false,
            amid_line: false,
            unwritten: VecDeque::new(),
            ending: None,
            answer_by,
            output_broken: false,
        }
    }

    pub(super) async fn run(mut self, waiting_for: &(impl fmt::Display + ?Sized)) -> Outcome {
        let mut patience = Patience::new(io::stderr().is_terminal());
        // Not only once the session is up: a shell that says nothing by itself shows by taking its size that it exists.
        if !self.setup.is_port {
            self.session.resize(window_size());
        }
        loop {
            match self.step(&mut patience).await {
                Step::Notice(notice) => {
                    if let Some(signal) = self.handle_notice(notice) {
                        return self.finish(Outcome::Signalled(signal)).await;
                    }
                }
                Step::Event(SessionEvent::Closed(close)) => return self.close(close).await,
                Step::Event(SessionEvent::Established(established)) => {
                    establishing::log(&established);
                    match established.port_form() {
                        Some(form) => return self.forward(form, &established).await,
                        None => self.establish(&established),
                    }
                }
                Step::Event(event) => self.handle_event(event),
                Step::Chunk(chunk) => {
                    if let Some(outcome) = self.handle_input(chunk).await {
                        return self.finish(outcome).await;
                    }
                }
                Step::Broken(error) => self.handle_broken_output(error),
                Step::Silence => self.handle_silence(),
                Step::Outage => self.handle_outage(),
                Step::Row => self.show_again(),
                Step::Impatient => self.say_waiting(waiting_for),
                Step::Unanswered => self.handle_unanswered(),
                Step::TimeUp => {
                    if let Some((outcome, _)) = self.ending.take() {
                        return self.finish(outcome).await;
                    }
                }
                Step::Place | Step::Sent => {}
            }
        }
    }

    /// Waits for the next thing to happen.
    async fn step(&mut self, patience: &mut Patience) -> Step {
        let waiting = self.phase == Phase::Waiting;
        let hears = !self.outage.is_lost();
        let silence = self.end_of_input.as_ref().and_then(EndOfInput::due);
        let silence = silence.filter(|_| hears);
        let time_up = self.ending.as_ref().map(|(_, deadline)| *deadline);
        let outage = self.outage.due();
        let row = self.row.due();
        let reads = self.reads();
        // A forward goes on without standard output, and a session can only be ended once it is up.
        let unwatched = self.output_broken || (waiting && self.setup.is_port);
        tokio::select! {
            notice = self.console.signals.next() => Step::Notice(notice),
            error = self.console.output.broken(), if !unwatched => Step::Broken(error),
            place = self.console.output.place(), if !self.unwritten.is_empty() => {
                if let Some((stream, data)) = self.unwritten.pop_front() {
                    place.write(stream, data);
                }
                Step::Place
            }
            Some(event) = self.session.next_event(), if self.unwritten.is_empty() => Step::Event(event),
            () = self.typing.sent() => Step::Sent,
            chunk = keys::next(&mut self.input), if reads => Step::Chunk(chunk),
            () = until(silence) => Step::Silence,
            () = until(outage) => Step::Outage,
            () = until(row) => Step::Row,
            () = patience.lost(), if waiting => Step::Impatient,
            () = until(self.answer_by), if waiting => Step::Unanswered,
            () = until(time_up) => Step::TimeUp,
        }
    }

    /// Handles a signal; answers with it when the program is to end now.
    fn handle_notice(&mut self, notice: Notice) -> Option<Signal> {
        match (notice, self.phase) {
            (Notice::End(signal), _) if self.ending.is_some() => return signal.if_asked_again(),
            (Notice::Quit, _) if self.ending.is_some() => return Some(Signal::Quit),
            (Notice::End(signal), _) => self.leave(signal),
            (Notice::Quit, Phase::Waiting) => self.leave(Signal::Quit),
            (Notice::Quit, _) => self.typing.send(Bytes::from_static(&[QUIT])),
            (Notice::Stop, Phase::Terminal) => self.typing.send(Bytes::from_static(&[SUSPEND])),
            (Notice::Stop, _) => {}
            (Notice::Resized, _) => {
                self.session.resize(window_size());
                self.show_again();
            }
            (Notice::Continued, _) => self.go_on(),
        }
        None
    }

    /// Takes the terminal over again after somebody else has had it.
    fn go_on(&mut self) {
        if let Some(Err(error)) = self.raw.as_ref().map(RawMode::reapply) {
            tracing::warn!(%error, "the terminal's mode could not be set again");
        }
        self.session.resize(window_size());
        self.show_again();
    }

    fn handle_event(&mut self, event: SessionEvent) {
        self.watch_outage(&event);
        if let Some(end) = &mut self.end_of_input
            && matches!(
                event,
                SessionEvent::Output { .. } | SessionEvent::Reconnected
            )
        {
            end.handle_output(Instant::now());
        }
        match event {
            SessionEvent::Output { stream, data } => {
                let stream = match self.console.streams {
                    Streams::Merged => OutputStream::Stdout,
                    Streams::Separate => stream,
                };
                self.make_way();
                self.amid_line = !data.ends_with(b"\n");
                self.unwritten.push_back((stream, data));
            }
            SessionEvent::ExitCode(code) => {
                tracing::debug!(code, "exit code of the remote command");
                if self.console.streams == Streams::Merged {
                    self.say(&format!("EXIT_CODE: {code}"));
                }
            }
            // Events this program does not know carry nothing for the terminal.
            _ => {}
        }
    }
}

/// The terminal in a mode, or as it is when that cannot be: a session without raw mode is better than none.
fn enter(keys: Keys) -> Option<RawMode> {
    RawMode::enter(keys).unwrap_or_else(|error| {
        tracing::warn!(%error, "the terminal's mode could not be set");
        None
    })
}

/// The agents of port sessions begin with a handshake, for which they allow 15 s (`docs/PROTOCOL.md` 5).
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const SUSPEND: u8 = 0x1a;
const QUIT: u8 = 0x1c;
