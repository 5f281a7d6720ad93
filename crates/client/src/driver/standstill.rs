//! Whether this machine slept, or this process was stopped.

use std::time::Duration;
use std::time::SystemTime;

use tokio::time::Instant;

/// How far apart two looks at the clocks may be.
const INTERVAL: Duration = Duration::from_secs(3);
/// A busy machine may be late by a good deal. Later than this, nothing ran at all.
const LATE: Duration = Duration::from_secs(5);

/// Compares the wall clock with what was planned.
///
/// The clock that deadlines are kept by does not count the time a machine sleeps, at least on Linux
/// and macOS, so that nobody's silence would show by it. The wall clock does; but it may be set, so
/// that nothing follows from it that could do harm.
#[derive(Debug)]
pub(super) struct Standstill {
    looked: Instant,
    wall: SystemTime,
}

impl Standstill {
    pub(super) fn new(now: Instant, wall: SystemTime) -> Self {
        Self { looked: now, wall }
    }

    /// If there was a standstill since the last look: how much time `now` has counted since.
    pub(super) fn look(&mut self, now: Instant, wall: SystemTime) -> Option<Duration> {
        let passed = wall.duration_since(self.wall).unwrap_or_default();
        let counted = now.saturating_duration_since(self.looked);
        *self = Self::new(now, wall);
        (passed > INTERVAL + LATE).then_some(counted)
    }

    /// When to look again at the latest.
    pub(super) fn due(&self) -> Instant {
        self.looked + INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a look finds after the clocks went on by so much, one with and one without sleep.
    fn found(counted: Duration, passed: Duration) -> Option<Duration> {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let mut standstill = Standstill::new(now, wall);
        standstill.look(now + counted, wall + passed)
    }

    #[test]
    fn a_machine_that_slept_shows_by_the_wall_clock_alone() {
        let hours = Duration::from_secs(8 * 3600);
        let second = Duration::from_secs(1);
        assert_eq!(found(second, hours), Some(second));
    }

    #[test]
    fn a_process_that_was_stopped_shows_by_both_clocks() {
        let minute = Duration::from_secs(60);
        assert_eq!(found(minute, minute), Some(minute));
    }

    #[test]
    fn a_machine_that_is_busy_does_not_stand_still() {
        assert_eq!(found(INTERVAL, INTERVAL), None);
        assert_eq!(found(INTERVAL + LATE, INTERVAL + LATE), None);
    }

    #[test]
    fn a_clock_that_is_set_back_is_believed_from_then_on() {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let mut standstill = Standstill::new(now, wall);
        let back = wall - Duration::from_secs(3600);
        assert_eq!(standstill.look(now + INTERVAL, back), None);
        assert_eq!(standstill.look(now + INTERVAL, back + INTERVAL), None);
        let later = back + INTERVAL + Duration::from_secs(60);
        assert_eq!(standstill.look(now + INTERVAL, later), Some(Duration::ZERO));
    }

    #[test]
    fn it_is_told_once() {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let mut standstill = Standstill::new(now, wall);
        let later = wall + Duration::from_secs(3600);
        assert!(standstill.look(now, later).is_some());
        assert_eq!(standstill.look(now, later), None);
        assert_eq!(standstill.due(), now + INTERVAL);
    }
}
