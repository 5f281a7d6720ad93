//! Connections of clients nobody knows yet.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::task::AbortHandle;

/// The tasks of connections that are no data channels yet: requests, and WebSockets before their first frame.
///
/// Each has little memory and little time. There may be so many that they would fill the process all the same, so the
/// oldest makes room for the newest: a flood costs itself its connections, and those who come to an end are served.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<VecDeque<AbortHandle>>);

impl Strangers {
    /// Notes a connection, and ends the oldest if there are too many.
    pub(crate) fn enter(&self, task: AbortHandle) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.push_back(task);
        if tasks.len() > MAX_STRANGERS {
            tasks.retain(|task| !task.is_finished());
        }
        if tasks.len() > MAX_STRANGERS
            && let Some(oldest) = tasks.pop_front()
        {
            tracing::debug!("the oldest connection makes room");
            oldest.abort();
        }
    }
}

/// More than the tools of one machine have open at a time, and few enough for the usual limit of 1024 files.
const MAX_STRANGERS: usize = 256;
