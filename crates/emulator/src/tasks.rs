//! The tasks of one emulator: none outlives it.

use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::task::AbortHandle;
use tokio::task::JoinSet;

/// A set of tasks that anyone holding it can add to.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<JoinSet<()>>);

impl Tasks {
    /// Runs `task` until it ends or the set is aborted.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Finished ones are forgotten here, so that the set does not grow with every connection.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task)
    }

    /// Waits until every task has ended, those included that are added meanwhile.
    pub(crate) async fn join(&self) {
        loop {
            let mut running =
                std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
            if running.is_empty() {
                return;
            }
            while running.join_next().await.is_some() {}
        }
    }

    /// Drops every task where it stands.
    pub(crate) fn abort(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}
