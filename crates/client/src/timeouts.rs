//! How long each step may take.

use std::time::Duration;

/// Time limits, one per step. All are wall time for that step alone.
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
    /// Time between two WebSocket pings. Default 15 s.
    pub keepalive: Duration,
    /// Time without a single frame, pongs included, after which the connection is taken to be
    /// dead. Default 45 s; meant to be a small multiple of `keepalive`.
    pub silence: Duration,
    /// Time without an acknowledgement of the agent, while something was sent that it should
    /// acknowledge, after which it is said to be [`Unresponsive`](crate::SessionEvent::Unresponsive).
    /// Default 10 s.
    pub unresponsive: Duration,
    /// Obtaining a data key (docs/PROTOCOL.md, 6). Default 20 s. The agent itself gives up 15 s
    /// after it asked.
    pub data_key: Duration,
    /// From losing the connection until giving the session up, as far as it can be resumed at
    /// all. A connection that is lost again before the agent was heard counts as the same loss.
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
