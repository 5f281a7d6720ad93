//! How long to wait between two attempts.

use std::time::Duration;

/// The wait before the first attempt is at most this long.
const FIRST: Duration = Duration::from_millis(100);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(10);

/// Waits of a random length, up to a bound that doubles: many clients that lost their connections
/// at once must not all come back at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    bound: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { bound: FIRST }
    }
}

impl Backoff {
    /// The next wait, where `random` is evenly spread over all its values.
    pub(super) fn next(&mut self, random: u32) -> Duration {
        let wait = self.bound.mul_f64(f64::from(random) / f64::from(u32::MAX));
        self.grow();
        wait
    }

    /// As if an attempt had failed.
    pub(super) fn grow(&mut self) {
        self.bound = (self.bound * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_anything_up_to_a_bound_that_doubles_and_then_stays() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(0), Duration::ZERO);
        assert_eq!(backoff.next(u32::MAX), FIRST * 2);
        assert_eq!(backoff.next(u32::MAX), FIRST * 4);
        for _ in 0..20 {
            assert!(backoff.next(u32::MAX) <= LONGEST);
        }
        assert_eq!(backoff.next(u32::MAX), LONGEST);
    }
}
