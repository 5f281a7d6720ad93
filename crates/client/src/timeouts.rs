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
    /// The HTTP upgrade, from request to the end of the answer. Default 15 s.
    pub upgrade: Duration,
    /// Time between two WebSocket pings. Default 15 s.
    pub keepalive: Duration,
    /// Time without a single frame, pongs included, after which the connection is taken to be
    /// dead. Default 45 s; meant to be a small multiple of `keepalive`.
    pub silence: Duration,
    /// Obtaining a data key (docs/PROTOCOL.md, 6). Default 20 s. The agent itself gives up 15 s
    /// after it asked.
    pub data_key: Duration,
    /// From asking the service to end a session until giving up on its confirmation. Default 3 s.
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
            upgrade: Duration::from_secs(15),
            keepalive: Duration::from_secs(15),
            silence: Duration::from_secs(45),
            data_key: Duration::from_secs(20),
            terminate: Duration::from_secs(3),
            half_close: Duration::from_secs(30),
            close: Duration::from_secs(1),
        }
    }
}
