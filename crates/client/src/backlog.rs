//! Events on their way to the application, counted so that the driver knows when to stop reading.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;
use tokio::sync::mpsc;

use crate::session::SessionEvent;

/// Undelivered bytes from which on nothing more is read from the socket, so that TCP holds the
/// sender back.
pub(crate) const LIMIT: usize = 1024 * 1024;
/// What an event counts besides its bytes.
const EVENT_COST: usize = 64;

#[derive(Debug, Default)]
struct Level {
    bytes: AtomicUsize,
    lowered: Notify,
}

#[derive(Debug)]
pub(crate) struct EventSender {
    queue: mpsc::UnboundedSender<SessionEvent>,
    level: Arc<Level>,
}

#[derive(Debug)]
pub(crate) struct EventReceiver {
    queue: mpsc::UnboundedReceiver<SessionEvent>,
    level: Arc<Level>,
}

pub(crate) fn channel() -> (EventSender, EventReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let level = Arc::<Level>::default();
    (
        EventSender {
            queue: sender,
            level: Arc::clone(&level),
        },
        EventReceiver {
            queue: receiver,
            level,
        },
    )
}

impl EventSender {
    /// Hands an event over, full or not. Without a receiver it is dropped.
    pub(crate) fn send(&self, event: SessionEvent) {
        let cost = cost(&event);
        self.level.bytes.fetch_add(cost, Ordering::Relaxed);
        if self.queue.send(event).is_err() {
            self.level.bytes.fetch_sub(cost, Ordering::Relaxed);
        }
    }

    /// Whether a receiver is there and behind by [`LIMIT`] bytes or more.
    pub(crate) fn is_full(&self) -> bool {
        self.level.bytes.load(Ordering::Relaxed) >= LIMIT && !self.queue.is_closed()
    }

    /// Waits until [`is_full`](Self::is_full) is false.
    pub(crate) async fn room(&self) {
        while self.is_full() {
            tokio::select! {
                // Remembers a notification given before this line.
                () = self.level.lowered.notified() => {}
                () = self.queue.closed() => {}
            }
        }
    }
}

impl EventReceiver {
    /// The next event, or `None` when the sender is gone. Nothing is lost if the wait is given up.
    pub(crate) async fn next(&mut self) -> Option<SessionEvent> {
        let event = self.queue.recv().await?;
        let cost = cost(&event);
        let before = self.level.bytes.fetch_sub(cost, Ordering::Relaxed);
        if before >= LIMIT && before - cost < LIMIT {
            self.level.lowered.notify_one();
        }
        Some(event)
    }
}

fn cost(event: &SessionEvent) -> usize {
    EVENT_COST
        + match event {
            SessionEvent::Output { data, .. } => data.len(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use ssm_session_proto::OutputStream;

    use super::*;

    fn output(length: usize) -> SessionEvent {
        SessionEvent::Output {
            stream: OutputStream::Stdout,
            data: Bytes::from(vec![0; length]),
        }
    }

    #[tokio::test]
    async fn the_sender_waits_until_the_receiver_has_taken_enough() {
        let (sender, mut receiver) = channel();
        sender.send(output(LIMIT));
        sender.send(output(1));
        assert!(sender.is_full());
        assert!(sender.room().now_or_never().is_none());
        assert!(receiver.next().await.is_some());
        assert!(!sender.is_full());
        sender.room().await;
    }

    #[tokio::test]
    async fn many_small_events_fill_it_too() {
        let (sender, _receiver) = channel();
        for _ in 0..=LIMIT / EVENT_COST {
            sender.send(output(0));
        }
        assert!(sender.is_full());
    }

    #[tokio::test]
    async fn without_a_receiver_it_is_never_full() {
        let (sender, receiver) = channel();
        sender.send(output(LIMIT));
        let waiting = sender.room();
        drop(receiver);
        waiting.await;
        sender.send(output(LIMIT));
        assert!(!sender.is_full());
    }
}
