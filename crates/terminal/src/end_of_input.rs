//! The end of standard input, told to a remote terminal.

use std::time::Duration;

use tokio::time::Instant;

/// When to send the end-of-file character to a remote terminal, once there is no more input.
///
/// A terminal's end of file ends one read of one program, where the end of a pipe ends every read of all of them. So
/// the character is sent again whenever the far end has fallen silent, until the session ends: the first ends a
/// program that reads its input to the end, the next the shell that ran it. A line editor that was not reading yet
/// also loses the first: switching the terminal to raw mode turns it into a NUL.
///
/// Silence is measured with growing patience and for a limited number of times, so that a program that ignores the
/// character keeps neither the session's idle time limit at bay nor its input full.
#[derive(Debug)]
pub(crate) struct EndOfInput {
    wait: Duration,
    due: Option<Instant>,
    /// How often still in this silence.
    left: u32,
    /// How often still in this session.
    left_in_all: u32,
}

impl EndOfInput {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            wait: FIRST_WAIT,
            due: Some(now + FIRST_WAIT),
            left: REPEATS,
            left_in_all: REPEATS_IN_ALL,
        }
    }

    /// What to send at once, by the last byte that was sent before: the first character hands on a line without an
    /// end, only the next one is then the end of the file.
    pub(crate) fn first(last_sent: Option<u8>) -> &'static [u8] {
        match last_sent {
            None | Some(b'\n') => &[EOT],
            Some(_) => &[EOT, EOT],
        }
    }

    /// What to send whenever [`Self::due`] has come.
    pub(crate) fn again() -> &'static [u8] {
        &[EOT]
    }

    pub(crate) fn handle_output(&mut self, now: Instant) {
        self.wait = FIRST_WAIT;
        self.left = REPEATS.min(self.left_in_all);
        self.schedule(now);
    }

    pub(crate) fn handle_sent(&mut self, now: Instant) {
        self.left = self.left.saturating_sub(1);
        self.left_in_all = self.left_in_all.saturating_sub(1);
        self.wait *= 2;
        self.schedule(now);
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn schedule(&mut self, now: Instant) {
        self.due = (self.left > 0).then(|| now + self.wait);
    }
}

/// End of transmission, Ctrl-D.
const EOT: u8 = 0x04;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// With doubling waits, about four minutes.
const REPEATS: u32 = 7;
/// A terminal whose program reads nothing takes some 4,000 bytes.
const REPEATS_IN_ALL: u32 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_is_handed_on_before_the_end_of_file() {
        assert_eq!(EndOfInput::first(None), [EOT]);
        assert_eq!(EndOfInput::first(Some(b'\n')), [EOT]);
        assert_eq!(EndOfInput::first(Some(b'x')), [EOT, EOT]);
    }

    #[test]
    fn silence_is_answered_ever_more_rarely_and_at_last_not_at_all() {
        let start = Instant::now();
        let mut end = EndOfInput::new(start);
        let mut sent = Vec::new();
        while let Some(due) = end.due() {
            sent.push((due - start).as_secs());
            end.handle_sent(due);
        }
        assert_eq!(sent, [1, 3, 7, 15, 31, 63, 127]);
    }

    #[test]
    fn a_far_end_that_talks_for_ever_is_not_filled_up() {
        let mut now = Instant::now();
        let mut end = EndOfInput::new(now);
        let mut sent = 0;
        while let Some(due) = end.due() {
            now = due;
            end.handle_sent(now);
            end.handle_output(now);
            sent += 1;
        }
        assert_eq!(sent, REPEATS_IN_ALL);
    }

    #[test]
    fn output_starts_the_wait_anew() {
        let start = Instant::now();
        let mut end = EndOfInput::new(start);
        end.handle_sent(start);
        let later = start + Duration::from_secs(600);
        end.handle_output(later);
        assert_eq!(end.due(), Some(later + FIRST_WAIT));
    }
}
