//! Bytes on their way to the far end.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use ssm_session::Closed;
use ssm_session::SessionControl;

/// What is to be sent: one write on its way into the session, and what waits behind it.
pub(super) struct Typing {
    control: SessionControl,
    writing: Option<BoxFuture<'static, Result<(), Closed>>>,
    waiting: VecDeque<Bytes>,
    /// The bytes of `waiting`.
    length: usize,
    last: Option<u8>,
}

impl Typing {
    pub(super) fn new(control: SessionControl) -> Self {
        Self {
            control,
            writing: None,
            waiting: VecDeque::new(),
            length: 0,
            last: None,
        }
    }

    /// Appends bytes to what is to be sent. It never refuses: ask [`Self::has_room`] first.
    pub(super) fn send(&mut self, data: Bytes) {
        if let Some(last) = data.last() {
            self.last = Some(*last);
            self.length += data.len();
            self.waiting.push_back(data);
            self.write_next();
        }
    }

    /// Whether everything has been handed over.
    pub(super) fn is_idle(&self) -> bool {
        self.writing.is_none()
    }

    /// Whether one chunk more may wait, of whatever length.
    pub(super) fn has_room(&self) -> bool {
        self.length < TYPED_AHEAD
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
                    self.length = 0;
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
            self.length -= data.len();
            let control = self.control.clone();
            self.writing = Some(Box::pin(async move { control.write(&data).await }));
        }
    }
}

/// Bytes that may wait beyond what the session has taken; a chunk of input may go beyond it by its length.
const TYPED_AHEAD: usize = 64 * 1024;
