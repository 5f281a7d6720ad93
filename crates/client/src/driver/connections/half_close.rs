//! A program that sends no more, and perhaps waits for the answer.
//!
//! The agent ends both directions of a stream when told of the end of one
//! (docs/PROTOCOL.md 8), so it is not told while the program may still want something.

use std::time::Duration;

use tokio::time::Instant;

use crate::local_connection::PeerState;

/// When to ask for the second time what has become of the program. A program that closes its
/// socket sends the end a moment before nobody holds the socket.
const FIRST_INTERVAL: Duration = Duration::from_millis(2);
/// Each interval is twice the one before, up to this.
const LONGEST_INTERVAL: Duration = Duration::from_secs(2);

/// Decides how long the far end may still answer.
#[derive(Debug)]
pub(super) struct HalfClose {
    limit: Duration,
    last_byte: Instant,
    interval: Duration,
    due: Instant,
    expired: bool,
}

/// What to do about the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Wait,
    /// Nobody wants its answer.
    Gone,
    /// It has been silent for too long: perhaps it waits for our end. Said once.
    Expired,
}

impl HalfClose {
    /// With `limit` without a byte in either direction the far end is told.
    pub(super) fn new(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            last_byte: now,
            interval: FIRST_INTERVAL,
            due: now,
            expired: false,
        }
    }

    pub(super) fn on_byte(&mut self, now: Instant) {
        self.last_byte = now;
    }

    /// When to ask for the program and [`judge`](Self::judge).
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn judge(&mut self, program: PeerState, now: Instant) -> Verdict {
        if program == PeerState::Gone {
            return Verdict::Gone;
        }
        let silent_at = self.last_byte + self.limit;
        let expires = !self.expired && silent_at <= now;
        self.expired |= expires;
        self.due = now + self.interval;
        if !self.expired {
            self.due = self.due.min(silent_at);
        }
        self.interval = (2 * self.interval).min(LONGEST_INTERVAL);
        if expires {
            Verdict::Expired
        } else {
            Verdict::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[test]
    fn silence_has_a_limit_and_every_byte_starts_it_anew() {
        let start = Instant::now();
        let mut half = HalfClose::new(LIMIT, start);
        let last_byte = start + Duration::from_secs(20);
        loop {
            let now = half.due();
            if now >= last_byte && half.last_byte == start {
                half.on_byte(last_byte);
            }
            match half.judge(PeerState::Unknown, now) {
                Verdict::Wait => {}
                verdict => {
                    assert_eq!((verdict, now), (Verdict::Expired, last_byte + LIMIT));
                    break;
                }
            }
        }
        let later = half.due();
        assert_eq!(half.judge(PeerState::Unknown, later), Verdict::Wait);
    }

    #[test]
    fn a_program_that_has_gone_is_noticed_at_the_next_question() {
        let start = Instant::now();
        let mut half = HalfClose::new(LIMIT, start);
        let mut asked = Vec::new();
        while half.due() < start + Duration::from_secs(10) {
            let now = half.due();
            asked.push(now);
            assert_eq!(half.judge(PeerState::Held, now), Verdict::Wait);
        }
        let longest = asked.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert_eq!((asked[0], longest), (start, Some(LONGEST_INTERVAL)));
        assert!(asked.len() < 20, "{}", asked.len());
        assert_eq!(half.judge(PeerState::Gone, half.due()), Verdict::Gone);
    }
}
