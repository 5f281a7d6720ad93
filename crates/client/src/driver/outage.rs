//! Time without a connection that works.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::close::Close;

/// How long a connection over which nothing passes must stand until it counts as one that works. Less
/// than users are kept waiting for a word about an outage.
const STEADY: Duration = Duration::from_secs(1);

/// An outage, from the loss of a connection until there is one that works.
///
/// Connections that are lost as soon as they are made are part of it: or a service that hangs up on
/// everybody would be called without end and without a pause, and nobody would be told.
#[derive(Debug)]
pub(super) struct Outage {
    /// How the connection was lost.
    pub(super) loss: Close,
    /// When to give up.
    pub(super) deadline: Instant,
    pub(super) backoff: Backoff,
    trial: Option<Trial>,
}

/// A connection that has yet to show that it works.
#[derive(Debug)]
struct Trial {
    since: Instant,
    /// How far the session was then.
    progress: u64,
}

impl Outage {
    pub(super) fn new(loss: Close, deadline: Instant) -> Self {
        Self {
            loss,
            deadline,
            backoff: backoff(),
            trial: None,
        }
    }

    pub(super) fn on_connected(&mut self, progress: u64, now: Instant) {
        let since = now;
        self.trial = Some(Trial { since, progress });
    }

    /// The network may be another one: attempts begin anew.
    pub(super) fn on_woken(&mut self) {
        self.backoff = backoff();
    }

    pub(super) fn on_lost(&mut self) {
        self.trial = None;
    }

    /// Whether the connection works: the session got on by it, or it has stood for a while.
    pub(super) fn is_over(&self, progress: u64, now: Instant) -> bool {
        self.trial
            .as_ref()
            .is_some_and(|trial| trial.progress != progress || trial.since + STEADY <= now)
    }

    /// When to ask again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.trial.as_ref().map(|trial| trial.since + STEADY)
    }
}

/// At once or nearly so at first, for most connections are closed by a service that is there.
fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(now: Instant) -> Outage {
        Outage::new(Close::network("it broke"), now + STEADY * 100)
    }

    #[test]
    fn a_connection_by_which_the_session_gets_on_works_at_once() {
        let now = Instant::now();
        let mut outage = outage(now);
        assert!(!outage.is_over(7, now));
        outage.on_connected(7, now);
        assert!(!outage.is_over(7, now));
        assert!(outage.is_over(8, now));
    }

    #[test]
    fn an_idle_connection_works_when_it_has_stood_for_a_while() {
        let now = Instant::now();
        let mut outage = outage(now);
        outage.on_connected(7, now);
        assert_eq!(outage.due(), Some(now + STEADY));
        assert!(outage.is_over(7, now + STEADY));
    }

    #[test]
    fn connections_that_are_lost_at_once_end_nothing() {
        let mut now = Instant::now();
        let mut outage = outage(now);
        for _ in 0..10 {
            outage.on_connected(7, now);
            now += STEADY / 2;
            outage.on_lost();
            assert!(!outage.is_over(7, now + STEADY * 10));
            assert_eq!(outage.due(), None);
        }
    }
}
