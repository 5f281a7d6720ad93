//! How much may be on its way: governed by delay and loss.
//!
//! Every second round trip the window is set to what would keep a queue of [`QUEUE`] filled at the
//! rate just seen: `window × (base + QUEUE) / round trip`, at most doubled. Far below the
//! path's capacity the round trip stays at its base and the window doubles; a throttled path
//! swells the round trip and the window settles where that is `QUEUE` longer than the base. A
//! loss takes 30 %. A timeout, after which nothing is known, starts from the minimum, which a
//! few doublings make good.
//!
//! The base is the least round trip seen. A standing queue of our own would hide a base that
//! has changed, so when none was seen near it for [`BASE_LIFETIME`] the window is drained for a
//! round trip to look.

use std::time::Duration;
use std::time::Instant;

/// The delay that a bulk transfer may add for everybody else, and the reserve that keeps a
/// path busy while acknowledgements jitter.
const QUEUE: Duration = Duration::from_millis(60);
/// Bytes; a few messages of the smallest payload.
pub(super) const MIN_WINDOW: usize = 8 * 1024;
const INITIAL_WINDOW: usize = 32 * 1024;
/// Bytes: 100 ms of 20 MB/s. What is on its way is kept in memory, and delays everybody else.
pub(super) const MAX_WINDOW: usize = 2 * 1024 * 1024;
const LATEST: usize = 8;
const BASE_LIFETIME: Duration = Duration::from_secs(20);

/// The congestion window of one direction of one connection.
#[derive(Debug)]
pub(super) struct CongestionWindow {
    size: usize,
    base: Option<Base>,
    round: Option<Round>,
    drain: Option<Drain>,
    /// Messages sent before this have been paid for by a smaller window.
    shrunk: Option<Instant>,
}

/// The least round trip, and when one near it was seen last.
#[derive(Clone, Copy, Debug)]
struct Base {
    round_trip: Duration,
    seen: Instant,
}

/// Two round trips: one until the window shows in what is sent, and one to measure that.
#[derive(Clone, Copy, Debug)]
struct Round {
    start: Instant,
    /// When a message sent since `start` was first acknowledged.
    shows: Option<Instant>,
    /// The latest round trips of messages sent since `start`; the least of them counts, because
    /// an acknowledgement may be late for many reasons.
    latest: [Duration; LATEST],
    /// The window, and nothing else, held messages back.
    limited: bool,
}

/// A look at the empty path.
#[derive(Clone, Copy, Debug)]
struct Drain {
    /// The window to go back to.
    restore: usize,
    /// When the path became empty.
    empty: Option<Instant>,
}

impl CongestionWindow {
    pub(super) fn new() -> Self {
        Self {
            size: INITIAL_WINDOW,
            base: None,
            round: None,
            drain: None,
            shrunk: None,
        }
    }

    /// Bytes that may be on their way.
    pub(super) fn size(&self) -> usize {
        match self.drain {
            Some(_) => MIN_WINDOW,
            None => self.size,
        }
    }

    /// A message is about to be sent with `in_flight` bytes on their way.
    pub(super) fn on_sent(&mut self, in_flight: usize, now: Instant) {
        self.round.get_or_insert(Round {
            start: now,
            shows: None,
            latest: [Duration::MAX; LATEST],
            limited: false,
        });
        if let Some(drain) = &mut self.drain
            && in_flight <= MIN_WINDOW
        {
            drain.empty.get_or_insert(now);
        }
    }

    /// A message had to wait for the window.
    pub(super) fn on_limited(&mut self) {
        if let Some(round) = &mut self.round {
            round.limited = true;
        }
    }

    /// Whether a message that was sent again is acknowledged so late after `sent`, its last
    /// sending, that it may be that one which arrived.
    pub(super) fn is_plausible(&self, sent: Instant, now: Instant) -> bool {
        let round_trip = now.saturating_duration_since(sent);
        self.base.is_none_or(|base| base.round_trip <= round_trip)
    }

    /// The message sent at `sent` is acknowledged.
    pub(super) fn on_acknowledged(&mut self, sent: Instant, now: Instant) {
        let round_trip = now.saturating_duration_since(sent);
        self.see(round_trip, now);
        if self
            .drain
            .is_some_and(|drain| drain.empty.is_some_and(|empty| empty <= sent))
        {
            self.end_drain(Some(round_trip), now);
            return;
        }
        let Some(round) = &mut self.round else {
            return;
        };
        if sent < round.start {
            return;
        }
        round.latest.rotate_right(1);
        round.latest[0] = round_trip;
        if sent >= *round.shows.get_or_insert(now) {
            let round = *round;
            self.round = None;
            self.end_round(round, now);
        }
    }

    /// A message sent at `sent` is lost while others came through.
    pub(super) fn on_lost(&mut self, sent: Instant, now: Instant) {
        if self.shrunk.is_some_and(|shrunk| sent < shrunk) {
            return;
        }
        self.end_drain(None, now);
        self.shrunk = Some(now);
        self.set(self.size / 10 * 7);
    }

    /// Nothing came through for a whole timeout.
    pub(super) fn on_timeout(&mut self, now: Instant) {
        self.end_drain(None, now);
        self.shrunk = Some(now);
        self.round = None;
        self.set(MIN_WINDOW);
    }

    fn see(&mut self, round_trip: Duration, now: Instant) {
        let near = |base: Base| base.round_trip + base.round_trip / 8 + Duration::from_millis(1);
        self.base = Some(match self.base {
            Some(base) if round_trip > near(base) => base,
            Some(base) => Base {
                round_trip: base.round_trip.min(round_trip),
                seen: now,
            },
            None => Base {
                round_trip,
                seen: now,
            },
        });
    }

    fn end_round(&mut self, round: Round, now: Instant) {
        let Some(base) = self.base else {
            return;
        };
        if !round.limited || self.drain.is_some() {
            return;
        }
        let round_trip = round.latest.into_iter().min().unwrap_or_default();
        let goal = scaled(self.size, base.round_trip + QUEUE, round_trip);
        self.set(goal.min(self.size.saturating_mul(2)));
        if now.saturating_duration_since(base.seen) > BASE_LIFETIME {
            self.drain = Some(Drain {
                restore: self.size,
                empty: None,
            });
        }
    }

    /// Ends a drain if there is one; `base` is what it found.
    fn end_drain(&mut self, base: Option<Duration>, now: Instant) {
        if let Some(drain) = self.drain.take() {
            self.size = drain.restore;
            self.round = None;
            if let Some(base) = &mut self.base {
                base.seen = now;
            }
            if let Some((base, found)) = self.base.as_mut().zip(base) {
                base.round_trip = found;
            }
        }
    }

    fn set(&mut self, size: usize) {
        self.size = size.clamp(MIN_WINDOW, MAX_WINDOW);
    }
}

/// `size × numerator / denominator`.
fn scaled(size: usize, numerator: Duration, denominator: Duration) -> usize {
    let size = u128::try_from(size).unwrap_or(u128::MAX);
    let scaled = size
        .saturating_mul(numerator.as_micros())
        .checked_div(denominator.as_micros())
        .unwrap_or(u128::MAX);
    usize::try_from(scaled).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::test_clock::epoch;

    const MS: Duration = Duration::from_millis(1);
    const MESSAGE: usize = 1144;

    /// A path of a fixed rate with a queue of its own, and a sender that always has more.
    struct Path {
        window: CongestionWindow,
        now: Instant,
        base: Duration,
        /// Per message.
        service: Duration,
        free: Instant,
        /// When each message was sent, and when its acknowledgement comes.
        flight: VecDeque<(Instant, Instant)>,
        acknowledged: usize,
    }

    impl Path {
        fn new(base: Duration, bytes_per_second: u32) -> Self {
            Self {
                window: CongestionWindow::new(),
                now: epoch(),
                base,
                service: Duration::from_secs(1) * u32::try_from(MESSAGE).unwrap()
                    / bytes_per_second,
                free: epoch(),
                flight: VecDeque::new(),
                acknowledged: 0,
            }
        }

        fn in_flight(&self) -> usize {
            self.flight.len() * MESSAGE
        }

        /// Lets time pass. The largest delay beyond the base.
        fn run(&mut self, time: Duration) -> Duration {
            let end = self.now + time;
            let mut queue = Duration::ZERO;
            while self.now < end {
                while self.flight.is_empty() || self.in_flight() + MESSAGE <= self.window.size() {
                    self.window.on_sent(self.in_flight(), self.now);
                    self.free = self.free.max(self.now) + self.service;
                    self.flight.push_back((self.now, self.free + self.base));
                }
                self.window.on_limited();
                let (sent, at) = self.flight.pop_front().unwrap();
                self.now = self.now.max(at);
                queue = queue.max((self.now - sent).saturating_sub(self.base));
                self.acknowledged += MESSAGE;
                self.window.on_acknowledged(sent, self.now);
            }
            queue
        }

        fn throughput(&mut self, time: Duration) -> f64 {
            let (before, start) = (self.acknowledged, self.now);
            self.run(time);
            let bytes = f64::from(u32::try_from(self.acknowledged - before).unwrap());
            bytes / (self.now - start).as_secs_f64()
        }
    }

    #[test]
    fn a_slow_path_is_filled_but_not_flooded() {
        for (base, rate) in [(20 * MS, 500_000), (100 * MS, 2_000_000), (MS, 200_000)] {
            let mut path = Path::new(base, rate);
            path.run(Duration::from_secs(3));
            let queue = path.run(Duration::from_secs(5));
            assert!(queue < 2 * QUEUE, "{base:?}: {queue:?}");
            let used = path.throughput(Duration::from_secs(60)) / f64::from(rate);
            assert!(used > 0.95, "{base:?}: {used}");
        }
    }

    #[test]
    fn a_fast_path_opens_the_window_in_a_few_round_trips() {
        let mut path = Path::new(50 * MS, 1_000_000_000);
        path.run(Duration::from_secs(1));
        assert!(path.window.size() > 1_500_000, "{}", path.window.size());
    }

    #[test]
    fn losses_shrink_the_window_once_per_round_trip() {
        let mut path = Path::new(20 * MS, 1_000_000);
        path.run(Duration::from_secs(2));
        let before = path.window.size();
        let sent = path.now - 10 * MS;
        path.window.on_lost(sent, path.now);
        path.window.on_lost(sent + MS, path.now);
        assert_eq!(path.window.size(), before / 10 * 7);
        path.window.on_lost(path.now + MS, path.now + 20 * MS);
        assert!(path.window.size() < before / 2);
    }

    #[test]
    fn after_a_timeout_a_few_round_trips_are_enough() {
        let mut path = Path::new(20 * MS, 1_000_000);
        path.run(Duration::from_secs(5));
        path.window.on_timeout(path.now);
        assert_eq!(path.window.size(), MIN_WINDOW);
        path.run(200 * MS);
        let used = path.throughput(Duration::from_secs(1)) / 1e6;
        assert!(used > 0.9, "{used}");
    }

    #[test]
    fn a_base_that_has_grown_is_found() {
        let mut path = Path::new(20 * MS, 1_000_000);
        path.run(Duration::from_secs(5));
        path.base = 200 * MS;
        path.run(Duration::from_secs(50));
        let used = path.throughput(Duration::from_secs(10)) / 1e6;
        assert!(used > 0.9, "{used}");
    }

    #[test]
    fn the_queue_does_not_creep_up_over_an_hour() {
        let mut path = Path::new(20 * MS, 500_000);
        path.run(Duration::from_secs(3600));
        let queue = path.run(Duration::from_secs(60));
        assert!(queue < 2 * QUEUE, "{queue:?}");
    }

    #[test]
    fn a_sender_with_little_to_say_keeps_its_window() {
        let mut window = CongestionWindow::new();
        let mut now = epoch();
        for round_trip in [20, 20, 500, 800] {
            window.on_sent(0, now);
            let sent = now;
            now += round_trip * MS;
            window.on_acknowledged(sent, now);
        }
        assert_eq!(window.size(), INITIAL_WINDOW);
    }
}
