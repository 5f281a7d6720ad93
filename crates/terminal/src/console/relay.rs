//! A session that is one connection, over standard input and output: what `ssh` has as its `ProxyCommand`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use ssm_session::Close;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session_proto::OutputStream;
use tokio::time::Instant;

use super::Console;
use super::LEAVING_LIMIT;
use super::Outcome;
use super::gathered::Gathered;
use super::outage::Outage;
use super::printable;
use super::typing::Typing;
use super::until;
use crate::input::Input;
use crate::signals::Notice;
use crate::signals::Signal;
use crate::stdout_reader::StdoutReader;

/// The connection, from the moment its session is established. Bytes pass unchanged, both ways, and standard output
/// carries nothing else.
///
/// The far end learns nothing of the end of standard input (`docs/PROTOCOL.md` 7.4): when that has come, the answer is
/// waited for until the far end has been silent for [`SILENCE`]. Once nobody reads the answer any more, what standard
/// input still holds is sent, and the session is ended.
pub(super) struct Relay<'a> {
    console: &'a mut Console,
    session: Session,
    reader: Option<StdoutReader>,
    input: Option<Input>,
    typing: Typing,
    unwritten: Gathered,
    /// When something last passed.
    busy: Instant,
    outage: Outage,
    /// There is no reader any more; until when the rest of standard input is taken.
    deserted: Option<Instant>,
    /// The session has ended, its output not been written yet.
    closed: Option<Close>,
    ending: Option<(Outcome, Instant)>,
}

enum Step {
    Notice(Notice),
    Event(SessionEvent),
    Place,
    Chunk(Option<Bytes>),
    Sent,
    ReaderGone,
    Broken(Arc<io::Error>),
    Silence,
    GraceOver,
    TimeUp,
}

impl<'a> Relay<'a> {
    pub(super) fn new(console: &'a mut Console, session: Session) -> Self {
        console.stdout_is_data = true;
        // `ssh -f` and a master of connections that stays leave their first process; the streams stay with the next.
        console.signals.forget_caller();
        let typing = Typing::new(session.control());
        Self {
            console,
            session,
            reader: None,
            input: None,
            typing,
            unwritten: Gathered::default(),
            busy: Instant::now(),
            outage: Outage::default(),
            deserted: None,
            closed: None,
            ending: None,
        }
    }

    /// Runs to the end of the session. `message` is the far end's for the user, fit for a terminal.
    pub(super) async fn run(mut self, message: Option<String>) -> Outcome {
        if let Some(message) = message {
            let stream = OutputStream::Stderr;
            self.unwritten.push(stream, printable(stream, &message));
        }
        match StdoutReader::watch() {
            Ok(reader) => self.reader = Some(reader),
            Err(error) => tracing::warn!(%error, "standard output cannot be watched"),
        }
        match Input::stdin() {
            Ok(input) => self.input = Some(input),
            Err(error) => self.end(Outcome::InputFailed(error)),
        }
        loop {
            match self.step().await {
                Step::Notice(notice) => {
                    if let Some(signal) = self.handle_notice(notice) {
                        return Outcome::Signalled(signal);
                    }
                }
                Step::Event(event) => self.handle_event(event),
                Step::Chunk(chunk) => self.handle_input(chunk),
                Step::Place | Step::Sent => self.busy = Instant::now(),
                Step::ReaderGone => {
                    tracing::debug!("nobody reads standard output any more");
                    self.desert();
                }
                Step::Broken(error) => {
                    tracing::debug!(%error, "standard output cannot be written to any more");
                    self.desert();
                }
                Step::Silence => self.end(Outcome::InputEnded),
                Step::GraceOver => self.leave_deserted(),
                Step::TimeUp => {
                    if let Some((outcome, _)) = self.ending.take() {
                        return outcome;
                    }
                }
            }
            if self.input.is_none() && self.typing.is_idle() {
                self.leave_deserted();
            }
            if self.unwritten.is_empty()
                && let Some(close) = self.closed.take()
            {
                let ending = self.ending.map(|(outcome, _)| outcome);
                return self.console.conclude(ending, close).await;
            }
        }
    }

    /// Waits for the next thing to happen.
    async fn step(&mut self) -> Step {
        let is_idle = self.typing.is_idle();
        let is_over = self.ending.is_some() || self.closed.is_some();
        let is_listening = self.input.is_none() && is_idle && self.unwritten.is_empty();
        let hears = is_listening && !self.outage.is_lost();
        let silence = (hears && !is_over).then(|| self.busy + SILENCE);
        let grace = self.deserted.filter(|_| !is_over);
        let time_up = self.ending.as_ref().map(|(_, deadline)| *deadline);
        tokio::select! {
            notice = self.console.signals.next() => Step::Notice(notice),
            error = self.console.output.broken(), if self.deserted.is_none() => Step::Broken(error),
            () = gone(&mut self.reader), if self.deserted.is_none() => Step::ReaderGone,
            place = self.console.output.place(), if !self.unwritten.is_empty() => {
                if let Some((stream, data)) = self.unwritten.pop() {
                    place.write(stream, data);
                }
                Step::Place
            }
            Some(event) = self.session.next_event(), if !self.unwritten.is_full() => Step::Event(event),
            () = self.typing.sent() => Step::Sent,
            chunk = next(&mut self.input), if is_idle && !is_over => Step::Chunk(chunk),
            () = until(silence) => Step::Silence,
            () = until(grace) => Step::GraceOver,
            () = until(time_up) => Step::TimeUp,
        }
    }

    /// Handles a signal; answers with it when the program is to end now.
    fn handle_notice(&mut self, notice: Notice) -> Option<Signal> {
        let signal = match notice {
            Notice::End(signal) => signal,
            Notice::Quit => Signal::Quit,
            // A stopped `scp` that goes on later finds its connection as it left it.
            Notice::Stop | Notice::Resized | Notice::Continued => return None,
        };
        if self.ending.is_some() {
            return signal.if_asked_again();
        }
        self.console.leave(signal);
        self.end(Outcome::Signalled(signal));
        None
    }

    /// Takes an event, and all others that are there already, up to what fills a write.
    fn handle_event(&mut self, event: SessionEvent) {
        let mut next = Some(event);
        while let Some(event) = next {
            match event {
                SessionEvent::Output { stream, data } => self.handle_output(stream, data),
                SessionEvent::Closed(close) => self.closed = Some(close),
                SessionEvent::Disconnected { .. } | SessionEvent::Reconnected => {
                    self.busy = Instant::now();
                    self.outage.handle(&event);
                }
                // Events this program does not know carry nothing for this connection.
                _ => {}
            }
            next = if self.unwritten.is_full() {
                None
            } else {
                self.session.next_event().now_or_never().flatten()
            };
        }
    }

    fn handle_output(&mut self, stream: OutputStream, data: Bytes) {
        self.busy = Instant::now();
        if self.deserted.is_none() {
            self.unwritten.push(stream, data);
        }
    }

    fn handle_input(&mut self, chunk: Option<Bytes>) {
        self.busy = Instant::now();
        match chunk {
            Some(data) => self.typing.send(data),
            None => {
                tracing::debug!("end of standard input");
                self.input = None;
            }
        }
    }

    /// Nobody is left to read the far end's answer.
    fn desert(&mut self) {
        self.reader = None;
        self.unwritten.clear();
        self.deserted = Some(Instant::now() + GRACE);
    }

    fn leave_deserted(&mut self) {
        if self.deserted.is_some() {
            self.end(self.console.output_outcome());
        }
    }

    /// Has the service end the session; the first reason counts.
    fn end(&mut self, outcome: Outcome) {
        if self.ending.is_none() {
            self.session.terminate();
            self.ending = Some((outcome, Instant::now() + LEAVING_LIMIT));
        }
    }
}

async fn gone(reader: &mut Option<StdoutReader>) {
    match reader {
        Some(reader) => reader.gone().await,
        None => std::future::pending().await,
    }
}

async fn next(input: &mut Option<Input>) -> Option<Bytes> {
    match input {
        Some(input) => input.next().await,
        None => std::future::pending().await,
    }
}

/// How long a far end may be silent once there is no more input for it: a server that has been told all it needs
/// answers sooner, and one that waits for more waits in vain.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the rest of standard input is taken once nobody reads the answer. A program that has ended has closed both,
/// one after the other, and its last words are in the pipe.
const GRACE: Duration = Duration::from_secs(1);
