//! Someone who writes: the user at one end, the program at the other.

use std::time::Duration;
use std::time::Instant;

use crate::support::random::Random;

pub(super) struct Writer {
    data: Vec<u8>,
    at: usize,
    longest: usize,
    pace: Duration,
    random: Random,
    /// When the next piece is written; absent while there is no room or nothing to say.
    next: Option<Instant>,
}

impl Writer {
    /// One that has `length` bytes to write, in pieces of up to `longest`.
    pub(super) fn new(length: usize, longest: usize, pace: Duration, mut random: Random) -> Self {
        Self {
            data: random.bytes(length),
            at: 0,
            longest,
            pace,
            random,
            next: None,
        }
    }

    /// There is room, or the time has come.
    pub(super) fn wake(&mut self, now: Instant) {
        self.next = Some(now).filter(|_| !self.is_done());
    }

    /// Nothing more is to be said.
    pub(super) fn stop(&mut self) {
        self.data.truncate(self.at);
        self.next = None;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.data.len()
    }

    /// What to write now, if anything. Single bytes are frequent, and line feeds among them.
    pub(super) fn piece(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.next.take_if(|at| *at <= now)?;
        let rest = &mut self.data[self.at..];
        if self.random.chance(100) {
            if self.random.chance(300) {
                rest[0] = b'\n';
            }
            return Some(vec![rest[0]]);
        }
        let length = 1 + self.random.below(self.longest.min(rest.len()));
        Some(rest[..length].to_vec())
    }

    /// `taken` bytes of a piece of `length` were taken.
    pub(super) fn wrote(&mut self, taken: usize, length: usize, now: Instant) {
        self.at += taken;
        if taken == length {
            self.wake(now + self.pace);
        }
    }
}
