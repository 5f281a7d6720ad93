//! The emulator as its users meet it: over HTTP and WebSockets on loopback.
#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails should panic where it stands"
)]

mod agents;
mod channels;
mod connect_faults;
mod containers;
mod control_plane;
mod hostile;
mod keys;
mod limits;
mod listener;
mod long_lives;
mod nodes;
mod ports;
mod program;
mod refusals;
mod resume;
mod sessions;
mod shells;
mod signatures;
mod signer;
mod support;
