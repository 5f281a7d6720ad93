//! The limits of one session, as they pass.

use std::time::Duration;

use tokio::time::Instant;

use crate::plan::Limits;

/// Since when a session is there, is idle, and has its client.
#[derive(Debug)]
pub(super) struct Clocks {
    limits: Limits,
    started: Instant,
    idle: Instant,
    attached: Option<Instant>,
}

/// A limit that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    Idle,
    Lifetime,
    Channel,
}

impl Expiry {
    /// What the user of a session reads that ends for this; a channel's end is no session's.
    pub(super) fn words(self) -> Option<&'static str> {
        match self {
            Self::Idle => Some(IDLE),
            Self::Lifetime => Some(TOO_OLD),
            Self::Channel => None,
        }
    }
}

impl Clocks {
    /// The clocks of a session that starts.
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            limits: limits.clone(),
            started: now,
            idle: now,
            attached: None,
        }
    }

    /// Stream data passes.
    pub(super) fn on_data(&mut self, now: Instant) {
        self.idle = now;
    }

    pub(super) fn on_attached(&mut self, now: Instant) {
        self.attached = Some(now);
    }

    pub(super) fn on_gone(&mut self) {
        self.attached = None;
    }

    /// Which limit passes first, and when.
    pub(super) fn next(&self) -> Option<(Instant, Expiry)> {
        let limits = [
            (Expiry::Idle, Some(self.idle), self.limits.idle),
            (Expiry::Lifetime, Some(self.started), self.limits.lifetime),
            (Expiry::Channel, self.attached, self.limits.channel),
        ];
        let moments = limits
            .into_iter()
            .filter_map(|(expiry, since, limit)| Some((after(since?, limit?)?, expiry)));
        moments.min_by_key(|(at, _)| *at)
    }
}

/// A moment too far away to be told never comes.
fn after(since: Instant, limit: Duration) -> Option<Instant> {
    since.checked_add(limit)
}

/// `docs/PROTOCOL.md` 7.7.
const IDLE: &str = "Your session timed out due to inactivity and has been terminated.";
/// The service's own words are not known.
const TOO_OLD: &str = "Your session has lasted as long as a session may and has been terminated.";

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_limits_nothing_passes() {
        let mut clocks = Clocks::new(&Limits::default(), Instant::now());
        clocks.on_attached(Instant::now());
        assert_eq!(clocks.next(), None);
    }

    #[test]
    fn data_keeps_a_session_from_idling_and_not_from_growing_old() {
        let now = Instant::now();
        let limits = Limits {
            idle: Some(5 * SECOND),
            lifetime: Some(8 * SECOND),
            ..Limits::default()
        };
        let mut clocks = Clocks::new(&limits, now);
        assert_eq!(clocks.next(), Some((now + 5 * SECOND, Expiry::Idle)));
        clocks.on_data(now + 4 * SECOND);
        assert_eq!(clocks.next(), Some((now + 8 * SECOND, Expiry::Lifetime)));
    }

    #[test]
    fn a_channel_is_limited_from_when_its_client_came_and_only_while_it_is_there() {
        let now = Instant::now();
        let limits = Limits {
            channel: Some(5 * SECOND),
            ..Limits::default()
        };
        let mut clocks = Clocks::new(&limits, now);
        assert_eq!(clocks.next(), None);
        clocks.on_attached(now + SECOND);
        assert_eq!(clocks.next(), Some((now + 6 * SECOND, Expiry::Channel)));
        clocks.on_attached(now + 3 * SECOND);
        assert_eq!(clocks.next(), Some((now + 8 * SECOND, Expiry::Channel)));
        clocks.on_gone();
        assert_eq!(clocks.next(), None);
    }

    #[test]
    fn a_limit_beyond_time_never_passes() {
        let limits = Limits {
            lifetime: Some(Duration::MAX),
            ..Limits::default()
        };
        assert_eq!(Clocks::new(&limits, Instant::now()).next(), None);
    }
}
