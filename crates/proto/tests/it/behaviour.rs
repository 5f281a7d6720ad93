//! One behaviour at a time, on a clock that stands still unless a test moves it.

mod bad_messages;
mod basic_port;
mod ending;
mod fixture;
mod handshake_agent;
mod handshake_client;
mod input;
mod multiplexed_port;
mod ports;
mod publication;
mod reconnect;
mod shown;
