//! Whose turn it is to send.

use std::collections::VecDeque;

use super::StreamId;

/// Streams with something to send, in the order in which they are served.
///
/// A stream that had nothing to send is served before all that have had a turn, so that a
/// keystroke never waits behind a bulk transfer; once served it waits in line with the others,
/// even if it has nothing left, so that many short writes gain nothing over one long one.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    fresh: VecDeque<StreamId>,
    waiting: VecDeque<StreamId>,
}

impl Schedule {
    /// A stream without a place has something to send.
    pub(super) fn enter(&mut self, id: StreamId) {
        self.fresh.push_back(id);
    }

    /// Takes the stream whose turn it is. It has to [`wait`](Self::wait) again or loses its
    /// place.
    pub(super) fn next(&mut self) -> Option<StreamId> {
        self.fresh.pop_front().or_else(|| self.waiting.pop_front())
    }

    /// A stream had its turn and goes to the end of the line.
    pub(super) fn wait(&mut self, id: StreamId) {
        self.waiting.push_back(id);
    }

    /// Whether nobody else waits for a turn.
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.waiting.is_empty()
    }
}
