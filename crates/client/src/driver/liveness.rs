//! Whether anybody is still there.

use tokio::time::Instant;

use crate::timeouts::Timeouts;

/// Pings at an interval, and judges by the frames that come back, of whatever kind.
///
/// Silence counts against the peer only while a ping is unanswered: a process that was stopped
/// for an hour has heard nothing, and asked nothing either.
#[derive(Debug)]
pub(super) struct Liveness {
    timeouts: Timeouts,
    next_ping: Instant,
    last_frame: Instant,
    /// The first ping since the last frame.
    asked: Option<Instant>,
}

impl Liveness {
    pub(super) fn new(now: Instant, timeouts: &Timeouts) -> Self {
        Self {
            timeouts: *timeouts,
            next_ping: now + timeouts.keepalive,
            last_frame: now,
            asked: None,
        }
    }

    pub(super) fn on_frame(&mut self, now: Instant) {
        self.last_frame = now;
        self.asked = None;
    }

    pub(super) fn on_ping(&mut self, now: Instant) {
        self.next_ping = now + self.timeouts.keepalive;
        self.asked.get_or_insert(now);
    }

    /// Nothing is read for now, so nothing can be heard.
    pub(super) fn on_pause(&mut self) {
        self.asked = None;
    }

    pub(super) fn is_ping_due(&self, now: Instant) -> bool {
        self.next_ping <= now
    }

    pub(super) fn is_dead(&self, now: Instant) -> bool {
        self.dead_at().is_some_and(|at| at <= now)
    }

    /// When one of the two above becomes true.
    pub(super) fn due(&self) -> Instant {
        self.dead_at()
            .map_or(self.next_ping, |at| at.min(self.next_ping))
    }

    fn dead_at(&self) -> Option<Instant> {
        let grace = self
            .timeouts
            .silence
            .saturating_sub(self.timeouts.keepalive);
        self.asked
            .map(|asked| (asked + grace).max(self.last_frame + self.timeouts.silence))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A peer last heard of `last_frame` after the start, and pinged on time from then on.
    fn dead_after(last_frame: Duration) -> Duration {
        let start = Instant::now();
        let mut liveness = Liveness::new(start, &Timeouts::default());
        loop {
            let now = liveness.due();
            if now >= start + last_frame && liveness.last_frame == start && !last_frame.is_zero() {
                liveness.on_frame(start + last_frame);
            }
            if liveness.is_dead(now) {
                return now - start;
            }
            if liveness.is_ping_due(now) {
                liveness.on_ping(now);
            }
        }
    }

    #[test]
    fn a_silent_peer_is_dead_after_the_limit() {
        assert_eq!(dead_after(Duration::ZERO), Duration::from_secs(45));
    }

    #[test]
    fn any_frame_starts_the_limit_anew() {
        assert_eq!(dead_after(Duration::from_secs(16)), Duration::from_secs(61));
    }

    #[test]
    fn a_process_that_was_stopped_asks_before_it_judges() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start, &Timeouts::default());
        let later = start + Duration::from_secs(3600);
        assert!(!liveness.is_dead(later));
        liveness.on_ping(later);
        assert!(!liveness.is_dead(later));
        assert!(liveness.is_dead(later + Duration::from_secs(30)));
    }

    #[test]
    fn a_pause_in_reading_is_no_silence() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start, &Timeouts::default());
        liveness.on_ping(start);
        liveness.on_pause();
        assert!(!liveness.is_dead(start + Duration::from_secs(3600)));
    }
}
