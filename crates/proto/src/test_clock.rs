//! The one moment from which the unit tests count.

use std::sync::LazyLock;
use std::time::Duration;
use std::time::Instant;

use crate::composer::Composer;
use crate::time::WallClock;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had from no one else"
)]
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) fn epoch() -> Instant {
    *EPOCH
}

pub(crate) fn clock() -> WallClock {
    WallClock::new(epoch(), Duration::from_millis(1_700_000_000_000))
}

pub(crate) fn composer(seed: u8) -> Composer {
    Composer::new(clock(), [seed; 32])
}
