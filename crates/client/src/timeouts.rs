//! How long each step may take.

use std::time::Duration;

/// Whoever waits this long waits for ever. Clocks cannot count much further.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// More pings than this would be a load on the service.
const LEAST_KEEPALIVE: Duration = Duration::from_millis(10);

/// Time limits, one per step. All are wall time for that step alone, and none is longer than a
/// year: what is longer counts as one.
///
/// Some values make no sense: see [`check`](Self::check).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Looking the host name up. Default 10 s.
    pub resolve: Duration,
    /// Reaching any of the host's addresses by TCP. Default 10 s.
    pub tcp: Duration,
    /// The TLS handshake. Default 10 s.
    pub tls: Duration,
    /// The answer of a proxy, which reaches the host meanwhile. Default 20 s. The limits before
    /// apply to reaching the proxy itself.
    pub proxy: Duration,
    /// The HTTP upgrade, from request to the end of the answer. Default 15 s.
    pub upgrade: Duration,
    /// Finding the credentials that sign a connection, beside making it. Without them by then it
    /// is made unsigned. Default 3 s.
    pub credentials: Duration,
    /// Time between two WebSocket pings, at least 10 ms. Default 15 s.
    pub keepalive: Duration,
    /// Time without a single frame, pongs included, after which the connection is taken to be
    /// dead. Default 45 s; longer than `keepalive`, and meant to be a small multiple of it.
    pub silence: Duration,
    /// The same after this machine or this process stood still: a laptop that slept, a process
    /// that was stopped. The peer is pinged at once, and has this long to send anything. Where a
    /// lost connection is the end of the session, `silence` counts instead. Default 5 s, not zero.
    pub woken: Duration,
    /// Time without an acknowledgement of the agent, while something was sent that it should
    /// acknowledge, after which it is said to be [`Unresponsive`](crate::SessionEvent::Unresponsive).
    /// Default 10 s, not zero.
    pub unresponsive: Duration,
    /// Obtaining a data key (docs/PROTOCOL.md, 6). Default 20 s. The agent itself gives up 15 s
    /// after it asked.
    pub data_key: Duration,
    /// From losing the connection until giving the session up, as far as it can be resumed at
    /// all; zero does not resume. A connection that is lost again before the session got on by
    /// it, or it stood for a second, counts as the same loss, and time in which this process stood still does not count.
    /// Default 10 min.
    pub resume: Duration,
    /// One call of ResumeSession. Default 20 s.
    pub api: Duration,
    /// From asking the far end to end a session until giving up on its confirmation, and for the
    /// call of TerminateSession that follows where there was none; for each. Default 3 s.
    pub terminate: Duration,
    /// How long a local program that has ended its direction of a forwarded connection may wait
    /// for the far end without a byte in either direction. Then the far end is told, which with
    /// AWS's agent ends the other direction too (docs/PROTOCOL.md, 8). Default 30 s. A program
    /// that has closed its connection, as far as that can be known, is not waited for.
    pub half_close: Duration,
    /// Once the session has ended: sending what is left, giving local programs what came for
    /// them, and closing the socket; for each. Default 1 s.
    pub close: Duration,
}

/// Why time limits make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeoutsError {
    /// [`keepalive`](Timeouts::keepalive) is too short.
    #[error(
        "the time between two pings (keepalive) is {} s; it must be at least {} s",
        .0.as_secs_f64(),
        LEAST_KEEPALIVE.as_secs_f64()
    )]
    Keepalive(Duration),
    /// [`silence`](Timeouts::silence) is not longer than [`keepalive`](Timeouts::keepalive), so
    /// that connections would be given up before they were asked for a sign of life.
    #[error(
        "connections are given up after {} s of silence, and pinged every {} s; the silence must \
         be longer, twice as long or more",
        silence.as_secs_f64(),
        keepalive.as_secs_f64()
    )]
    Silence {
        /// The limit of silence.
        silence: Duration,
        /// The time between two pings.
        keepalive: Duration,
    },
    /// The limit of this name leaves no time at all.
    #[error("the time limit {0} must not be zero")]
    Zero(&'static str),
}

impl Timeouts {
    /// Whether a session can do with these. [`connect`](crate::connect) checks the same.
    ///
    /// # Errors
    ///
    /// [`TimeoutsError`] says which limit is wrong.
    pub fn check(&self) -> Result<(), TimeoutsError> {
        let Self {
            keepalive, silence, ..
        } = *self;
        if keepalive < LEAST_KEEPALIVE {
            return Err(TimeoutsError::Keepalive(keepalive));
        }
        if silence <= keepalive {
            return Err(TimeoutsError::Silence { silence, keepalive });
        }
        for (name, limit) in [("woken", self.woken), ("unresponsive", self.unresponsive)] {
            if limit.is_zero() {
                return Err(TimeoutsError::Zero(name));
            }
        }
        Ok(())
    }

    /// The same limits, none so long that a clock could not reach its end.
    #[must_use]
    pub(crate) fn bounded(mut self) -> Self {
        for limit in [
            &mut self.resolve,
            &mut self.tcp,
            &mut self.tls,
            &mut self.proxy,
            &mut self.upgrade,
            &mut self.credentials,
            &mut self.keepalive,
            &mut self.silence,
            &mut self.woken,
            &mut self.unresponsive,
            &mut self.data_key,
            &mut self.resume,
            &mut self.api,
            &mut self.terminate,
            &mut self.half_close,
            &mut self.close,
        ] {
            *limit = (*limit).min(LONGEST);
        }
        self
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(10),
            tcp: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            proxy: Duration::from_secs(20),
            upgrade: Duration::from_secs(15),
            credentials: Duration::from_secs(3),
            keepalive: Duration::from_secs(15),
            silence: Duration::from_secs(45),
            woken: Duration::from_secs(5),
            unresponsive: Duration::from_secs(10),
            data_key: Duration::from_secs(20),
            resume: Duration::from_secs(600),
            api: Duration::from_secs(20),
            terminate: Duration::from_secs(3),
            half_close: Duration::from_secs(30),
            close: Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(keepalive: Duration, silence: Duration) -> String {
        let timeouts = Timeouts {
            keepalive,
            silence,
            ..Timeouts::default()
        };
        timeouts.check().unwrap_err().to_string()
    }

    #[test]
    fn pings_that_never_end_or_come_too_late_are_refused() {
        let second = Duration::from_secs(1);
        assert_eq!(
            problem(Duration::ZERO, second),
            "the time between two pings (keepalive) is 0 s; it must be at least 0.01 s"
        );
        for silence in [Duration::ZERO, second, 15 * second] {
            let problem = problem(15 * second, silence);
            assert!(problem.contains("pinged every 15 s"), "{problem}");
        }
    }

    #[test]
    fn what_is_never_to_happen_has_no_limit_instead_of_none_left() {
        for (name, timeouts) in [
            (
                "woken",
                Timeouts {
                    woken: Duration::ZERO,
                    ..Timeouts::default()
                },
            ),
            (
                "unresponsive",
                Timeouts {
                    unresponsive: Duration::ZERO,
                    ..Timeouts::default()
                },
            ),
        ] {
            assert_eq!(timeouts.check(), Err(TimeoutsError::Zero(name)));
        }
    }

    #[test]
    fn the_usual_limits_can_be_done_with() {
        assert_eq!(Timeouts::default().check(), Ok(()));
    }
}
