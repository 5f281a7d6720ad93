//! Round-trip estimate and the time after which a message is sent again (docs/PROTOCOL.md 4.1).

use std::time::Duration;
use std::time::Instant;

/// What both peers use before the first sample.
const INITIAL_TIMEOUT: Duration = Duration::from_millis(200);
/// A timeout takes everything on its way for lost, so that a busy machine must not cause one;
/// a single loss shows by what overtakes it long before.
const MIN_TIMEOUT: Duration = INITIAL_TIMEOUT;
/// Peers stop at one second, which resends everything for ever on a slower path.
const MAX_TIMEOUT: Duration = Duration::from_secs(8);
/// Reordering within the peers' own queues.
const MIN_TOLERANCE: Duration = Duration::from_millis(5);
/// To where doubling goes: the peers' ceiling. What is sent again is little, and soon after a
/// path is back it has to be found out.
const MAX_DOUBLED: Duration = Duration::from_secs(1);

/// Turns round trips into a retransmission timeout.
///
/// Samples of messages that were sent twice say nothing and must not be handed in (Karn). The
/// timeout then doubles once per timeout, until a message that was sent once is acknowledged.
#[derive(Debug, Default)]
pub(super) struct RttEstimator {
    estimate: Option<Estimate>,
    doublings: u32,
    next_doubling: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    smoothed: Duration,
    variation: Duration,
}

impl RttEstimator {
    /// Takes in the round trip of a message that was sent once.
    pub(super) fn sample(&mut self, round_trip: Duration) {
        self.doublings = 0;
        self.next_doubling = None;
        self.estimate = Some(match self.estimate {
            None => Estimate {
                smoothed: round_trip,
                variation: round_trip / 2,
            },
            Some(old) => Estimate {
                // Variation first, from the old estimate, as both peers do.
                variation: (old.variation * 3 + old.smoothed.abs_diff(round_trip)) / 4,
                smoothed: (old.smoothed * 7 + round_trip) / 8,
            },
        });
    }

    /// Notes that a message was due at `now`; everything due at one time counts once.
    pub(super) fn on_timeout(&mut self, now: Instant) {
        if self.next_doubling.is_none_or(|at| now >= at) {
            self.next_doubling = Some(now + self.timeout());
            self.doublings = self.doublings.saturating_add(1);
        }
    }

    /// How much later than others a message may arrive before it is taken for lost.
    pub(super) fn tolerance(&self) -> Duration {
        let base = self.estimate.map_or(INITIAL_TIMEOUT, |estimate| {
            estimate.smoothed / 4 + estimate.variation
        });
        base.max(MIN_TOLERANCE)
    }

    /// How long to wait for an acknowledgement.
    pub(super) fn timeout(&self) -> Duration {
        let base = self.estimate.map_or(INITIAL_TIMEOUT, |estimate| {
            (estimate.smoothed + estimate.variation * 4).max(MIN_TIMEOUT)
        });
        base.saturating_mul(2_u32.saturating_pow(self.doublings))
            .min(base.clamp(MAX_DOUBLED, MAX_TIMEOUT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::epoch;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_timeout_is_the_peers() {
        assert_eq!(RttEstimator::default().timeout(), 200 * MS);
    }

    #[test]
    fn steady_round_trips_shrink_the_timeout_to_what_they_take_but_not_below_the_least() {
        for (round_trip, expected) in [(400, 400), (40, 200)] {
            let mut rtt = RttEstimator::default();
            for _ in 0..100 {
                rtt.sample(round_trip * MS);
            }
            let timeout = rtt.timeout();
            assert!(
                timeout >= expected * MS && timeout < (expected + 1) * MS,
                "{timeout:?}"
            );
        }
    }

    #[test]
    fn the_timeout_stays_above_a_round_trip_that_swells() {
        let mut rtt = RttEstimator::default();
        for ms in [10_u32, 20, 40, 80, 160, 320] {
            rtt.sample(ms * MS);
            assert!(rtt.timeout() > ms * MS, "{ms} ms: {:?}", rtt.timeout());
        }
    }

    #[test]
    fn messages_due_together_double_the_timeout_once() {
        let mut rtt = RttEstimator::default();
        for _ in 0..1000 {
            rtt.on_timeout(epoch());
        }
        assert_eq!(rtt.timeout(), 400 * MS);
        rtt.on_timeout(epoch() + 200 * MS);
        assert_eq!(rtt.timeout(), 800 * MS);
    }

    #[test]
    fn doubling_ends_at_a_second() {
        let mut rtt = RttEstimator::default();
        for second in 0..100 {
            rtt.on_timeout(epoch() + Duration::from_secs(10) * second);
        }
        assert_eq!(rtt.timeout(), MAX_DOUBLED);
    }

    #[test]
    fn a_path_slower_than_that_is_waited_for() {
        let mut rtt = RttEstimator::default();
        rtt.sample(2000 * MS);
        rtt.on_timeout(epoch());
        assert_eq!(rtt.timeout(), 6000 * MS);
        rtt.sample(20_000 * MS);
        assert_eq!(rtt.timeout(), MAX_TIMEOUT);
    }

    #[test]
    fn a_clean_sample_ends_the_doubling() {
        let mut rtt = RttEstimator::default();
        rtt.sample(100 * MS);
        rtt.on_timeout(epoch());
        assert_eq!(rtt.timeout(), 600 * MS);
        rtt.sample(100 * MS);
        assert_eq!(rtt.timeout(), 250 * MS);
    }
}
