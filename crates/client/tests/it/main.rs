//! The client against a gateway of this test's own: a WebSocket server over pipes or loopback,
//! with the agent's end of the protocol behind it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod connecting;
#[cfg(unix)]
mod emulated;
mod encryption;
mod ending;
mod flow;
mod forward;
mod lost;
mod node;
mod proxies;
#[cfg(unix)]
mod resuming;
mod server;
mod signing;
mod starting;
mod streams;
mod support;
