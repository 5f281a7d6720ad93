//! Which of many connections can go on.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Wake;
use std::task::Waker;

use futures_util::task::AtomicWaker;
use ssm_session_proto::StreamId;

/// Streams whose connections may be able to go on, each listed once.
#[derive(Debug, Default)]
pub(super) struct Ready {
    list: Mutex<Vec<Arc<Call>>>,
    task: AtomicWaker,
}

/// Lists one stream when it is woken.
#[derive(Debug)]
struct Call {
    id: StreamId,
    listed: AtomicBool,
    ready: Arc<Ready>,
}

impl Ready {
    /// From now on whoever waits with `cx` is woken for new streams in the list.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    /// What lists a stream when it is woken.
    pub(super) fn waker(self: &Arc<Self>, id: StreamId) -> Waker {
        Waker::from(Arc::new(Call {
            id,
            listed: AtomicBool::new(false),
            ready: Arc::clone(self),
        }))
    }

    /// Empties the list. A stream that is called meanwhile is in the next one.
    pub(super) fn take(&self) -> Vec<StreamId> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = std::mem::take(&mut *list);
        drop(list);
        let ids = calls.into_iter().map(|call| {
            call.listed.store(false, Ordering::Release);
            call.id
        });
        ids.collect()
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut list = self
            .ready
            .list
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        list.push(Arc::clone(self));
        drop(list);
        self.ready.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    #[test]
    fn a_stream_is_listed_once_however_often_it_is_called() {
        let ready = Arc::new(Ready::default());
        let three = ready.waker(StreamId(3));
        let five = ready.waker(StreamId(5));
        three.wake_by_ref();
        five.wake_by_ref();
        three.wake();
        assert_eq!(ready.take(), [StreamId(3), StreamId(5)]);
        assert_eq!(ready.take(), []);
        five.wake_by_ref();
        five.wake_by_ref();
        assert_eq!(ready.take(), [StreamId(5)]);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let ready = Arc::new(Ready::default());
        let stream = ready.waker(StreamId(3));
        let mut called = false;
        poll_fn(|cx| {
            ready.register(cx);
            if !std::mem::replace(&mut called, true) {
                stream.wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(ready.take(), [StreamId(3)]);
    }
}
