//! The fuzzing targets on the inputs that were found so far, and on damaged copies of them. What
//! runs them at length, and finds such inputs, is in the `fuzz` folder of the repository.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../hostile"]
mod hostile {
    pub(crate) mod subject;
}
mod replay;
#[path = "../it/sim"]
mod sim {
    #[expect(dead_code, reason = "each test program uses its part")]
    pub(crate) mod kms;
    pub(crate) mod model;
}
#[path = "../support/shared.rs"]
#[expect(dead_code, reason = "each test program uses its part")]
mod support;
#[path = "targets/shared.rs"]
mod targets;

#[global_allocator]
static ALLOCATOR: support::memory::Counting = support::memory::Counting;
