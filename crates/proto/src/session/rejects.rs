//! When to give up on a peer that sends nothing but nonsense.

/// Messages in a row that may be unusable. Single ones are dropped, as both reference ends do.
const MAX_REJECTS: u32 = 32;

/// Counts unusable messages since the last usable one.
#[derive(Debug, Default)]
pub(super) struct Rejects(u32);

impl Rejects {
    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }

    /// Counts one more; whether that is too many.
    pub(super) fn add(&mut self) -> bool {
        self.0 = self.0.saturating_add(1);
        self.0 >= MAX_REJECTS
    }

    /// The sentence for the close reason.
    pub(super) fn sentence(&self, last: &dyn std::fmt::Display) -> String {
        format!(
            "the peer sent {} unusable messages in a row; the last one: {last}",
            self.0
        )
    }
}
