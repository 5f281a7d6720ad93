//! How far the local clock is off, as far as AWS has told.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// AWS takes signatures that are 5 minutes off. Below this an answer's own delay may be all there is.
const TOLERABLE: i64 = 60;

/// The local clock and, once an answer has shown that it is wrong, by how much.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// Seconds that AWS is ahead.
    skew: Arc<AtomicI64>,
}

impl Clock {
    /// The time as AWS sees it.
    pub(crate) fn now(&self) -> SystemTime {
        shifted(SystemTime::now(), self.skew.load(Ordering::Relaxed))
    }

    /// Learns from the `Date` field of an answer that came just now.
    pub(crate) fn learn(&self, date: &str) {
        let Ok(there) = DateTime::from_str(date, Format::HttpDate) else {
            return;
        };
        let here = DateTime::from(SystemTime::now());
        let skew = there.secs() - here.secs();
        let skew = if skew.abs() < TOLERABLE { 0 } else { skew };
        if self.skew.swap(skew, Ordering::Relaxed) != skew {
            tracing::debug!(seconds = skew, "the local clock differs from AWS's");
        }
    }
}

fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let shifted = if seconds < 0 {
        time.checked_sub(by)
    } else {
        time.checked_add(by)
    };
    shifted.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(time: SystemTime) -> String {
        DateTime::from(time).fmt(Format::HttpDate).unwrap()
    }

    fn ahead(clock: &Clock) -> Duration {
        clock.now().duration_since(SystemTime::now()).unwrap()
    }

    #[test]
    fn an_answer_from_the_future_corrects_the_clock() {
        let clock = Clock::default();
        clock.learn(&date(SystemTime::now() + Duration::from_secs(7200)));
        assert!(ahead(&clock) > Duration::from_secs(7000));
    }

    #[test]
    fn an_answer_from_the_past_corrects_the_clock() {
        let clock = Clock::default();
        clock.learn(&date(SystemTime::now() - Duration::from_secs(7200)));
        assert!(clock.now() < SystemTime::now() - Duration::from_secs(7000));
    }

    #[test]
    fn a_difference_that_delay_explains_is_none() {
        let clock = Clock::default();
        clock.learn(&date(SystemTime::now() + Duration::from_secs(7200)));
        clock.learn(&date(SystemTime::now() - Duration::from_secs(20)));
        assert_eq!(clock.skew.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_no_date_changes_nothing() {
        let clock = Clock::default();
        clock.learn("yesterday");
        assert_eq!(clock.skew.load(Ordering::Relaxed), 0);
    }
}
