//! Which connections have something to do.
//!
//! Every connection has a waker of its own, which puts it into one queue. A turn of the driver
//! then costs what there is to do, and not what there is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// The connections that were woken, each once, in the order in which they were.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    keys: Mutex<VecDeque<u32>>,
    driver: AtomicWaker,
}

impl Shared {
    fn keys(&self) -> MutexGuard<'_, VecDeque<u32>> {
        // A queue is whole after every step.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadyQueue {
    /// The bell of the connection `key`.
    pub(super) fn bell(&self, key: u32) -> Bell {
        let place = Arc::new(Place {
            key,
            taken: AtomicBool::new(false),
            shared: Arc::clone(&self.0),
        });
        Bell {
            waker: Waker::from(Arc::clone(&place)),
            place,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.keys().len()
    }

    /// The next connection to attend to, whose [`Bell::answer`] is to follow.
    pub(super) fn next(&self) -> Option<u32> {
        self.0.keys().pop_front()
    }

    /// Ready while there are any.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.driver.register(cx.waker());
        if self.0.keys().is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

/// Calls the driver to one connection.
#[derive(Debug)]
pub(super) struct Bell {
    waker: Waker,
    place: Arc<Place>,
}

impl Bell {
    /// For polling what belongs to the connection.
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    pub(super) fn ring(&self) {
        self.waker.wake_by_ref();
    }

    /// The driver attends to the connection: what happens from here on rings again.
    pub(super) fn answer(&self) {
        self.place.taken.store(false, Ordering::Release);
    }
}

/// A place in the queue, which each connection has once.
#[derive(Debug)]
struct Place {
    key: u32,
    taken: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.taken.swap(true, Ordering::AcqRel) {
            self.shared.keys().push_back(self.key);
            self.shared.driver.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn whoever_rings_often_waits_in_the_queue_once() {
        let queue = ReadyQueue::default();
        let (first, second) = (queue.bell(1), queue.bell(2));
        for bell in [&second, &first, &second, &first] {
            bell.ring();
        }
        let called: Vec<_> = std::iter::from_fn(|| queue.next()).collect();
        assert_eq!(called, [2, 1]);
        first.ring();
        assert_eq!(queue.next(), None, "its last call was not answered");
        first.answer();
        first.ring();
        assert_eq!(queue.next(), Some(1));
    }

    #[tokio::test]
    async fn a_bell_wakes_whoever_waits_for_any() {
        let queue = ReadyQueue::default();
        let bell = queue.bell(7);
        let waiting = std::future::poll_fn(|cx| queue.poll(cx));
        let mut waiting = std::pin::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        let ringing = tokio::task::spawn_blocking(move || bell.ring());
        waiting.await;
        ringing.await.unwrap();
        assert_eq!(queue.next(), Some(7));
    }
}
