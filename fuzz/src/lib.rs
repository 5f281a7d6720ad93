//! The fuzzing targets of `crates/proto/tests/fuzz`, for libFuzzer. Nothing is checked here that
//! is not checked there: what the programs of this package find, an ordinary test replays.

#![expect(clippy::unwrap_used, reason = "a target fails by panicking")]

#[path = "../../crates/proto/tests/hostile"]
mod hostile {
    pub(crate) mod subject;
}
#[path = "../../crates/proto/tests/it/sim"]
mod sim {
    #[expect(dead_code, reason = "each program uses its part")]
    pub(crate) mod kms;
    pub(crate) mod model;
}
#[path = "../../crates/proto/tests/support/shared.rs"]
#[expect(dead_code, reason = "each program uses its part")]
mod support;
#[path = "../../crates/proto/tests/fuzz/targets/shared.rs"]
mod targets;

#[global_allocator]
static ALLOCATOR: support::memory::Counting = support::memory::Counting;

/// Any bytes as a message.
pub fn frames(data: &[u8]) {
    targets::frames(data);
}

/// Bodies in either end of a session.
pub fn bodies(data: &[u8]) {
    targets::bodies(data);
}

/// Either end of a multiplexed stream.
pub fn smux(data: &[u8]) {
    targets::smux(data);
}

/// Both ends over a link that does what the input says.
pub fn pair(data: &[u8]) {
    targets::pair(data);
}
