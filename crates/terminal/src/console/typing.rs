//! Bytes on their way to the far end.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use ssm_session::Closed;
use ssm_session::SessionControl;

/// What is to be sent, one write at a time: while the session accepts nothing, nothing more is read.
pub(super) struct Typing {
    control: SessionControl,
    writing: Option<BoxFuture<'static, Result<(), Closed>>>,
    waiting: VecDeque<Bytes>,
    last: Option<u8>,
}

impl Typing {
    pub(super) fn new(control: SessionControl) -> Self {
        Self {
            control,
            writing: None,
            waiting: VecDeque::new(),
            last: None,
        }
    }

    /// Appends bytes to what is to be sent.
    pub(super) fn send(&mut self, data: Bytes) {
        if let Some(last) = data.last() {
            self.last = Some(*last);
            self.waiting.push_back(data);
            self.write_next();
        }
    }

    /// Whether everything has been handed over, so that more may be read.
    pub(super) fn is_idle(&self) -> bool {
        self.writing.is_none()
    }

    /// The last byte given to [`Self::send`].
    pub(super) fn last(&self) -> Option<u8> {
        self.last
    }

    /// Hands over what there is; never returns when there is nothing. Nothing is lost when the wait is given up.
    pub(super) async fn sent(&mut self) {
        match &mut self.writing {
            Some(writing) => {
                // A session that has closed says so by an event, too.
                if let Err(Closed { .. }) = writing.await {
                    self.waiting.clear();
                }
                self.writing = None;
                self.write_next();
            }
            None => std::future::pending().await,
        }
    }

    fn write_next(&mut self) {
        if self.writing.is_none()
            && let Some(data) = self.waiting.pop_front()
        {
            let control = self.control.clone();
            self.writing = Some(Box::pin(async move { control.write(&data).await }));
        }
    }
}
