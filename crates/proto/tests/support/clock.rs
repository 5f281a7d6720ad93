//! The one moment from which the tests count.

use std::sync::LazyLock;
use std::time::Duration;
use std::time::Instant;

use ssm_session_proto::WallClock;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had from no one else; it is taken once and never looked at"
)]
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) fn epoch() -> Instant {
    *EPOCH
}

pub(crate) fn clock() -> WallClock {
    WallClock::new(epoch(), Duration::from_secs(1_700_000_000))
}
