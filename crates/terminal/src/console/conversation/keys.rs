//! What comes from standard input in a shell.

use std::io;
use std::io::IsTerminal as _;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Conversation;
use super::Outcome;
use crate::console::until;
use crate::end_of_input::EndOfInput;
use crate::escape::Command;
use crate::escape::Typed;
use crate::input::Input;
use crate::job_control;
use crate::raw_mode::RawMode;
use crate::signals::Signal;

impl Conversation<'_> {
    /// Whether standard input is to be read at present. While the far end takes no more the rest of a paste stays
    /// where it is.
    pub(super) fn reads(&self) -> bool {
        self.typing.has_room() || self.reads_on() || self.ending.is_some()
    }

    /// Whether standard input is read though there is no room for it: a user who knows that the far end cannot be
    /// reached sees that it is refused, and is heard if the wish is to leave.
    fn reads_on(&self) -> bool {
        self.outage.is_told() && self.screen.is_some()
    }

    /// Whether input is refused: once some was, all of it until the far end is back, or there would be gaps.
    fn refuses(&self) -> bool {
        self.reads_on() && (self.has_refused || !self.typing.has_room())
    }

    /// Handles input, or its end; answers with the outcome when the program is to end now.
    pub(super) async fn handle_input(&mut self, chunk: Option<Bytes>) -> Option<Outcome> {
        match chunk {
            Some(data) => self.handle_typed(data).await,
            None => {
                self.handle_end_of_input();
                None
            }
        }
    }

    async fn handle_typed(&mut self, mut data: Bytes) -> Option<Outcome> {
        if data.contains(&INTERRUPT) && self.takes_interrupt() {
            if self.ending.is_some() {
                return self.leave_now();
            }
            self.leave(Signal::Interrupt);
            return None;
        }
        let mut has_refused = false;
        while let Some(typed) = self.escapes.next(&mut data) {
            match typed {
                Typed::Command(Command::Leave) if self.ending.is_some() => return self.leave_now(),
                Typed::Command(command) => self.obey(command).await,
                // The far end takes leave already.
                Typed::Bytes(_) if self.ending.is_some() => {}
                Typed::Bytes(_) if has_refused || self.refuses() => has_refused = true,
                Typed::Bytes(bytes) => self.typing.send(bytes),
            }
        }
        if has_refused {
            self.refuse_input();
        }
        None
    }

    /// Who asks twice means it; the first reason counts.
    fn leave_now(&mut self) -> Option<Outcome> {
        self.ending.take().map(|(outcome, _)| outcome)
    }

    /// Whether Ctrl-C is ours: the far end cannot be interrupted, so that the wish is for an end of the waiting.
    fn takes_interrupt(&self) -> bool {
        self.at_terminal && (self.refuses() || self.outage.is_loss_told() || self.ending.is_some())
    }

    async fn obey(&mut self, command: Command) {
        tracing::debug!(?command, "escape");
        match command {
            Command::Leave => self.leave_by_escape(),
            Command::Help => self.answer_help(),
            Command::Off => self.answer_off(),
            Command::Suspend => self.suspend().await,
        }
    }

    fn leave_by_escape(&mut self) {
        self.answer(".", "");
        self.end(Outcome::Left);
        if self.outage.is_lost()
            && let Some((_, deadline)) = &mut self.ending
        {
            *deadline = Instant::now() + LOST_LIMIT;
        }
    }

    /// Stops this program, the terminal being as it was meanwhile. When it goes on a signal tells of that.
    async fn suspend(&mut self) {
        self.answer("^Z", "");
        self.erase_row();
        self.drain().await;
        let held = self.input.as_ref().and_then(Input::hold);
        if let Some(raw) = &self.raw {
            raw.lift();
        }
        if let Err(error) = job_control::suspend() {
            if let Some(Err(error)) = self.raw.as_ref().map(RawMode::reapply) {
                tracing::warn!(%error, "the terminal's mode could not be set again");
            }
            drop(held);
            self.tell(&format!("this program cannot be suspended: {error}\n"));
        }
    }

    /// Writes what there is to write, as far as that does not block.
    async fn drain(&mut self) {
        let limit = Some(Instant::now() + DRAIN_LIMIT);
        while !self.unwritten.is_empty() {
            tokio::select! {
                place = self.console.output.place() => {
                    if let Some((stream, data)) = self.unwritten.pop_front() {
                        place.write(stream, data);
                    }
                }
                () = until(limit) => return,
            }
        }
        tokio::select! {
            () = self.console.output.flushed() => {}
            () = until(limit) => {}
        }
    }

    fn handle_end_of_input(&mut self) {
        self.input = None;
        tracing::debug!("end of standard input");
        if !self.at_terminal {
            self.typing
                .send(Bytes::from_static(EndOfInput::first(self.typing.last())));
            self.end_of_input = Some(EndOfInput::new(Instant::now()));
        } else if self.ending.is_none() && (self.raw.is_some() || !io::stdin().is_terminal()) {
            // A terminal in raw mode has no end of file: this one has gone. SIGHUP need not come, for that is sent to
            // those whose controlling terminal it was.
            self.leave(Signal::Hangup);
        }
    }

    pub(super) fn handle_silence(&mut self) {
        if let Some(end) = &mut self.end_of_input {
            end.handle_sent(Instant::now());
            if self.typing.is_idle() {
                self.typing.send(Bytes::from_static(EndOfInput::again()));
            }
        }
    }
}

pub(super) async fn next(input: &mut Option<Input>) -> Option<Bytes> {
    match input {
        Some(input) => input.next().await,
        None => std::future::pending().await,
    }
}

const INTERRUPT: u8 = 0x03;
/// While there is no connection, TerminateSession is all that can end the session: if the service can be reached, it
/// answers sooner.
const LOST_LIMIT: Duration = Duration::from_secs(1);
/// What is written before the program stops gets this long, in case nobody reads.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);
