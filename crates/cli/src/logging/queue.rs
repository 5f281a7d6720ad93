//! Lines on their way from the session to the thread that writes them.

use std::collections::VecDeque;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// A bounded queue that holds up its feeder for a moment at most.
///
/// A writer that is merely slow slows the feeder down, and no line is lost. One that takes nothing (a network file
/// system that hangs, a pipe that nobody reads) costs the feeder [`PATIENCE`] once; then lines are left out and counted
/// until there is room again.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    /// Lines left out for want of room, not told yet.
    missing: u64,
    /// Whether the feeder's patience is at an end.
    stuck: bool,
    /// Whether there will be no more lines.
    closed: bool,
    /// Whether the writer has done all it had to.
    ended: bool,
}

/// What the writer is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Write this line, before which so many had no room.
    Line { line: String, missing: u64 },
    /// Nothing will follow.
    End { missing: u64 },
}

impl Queue {
    /// Takes a line.
    pub(super) fn put(&self, line: String) {
        let mut state = self.lock();
        if state.lines.len() >= CAPACITY && !state.stuck {
            let has_room = |state: &mut State| state.lines.len() < CAPACITY || state.closed;
            let waited = self
                .changed
                .wait_timeout_while(state, PATIENCE, |state| !has_room(state));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.stuck = !has_room(&mut state);
        }
        if state.closed || state.stuck {
            state.missing += 1;
        } else {
            state.lines.push_back(line);
            self.changed.notify_all();
        }
    }

    /// Waits for work.
    pub(super) fn take(&self) -> Work {
        let state = self.lock();
        let waited = self
            .changed
            .wait_while(state, |state| state.lines.is_empty() && !state.closed);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.stuck = false;
        let missing = std::mem::take(&mut state.missing);
        self.changed.notify_all();
        match state.lines.pop_front() {
            Some(line) => Work::Line { line, missing },
            None => Work::End { missing },
        }
    }

    /// Says that all work is done.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Takes no more lines, and waits until those there are have been written, or for as long as `limit`; not at all for
    /// a writer that is known to be stuck.
    pub(super) fn close(&self, limit: Duration) {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        let deadline = Instant::now() + limit;
        while !state.ended && !state.stuck {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines. Some hundred kilobytes, and four megabytes of the longest ones.
const CAPACITY: usize = 1024;

/// Too short to be seen in a session, long enough for any disk at work.
const PATIENCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> Work {
        Work::Line {
            line: number.to_string(),
            missing: 0,
        }
    }

    #[test]
    fn a_slow_writer_gets_every_line_in_order_and_then_the_end() {
        let queue = Queue::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..3 * CAPACITY {
                    queue.put(number.to_string());
                }
                queue.close(Duration::ZERO);
            });
            for number in 0..3 * CAPACITY {
                assert_eq!(queue.take(), line(number));
            }
            assert_eq!(queue.take(), Work::End { missing: 0 });
        });
    }

    #[test]
    fn a_stuck_writer_holds_up_nobody_and_what_is_left_out_is_counted() {
        let queue = Queue::default();
        for number in 0..CAPACITY + 7 {
            queue.put(number.to_string());
        }
        // Not waited for, though it has never been done.
        queue.close(Duration::from_secs(60));
        let Work::Line { line, missing } = queue.take() else {
            panic!("no line")
        };
        assert_eq!((line.as_str(), missing), ("0", 7));
        assert_eq!(queue.take(), self::line(1));
    }

    #[test]
    fn the_end_is_waited_for() {
        let queue = Queue::default();
        queue.put("0".to_owned());
        let is_written = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while let Work::Line { .. } = queue.take() {}
                is_written.store(true, std::sync::atomic::Ordering::SeqCst);
                queue.end();
            });
            queue.close(Duration::from_secs(60));
            assert!(is_written.load(std::sync::atomic::Ordering::SeqCst));
        });
    }
}
