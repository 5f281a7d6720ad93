//! What neither end may be brought down by: damaged messages and floods. A program of its own,
//! because it counts the memory in use.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod corruption;
mod floods;
mod smux;
mod storm;
mod subject;
#[path = "../support/shared.rs"]
mod support;

#[global_allocator]
static ALLOCATOR: support::memory::Counting = support::memory::Counting;
