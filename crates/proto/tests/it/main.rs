//! Tests of both ends from outside: against recorded sessions, against each other over a bad
//! link, and one behaviour at a time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod behaviour;
mod golden;
mod interop;
mod link;
mod shell;
mod sim;
#[path = "../support/shared.rs"]
mod support;
mod tunnel;

#[global_allocator]
static ALLOCATOR: support::memory::Counting = support::memory::Counting;
