//! Connections that the agent could not make.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How long a refusal waits for the end of its stream, which comes right behind it.
const LIMIT: Duration = Duration::from_secs(2);

/// The agent says that it could not reach the destination, not for which stream, and then ends
/// that stream (docs/PROTOCOL.md 7.6). Which one it was is told by its end: the next that ends
/// without a byte. Its program sees an error then, as if the destination had been near.
#[derive(Debug, Default)]
pub(super) struct Refusals(VecDeque<Instant>);

impl Refusals {
    pub(super) fn add(&mut self, now: Instant) {
        self.forget_old(now);
        self.0.push_back(now);
    }

    /// Whether the end of a stream without a byte was one of them.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.forget_old(now);
        self.0.pop_front().is_some()
    }

    fn forget_old(&mut self, now: Instant) {
        while self.0.front().is_some_and(|at| *at + LIMIT < now) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_explains_one_end_and_not_for_long() {
        let mut refusals = Refusals::default();
        let now = Instant::now();
        assert!(!refusals.take(now));
        refusals.add(now);
        refusals.add(now);
        assert!(refusals.take(now));
        assert!(!refusals.take(now + 2 * LIMIT));
    }
}
