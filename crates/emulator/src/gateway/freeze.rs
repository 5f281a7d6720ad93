//! Agents that stand still on demand.

use std::pin::pin;

use tokio::sync::oneshot;
use tokio::sync::watch;

use super::Gateway;
use super::Order;
use crate::service::Service;

/// Polls `run` only while nobody wants it frozen: no frame is handled, no timer and no end of a process noticed.
pub(super) async fn unless_frozen<F: Future>(
    mut frozen: watch::Receiver<bool>,
    run: F,
) -> F::Output {
    let mut run = pin!(run);
    loop {
        if frozen.wait_for(|frozen| !frozen).await.is_err() {
            // Nobody is left who could thaw it.
            return run.await;
        }
        tokio::select! {
            biased;
            Ok(_) = frozen.wait_for(|frozen| *frozen) => {}
            output = &mut run => return output,
        }
    }
}

impl Service {
    /// Freezes or thaws the agents of all sessions, or of one, and tells how many there were.
    pub(crate) async fn freeze_agents(&self, frozen: bool, only: Option<&str>) -> usize {
        let mut found = 0;
        for orders in self.sessions.all_orders(only) {
            let (done, told) = oneshot::channel();
            let order = Order::Freeze { frozen, done };
            // A gateway that takes no orders any more has no agent either.
            if orders.send(order).await.is_ok() && told.await == Ok(true) {
                found += 1;
            }
        }
        found
    }
}

impl Gateway {
    /// Whether there was an agent to freeze or to thaw.
    pub(super) fn freeze_agent(&self, frozen: bool) -> bool {
        tracing::info!(session_id = self.session_id, frozen, "agent told");
        self.agent.freeze(frozen);
        self.agent.outcome.is_none()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_frozen_does_nothing_until_it_is_thawed_and_keeps_its_state() {
        let (freeze, frozen) = watch::channel(true);
        let (orders, mut taken) = tokio::sync::mpsc::unbounded_channel();
        let mut run = Box::pin(unless_frozen(frozen, async move {
            let mut sum = 0;
            while let Some(number) = taken.recv().await {
                sum += number;
            }
            sum
        }));
        orders.send(1).unwrap();
        assert!((&mut run).now_or_never().is_none());
        freeze.send(false).unwrap();
        assert!((&mut run).now_or_never().is_none());
        freeze.send(true).unwrap();
        orders.send(2).unwrap();
        drop(orders);
        assert!((&mut run).now_or_never().is_none());
        freeze.send(false).unwrap();
        assert_eq!(run.await, 3);
    }

    #[tokio::test]
    async fn what_nobody_can_thaw_goes_on() {
        let (freeze, frozen) = watch::channel(true);
        drop(freeze);
        assert_eq!(unless_frozen(frozen, async { 7 }).await, 7);
    }
}
