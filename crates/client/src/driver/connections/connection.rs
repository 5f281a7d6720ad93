//! One local connection, joined with its far end.

use std::io;
use std::task::Poll;
use std::time::Duration;

use ssm_session_proto::Received;
use tokio::time::Instant;

use super::closing::Closing;
use super::far_end::FarEnd;
use super::half_close::HalfClose;
use super::half_close::Verdict;
use super::read_buffer::ReadBuffer;
use super::refusals::Refusals;
use super::side::Side;

/// Most bytes read from a program in one turn.
const MAX_INPUT: usize = 64 * 1024;
/// Most times in a turn that what waits for a program is written and more is taken.
const MAX_ROUNDS: usize = 4;

/// A connection from the moment it was taken to its end.
#[derive(Debug)]
pub(super) struct Connection {
    side: Side,
    state: State,
    /// The far end has something to say that it had not before.
    told: bool,
    /// It has sent something.
    answered: bool,
    /// Room at the far end when it was last looked at.
    room: usize,
}

#[derive(Debug)]
enum State {
    Open,
    /// The program has said its last byte.
    HalfClosed(HalfClose),
    /// The far end has.
    Closing(Closing),
    /// There is no far end any more: the program gets what there is. `whole` if that ends with
    /// the far end's last byte.
    Severed {
        whole: bool,
    },
}

/// What becomes of a connection after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    GoesOn,
    /// To be closed.
    Over,
    /// To be closed so that the program sees an error, and no end.
    Broken,
    /// The same, because the program did not read.
    Overrun,
}

/// What a turn works with besides the connection.
pub(super) struct Turn<'a> {
    pub(super) buffer: &'a mut ReadBuffer,
    pub(super) refusals: &'a mut Refusals,
    /// [`Timeouts::half_close`](crate::Timeouts::half_close).
    pub(super) half_close: Duration,
    /// Whether there is no way to the far end for now.
    pub(super) cut_off: bool,
    pub(super) now: Instant,
}

impl Connection {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            state: State::Open,
            told: false,
            answered: false,
            room: 0,
        }
    }

    pub(super) fn side(&self) -> &Side {
        &self.side
    }

    /// There is something to read at the far end. A program that does not read has not read what
    /// came before either, and this is how it is cut off.
    pub(super) fn on_readable(&mut self) {
        self.told = true;
        self.side.bell().ring();
    }

    /// When the bell is to ring if it does not before.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.state {
            State::HalfClosed(half) => Some(half.due()),
            State::Closing(closing) => closing.due(),
            State::Open | State::Severed { .. } => None,
        }
    }

    /// Moves everything that can move, within bounds.
    pub(super) fn work(&mut self, far: &mut dyn FarEnd, turn: &mut Turn<'_>) -> Fate {
        if matches!(self.state, State::Open | State::HalfClosed(_)) {
            match self.join(far, turn) {
                Ok(Fate::GoesOn) => {}
                Ok(fate) => return fate,
                Err(error) => {
                    tracing::debug!(%error, "a local connection broke");
                    far.abandon();
                    return Fate::Over;
                }
            }
        }
        self.end(turn)
    }

    /// The far end goes away, perhaps amid an answer. Takes all that came of it.
    pub(super) fn sever(&mut self, far: &mut dyn FarEnd, is_sound: bool) {
        let whole = match self.state {
            State::Severed { .. } => return,
            State::Closing(_) => true,
            State::Open | State::HalfClosed(_) => loop {
                match far.read() {
                    Received::Data(data) => self.side.push(data),
                    end => break end == Received::Finished && is_sound,
                }
            },
        };
        far.abandon();
        self.state = State::Severed { whole };
        self.side.bell().ring();
    }

    /// What is to be done without a far end.
    pub(super) fn end(&mut self, turn: &mut Turn<'_>) -> Fate {
        let ended = match &mut self.state {
            State::Open | State::HalfClosed(_) => return Fate::GoesOn,
            State::Closing(closing) => closing.work(&mut self.side, turn.buffer, turn.now),
            State::Severed { whole: true } => match self.side.write() {
                Ok(true) => self.side.shut_down(),
                other => other,
            },
            State::Severed { whole: false } => match self.side.write() {
                Ok(true) => return Fate::Broken,
                other => other,
            },
        };
        match ended {
            Ok(false) => Fate::GoesOn,
            Ok(true) => Fate::Over,
            Err(error) => {
                tracing::debug!(%error, "a local connection broke at its end");
                Fate::Over
            }
        }
    }

    pub(super) fn close(self, fate: Fate) {
        if matches!(fate, Fate::Broken | Fate::Overrun) {
            self.side.reset();
        }
    }

    fn join(&mut self, far: &mut dyn FarEnd, turn: &mut Turn<'_>) -> io::Result<Fate> {
        self.take_input(far, turn)?;
        match self.give_output(far, turn.now)? {
            Received::Finished => {
                // The agent has dropped its connection: what is sent to it reaches nobody.
                far.finish();
                if !self.answered && turn.refusals.take(turn.now) {
                    return Ok(Fate::Broken);
                }
                let input_over = matches!(self.state, State::HalfClosed(_));
                self.state = State::Closing(Closing::new(input_over));
                return Ok(Fate::GoesOn);
            }
            Received::Overrun => {
                far.abandon();
                return Ok(Fate::Overrun);
            }
            Received::Data(_) | Received::Pending => {}
        }
        Ok(self.judge(far, turn))
    }

    /// From the program to the far end.
    fn take_input(&mut self, far: &mut dyn FarEnd, turn: &mut Turn<'_>) -> io::Result<()> {
        let mut left = MAX_INPUT;
        while matches!(self.state, State::Open) {
            let room = far.room();
            if room == 0 {
                return Ok(());
            }
            if left == 0 {
                self.side.bell().ring();
                return Ok(());
            }
            let Poll::Ready(data) = self.side.read(room.min(left), turn.buffer) else {
                return Ok(());
            };
            let data = data?;
            if data.is_empty() {
                self.state = State::HalfClosed(HalfClose::new(turn.half_close, turn.now));
                return Ok(());
            }
            left -= data.len();
            far.write(data);
        }
        Ok(())
    }

    /// From the far end to the program. Answers with how the far end's bytes go on.
    fn give_output(&mut self, far: &mut dyn FarEnd, now: Instant) -> io::Result<Received> {
        for _ in 0..MAX_ROUNDS {
            let mut next = Received::Pending;
            while std::mem::take(&mut self.told) || self.side.has_room() {
                next = far.read();
                let Received::Data(data) = next else { break };
                self.on_byte(now);
                self.answered = true;
                self.side.push(data);
                next = Received::Pending;
            }
            let waited = self.side.waiting();
            if matches!(next, Received::Finished | Received::Overrun) {
                return Ok(next);
            }
            let written = self.side.write()?;
            if self.side.waiting() < waited {
                self.on_byte(now);
            }
            if !written || waited == 0 {
                return Ok(Received::Pending);
            }
        }
        self.side.bell().ring();
        Ok(Received::Pending)
    }

    fn on_byte(&mut self, now: Instant) {
        if let State::HalfClosed(half) = &mut self.state {
            half.on_byte(now);
        }
    }

    /// Whether the far end is still wanted by a program that sends no more.
    fn judge(&mut self, far: &mut dyn FarEnd, turn: &Turn<'_>) -> Fate {
        let now = turn.now;
        let State::HalfClosed(half) = &mut self.state else {
            return Fate::GoesOn;
        };
        if now < half.due() {
            return Fate::GoesOn;
        }
        // What is on its way in either direction is no silence.
        let room = far.room();
        if turn.cut_off || room != self.room || self.side.waiting() > 0 {
            self.room = room;
            half.on_byte(now);
        }
        match half.judge(self.side.peer_state(), now) {
            Verdict::Wait => Fate::GoesOn,
            Verdict::Gone => {
                far.abandon();
                Fate::Over
            }
            Verdict::Expired => {
                far.finish();
                // A far end that has no end of its own is over now.
                self.side.bell().ring();
                Fate::GoesOn
            }
        }
    }
}
