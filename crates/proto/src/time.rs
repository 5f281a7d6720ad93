//! Wall-clock time on the wire, derived from the monotonic time that is handed in.

use std::time::Duration;
use std::time::Instant;

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

/// One moment told by both clocks, from which any other is derived.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    instant: Instant,
    unix: Duration,
}

impl WallClock {
    /// `unix` is the time since the Unix epoch at `now`.
    pub fn new(now: Instant, unix: Duration) -> Self {
        Self { instant: now, unix }
    }

    /// The wall-clock time at `now`; never 0, which peers take for a missing time.
    pub fn at(&self, now: Instant) -> UnixMillis {
        let unix = self
            .unix
            .saturating_add(now.saturating_duration_since(self.instant));
        UnixMillis(u64::try_from(unix.as_millis()).unwrap_or(u64::MAX).max(1))
    }
}
