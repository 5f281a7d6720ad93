//! The client against a gateway of this test's own: a WebSocket server over pipes or loopback,
//! with the agent's end of the protocol behind it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ceiling;
mod connecting;
#[cfg(unix)]
mod emulated;
mod encryption;
mod ending;
mod flow;
mod forward;
mod hostile;
mod limits;
mod lost;
#[allow(dead_code, reason = "the protocol's own tests use more of it")]
#[path = "../../../proto/tests/support/memory.rs"]
mod memory;
mod node;
mod outage;
mod proxies;
#[cfg(unix)]
mod resuming;
mod server;
mod signing;
mod starting;
mod steps;
mod streams;
mod support;
mod unresponsive;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
