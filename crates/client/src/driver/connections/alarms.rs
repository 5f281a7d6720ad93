//! When to attend to connections that nothing wakes.

use std::collections::BTreeSet;

use tokio::time::Instant;

/// At most one time per connection.
#[derive(Debug, Default)]
pub(super) struct Alarms(BTreeSet<(Instant, u32)>);

impl Alarms {
    pub(super) fn change(&mut self, key: u32, before: Option<Instant>, after: Option<Instant>) {
        if let Some(at) = before {
            self.0.remove(&(at, key));
        }
        if let Some(at) = after {
            self.0.insert((at, key));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The next connection whose time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u32> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn alarms_come_in_the_order_of_their_times_and_can_be_changed() {
        let start = Instant::now();
        let after = |seconds| Some(start + Duration::from_secs(seconds));
        let mut alarms = Alarms::default();
        alarms.change(1, None, after(3));
        alarms.change(2, None, after(1));
        alarms.change(3, None, after(2));
        alarms.change(3, after(2), None);
        alarms.change(1, after(3), after(4));
        assert_eq!(alarms.next(), after(1));
        let now = start + Duration::from_secs(3);
        assert_eq!(alarms.take_due(now), Some(2));
        assert_eq!(alarms.take_due(now), None);
        assert_eq!(alarms.next(), after(4));
    }
}
