//! The loop of a session on the console.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ssm_session::Close;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session_proto::Established;
use ssm_session_proto::LocalEnd;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PortForm;
use ssm_session_proto::SessionType;
use tokio::time::Instant;

use super::Console;
use super::LEAVING_LIMIT;
use super::Outcome;
use super::Patience;
use super::Setup;
use super::Streams;
use super::forward::Forward;
use super::outage::Outage;
use super::printable;
use super::relay::Relay;
use super::typing::Typing;
use super::until;
use crate::end_of_input::EndOfInput;
use crate::input::Input;
use crate::local_end::CannotListen;
use crate::raw_mode::Keys;
use crate::raw_mode::RawMode;
use crate::signals::Notice;
use crate::signals::Signal;
use crate::size::window_size;
use crate::text::sanitised;

/// One session, from the moment its connection stands.
pub(super) struct Conversation<'a> {
    console: &'a mut Console,
    session: Session,
    setup: &'a mut Setup,
    phase: Phase,
    raw: Option<RawMode>,
    outage: Outage,
    input: Option<Input>,
    end_of_input: Option<EndOfInput>,
    typing: Typing,
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
        Self {
            console,
            session,
            setup,
            phase: Phase::Waiting,
            raw,
            outage: Outage::default(),
            input: None,
            end_of_input: None,
            typing,
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
                        return Outcome::Signalled(signal);
                    }
                }
                Step::Event(SessionEvent::Closed(close)) => return self.close(close).await,
                Step::Event(SessionEvent::Established(established)) => {
                    log(&established);
                    match established.port_form() {
                        Some(form) => return self.forward(form, &established).await,
                        None => self.establish(&established),
                    }
                }
                Step::Event(event) => self.handle_event(event),
                Step::Chunk(chunk) => self.handle_input(chunk),
                Step::Broken(error) => self.handle_broken_output(error),
                Step::Silence => self.handle_silence(),
                Step::Outage => self.handle_outage(),
                Step::Impatient => self.console.say_waiting(waiting_for).await,
                Step::Unanswered => self.handle_unanswered(),
                Step::TimeUp => {
                    if let Some((outcome, _)) = self.ending.take() {
                        return outcome;
                    }
                }
                Step::Place | Step::Sent => {}
            }
        }
    }

    /// Waits for the next thing to happen.
    async fn step(&mut self, patience: &mut Patience) -> Step {
        let waiting = self.phase == Phase::Waiting;
        let hears = !self.outage.is_on();
        let silence = self.end_of_input.as_ref().and_then(EndOfInput::due);
        let silence = silence.filter(|_| hears);
        let time_up = self.ending.as_ref().map(|(_, deadline)| *deadline);
        let outage = self.outage.due();
        let reading = self.typing.is_idle();
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
            chunk = next(&mut self.input), if reading => Step::Chunk(chunk),
            () = until(silence) => Step::Silence,
            () = until(outage) => Step::Outage,
            () = patience.lost(), if waiting => Step::Impatient,
            () = until(self.answer_by), if waiting => Step::Unanswered,
            () = until(time_up) => Step::TimeUp,
        }
    }

    /// Handles a signal; answers with it when the program is to end now.
    fn handle_notice(&mut self, notice: Notice) -> Option<Signal> {
        match (notice, self.phase) {
            // Who asks twice means it.
            (Notice::End(signal), _) if self.ending.is_some() => return Some(signal),
            (Notice::Quit, Phase::Waiting) if self.ending.is_some() => return Some(Signal::Quit),
            (Notice::End(signal), _) => self.leave(signal),
            (Notice::Quit, Phase::Waiting) => self.leave(Signal::Quit),
            (Notice::Quit, _) => self.typing.send(Bytes::from_static(&[QUIT])),
            (Notice::Stop, Phase::Terminal) => self.typing.send(Bytes::from_static(&[SUSPEND])),
            (Notice::Stop, _) => {}
            (Notice::Resized, _) => self.session.resize(window_size()),
            (Notice::Continued, _) => {
                if let Some(Err(error)) = self.raw.as_ref().map(RawMode::reapply) {
                    tracing::warn!(%error, "the terminal's mode could not be set again");
                }
                self.session.resize(window_size());
            }
        }
        None
    }

    /// Ends the session because of a signal.
    fn leave(&mut self, signal: Signal) {
        self.console.leave(signal);
        self.end(Outcome::Signalled(signal));
    }

    fn handle_outage(&mut self) {
        let news = self.outage.news();
        let text = news.and_then(|news| self.setup.texts.text(&news));
        self.tell(text);
    }

    /// Tells a user at a terminal something on a line of its own, wherever the far end has left the cursor.
    fn tell(&mut self, text: Option<String>) {
        if let Some(text) = text
            && io::stdin().is_terminal()
        {
            self.say(&format!("\n{text}"));
        }
    }

    fn handle_event(&mut self, event: SessionEvent) {
        if let Some(news) = self.outage.handle(&event) {
            let text = self.setup.texts.text(&news);
            self.tell(text);
        }
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

    /// Hands over to what runs port sessions.
    async fn forward(self, form: PortForm, established: &Established) -> Outcome {
        drop(self.raw);
        let message = message(established);
        if form == PortForm::Stdio {
            return Relay::new(self.console, self.session).run(message).await;
        }
        let end = LocalEnd::from_properties(&established.properties);
        Forward::new(self.console, self.session, form, self.setup)
            .run(message, end.map_err(CannotListen::from))
            .await
    }

    fn establish(&mut self, established: &Established) {
        if established.session_type.is_interactive_shell() {
            self.open_terminal();
        } else if established.session_type == SessionType::NON_INTERACTIVE_COMMANDS {
            // The agent throws input of such a session away, except the bytes of Ctrl-C and Ctrl-\ anywhere in it
            // (`docs/PROTOCOL.md` 7.3): standard input is left alone, and the terminal with it.
            self.phase = Phase::Command;
            self.raw = None;
        } else {
            self.phase = Phase::Command;
            self.end(Outcome::Unsupported(established.session_type.clone()));
            return;
        }
        if let Some(message) = message(established) {
            self.say(&message);
        }
        self.session.resize(window_size());
    }

    fn open_terminal(&mut self) {
        self.phase = Phase::Terminal;
        if let Some(Err(error)) = self.raw.as_ref().map(|raw| raw.switch(Keys::Raw)) {
            tracing::warn!(%error, "raw mode could not be set");
        }
        if let Err(error) = self.console.signals.take_stop() {
            tracing::warn!(%error, "SIGTSTP cannot be passed on");
        }
        match Input::stdin() {
            Ok(input) => self.input = Some(input),
            Err(error) => self.end(Outcome::InputFailed(error)),
        }
    }

    fn handle_input(&mut self, chunk: Option<Bytes>) {
        if let Some(data) = chunk {
            // The far end cannot be interrupted, so that the wish is for an end of the waiting.
            if self.outage.is_told() && io::stdin().is_terminal() && data.contains(&INTERRUPT) {
                self.leave(Signal::Interrupt);
            } else {
                self.typing.send(data);
            }
            return;
        }
        self.input = None;
        tracing::debug!("end of standard input");
        // A terminal in raw mode has no end of file: this one has gone, and SIGHUP tells of that.
        if !io::stdin().is_terminal() {
            self.typing
                .send(Bytes::from_static(EndOfInput::first(self.typing.last())));
            self.end_of_input = Some(EndOfInput::new(Instant::now()));
        }
    }

    fn handle_silence(&mut self) {
        if let Some(end) = &mut self.end_of_input {
            end.handle_sent(Instant::now());
            if self.typing.is_idle() {
                self.typing.send(Bytes::from_static(EndOfInput::again()));
            }
        }
    }

    /// Whoever started this may have gone long since: `ssh` ends its `ProxyCommand` without a word.
    fn handle_unanswered(&mut self) {
        self.answer_by = None;
        self.end(Outcome::Unanswered(ANSWER_LIMIT));
    }

    fn handle_broken_output(&mut self, error: Arc<io::Error>) {
        tracing::debug!(%error, "standard output cannot be written to any more");
        self.output_broken = true;
        self.unwritten.clear();
        self.end(self.console.output_outcome());
    }

    /// Has the service end the session; the first reason counts.
    fn end(&mut self, outcome: Outcome) {
        if self.ending.is_none() {
            self.session.terminate();
            self.ending = Some((outcome, Instant::now() + LEAVING_LIMIT));
        }
    }

    /// The session has ended: the rest of its output leaves, then the terminal is restored.
    async fn close(self, close: Close) -> Outcome {
        let ending = self.ending.map(|(outcome, _)| outcome);
        let outcome = self.console.conclude(ending, close).await;
        // The texts of AWS's plugin begin with lines of their own.
        let ours = self.console.streams == Streams::Separate;
        if ours && self.raw.is_some() && self.amid_line && io::stderr().is_terminal() {
            self.console.print_error("\n").await;
        }
        drop(self.raw);
        outcome
    }

    /// Prints text among the session's output, where its messages go.
    fn say(&mut self, text: &str) {
        let stream = self.console.text_stream();
        self.unwritten.push_back((stream, printable(stream, text)));
    }
}

fn log(established: &Established) {
    tracing::info!(
        session_type = established.session_type.as_str(),
        agent_version = established
            .agent_version
            .as_ref()
            .map(tracing::field::display),
        encrypted = established.encrypted,
        "session established"
    );
}

/// The agent's message for the user, fit for a terminal.
fn message(established: &Established) -> Option<String> {
    let message = &established.customer_message;
    (!message.is_empty()).then(|| format!("{}\n", sanitised(message)))
}

/// The terminal in a mode, or as it is when that cannot be: a session without raw mode is better than none.
fn enter(keys: Keys) -> Option<RawMode> {
    RawMode::enter(keys).unwrap_or_else(|error| {
        tracing::warn!(%error, "the terminal's mode could not be set");
        None
    })
}

async fn next(input: &mut Option<Input>) -> Option<Bytes> {
    match input {
        Some(input) => input.next().await,
        None => std::future::pending().await,
    }
}

/// The agents of port sessions begin with a handshake, for which they allow 15 s (`docs/PROTOCOL.md` 5).
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const INTERRUPT: u8 = 0x03;
const SUSPEND: u8 = 0x1a;
const QUIT: u8 = 0x1c;
