//! How long to wait between two attempts.

use std::time::Duration;

/// Waits of a random length, up to a bound that doubles: many clients that lost something at once
/// must not all ask for it again in the same instant.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    bound: Duration,
    longest: Duration,
}

impl Backoff {
    /// The wait before the first attempt is at most `first`, and none is longer than `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            bound: first.min(longest),
            longest,
        }
    }

    /// The next wait. Without randomness from the system it is the longest there may be now.
    pub fn next_wait(&mut self) -> Duration {
        self.scaled(getrandom::u32().unwrap_or(u32::MAX))
    }

    fn scaled(&mut self, random: u32) -> Duration {
        let wait = self.bound.mul_f64(f64::from(random) / f64::from(u32::MAX));
        self.grow();
        wait
    }

    /// As if an attempt had failed.
    pub fn grow(&mut self) {
        self.bound = self.bound.saturating_mul(2).min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_anything_up_to_a_bound_that_doubles_and_then_stays() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(10));
        let mut backoff = Backoff::new(first, longest);
        assert_eq!(backoff.scaled(0), Duration::ZERO);
        assert_eq!(backoff.scaled(u32::MAX), first * 2);
        assert_eq!(backoff.scaled(u32::MAX), first * 4);
        for _ in 0..20 {
            assert!(backoff.next_wait() <= longest);
        }
        assert_eq!(backoff.scaled(u32::MAX), longest);
    }
}
