//! Whether anybody is still there.

use std::time::Duration;

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
    woken: Option<Woken>,
}

/// Nothing was heard since a standstill of ours.
#[derive(Clone, Copy, Debug)]
struct Woken {
    at: Instant,
    limit: Duration,
}

/// A peer that is gone, by its silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// How long it was waited for.
    pub(super) limit: Duration,
    /// Whether only since a standstill of ours.
    pub(super) woken: bool,
}

impl Liveness {
    pub(super) fn new(now: Instant, timeouts: &Timeouts) -> Self {
        Self {
            timeouts: *timeouts,
            next_ping: now + timeouts.keepalive,
            last_frame: now,
            asked: None,
            woken: None,
        }
    }

    pub(super) fn on_frame(&mut self, now: Instant) {
        self.last_frame = now;
        // What lay here when we woke was sent before, and is no answer to the ping that follows.
        if self.asked.take().is_some() {
            self.woken = None;
        }
    }

    pub(super) fn on_ping(&mut self, now: Instant) {
        self.next_ping = now + self.timeouts.keepalive;
        self.asked.get_or_insert(now);
    }

    /// Nothing is read for now, so nothing can be heard.
    pub(super) fn on_pause(&mut self) {
        self.asked = None;
        self.woken = None;
    }

    /// We stood still, and nothing that was asked before counts. The peer is to be asked at once,
    /// and with a `limit` to show by then that it is still there.
    pub(super) fn on_standstill(&mut self, limit: Option<Duration>, now: Instant) {
        self.next_ping = now;
        self.asked = None;
        self.woken = limit.map(|limit| Woken { at: now, limit });
    }

    pub(super) fn is_ping_due(&self, now: Instant) -> bool {
        self.next_ping <= now
    }

    /// The silence that shows the peer to be gone.
    pub(super) fn verdict(&self, now: Instant) -> Option<Silence> {
        let woken = self.woken.filter(|woken| woken.at + woken.limit <= now);
        if let Some(Woken { limit, .. }) = woken {
            return Some(Silence { limit, woken: true });
        }
        self.silent_at().filter(|at| *at <= now).map(|_| Silence {
            limit: self.timeouts.silence,
            woken: false,
        })
    }

    /// When a ping or a verdict is due.
    pub(super) fn due(&self) -> Instant {
        let woken = self.woken.map(|woken| woken.at + woken.limit);
        let verdicts = woken.into_iter().chain(self.silent_at());
        verdicts.fold(self.next_ping, Instant::min)
    }

    fn silent_at(&self) -> Option<Instant> {
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
            if liveness.verdict(now).is_some() {
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
        assert_eq!(liveness.verdict(later), None);
        liveness.on_ping(later);
        assert_eq!(liveness.verdict(later), None);
        assert!(liveness.verdict(later + Duration::from_secs(30)).is_some());
    }

    #[test]
    fn a_pause_in_reading_is_no_silence() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start, &Timeouts::default());
        liveness.on_ping(start);
        liveness.on_pause();
        assert_eq!(liveness.verdict(start + Duration::from_secs(3600)), None);
    }

    /// Woken an hour after the start, amid a ping that was not answered, and pinged as is due.
    fn woken(limit: Option<Duration>) -> (Liveness, Instant) {
        let start = Instant::now();
        let mut liveness = Liveness::new(start, &Timeouts::default());
        liveness.on_ping(start);
        let woken = start + Duration::from_secs(3600);
        assert!(liveness.verdict(woken).is_some());
        liveness.on_standstill(limit, woken);
        assert_eq!((liveness.verdict(woken), liveness.due()), (None, woken));
        assert!(liveness.is_ping_due(woken));
        liveness.on_ping(woken);
        (liveness, woken)
    }

    #[test]
    fn after_a_standstill_the_peer_is_asked_at_once_and_has_little_time() {
        let limit = Duration::from_secs(5);
        let (liveness, woken) = woken(Some(limit));
        assert_eq!(liveness.due(), woken + limit);
        let silence = liveness.verdict(woken + limit);
        assert_eq!(silence, Some(Silence { limit, woken: true }));
    }

    #[test]
    fn without_a_limit_of_its_own_a_standstill_only_asks_at_once() {
        let (liveness, woken) = woken(None);
        assert_eq!(liveness.verdict(woken + Duration::from_secs(29)), None);
        assert!(liveness.verdict(woken + Duration::from_secs(30)).is_some());
    }

    #[test]
    fn what_is_heard_after_a_standstill_counts_and_what_lay_there_does_not() {
        let limit = Duration::from_secs(5);
        let (mut liveness, woken) = woken(Some(limit));
        liveness.on_standstill(Some(limit), woken);
        liveness.on_frame(woken);
        liveness.on_ping(woken);
        assert!(liveness.verdict(woken + limit).is_some());
        liveness.on_frame(woken + Duration::from_millis(40));
        assert_eq!(liveness.verdict(woken + limit), None);
        assert_eq!(liveness.due(), woken + Timeouts::default().keepalive);
    }
}
