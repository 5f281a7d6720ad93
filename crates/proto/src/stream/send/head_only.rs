//! How AWS's agent makes good a loss: by the oldest message alone, ten times a second at the most
//! (docs/PROTOCOL.md 4.1 and 4.5).

use std::time::Duration;
use std::time::Instant;

use super::SendBuffer;

/// What the agent keeps. It sends what is more without keeping it; here that is not taken.
pub(super) const MAX_MESSAGES: usize = 100_000;
/// After which the oldest message is sent again.
const TIMEOUT: Duration = Duration::from_millis(200);
/// How often the agent looks for it.
const TICK: Duration = Duration::from_millis(100);

/// When the oldest message was last sent again, or the connection was new.
#[derive(Debug, Default)]
pub(super) struct HeadOnly(Option<Instant>);

impl SendBuffer {
    /// A new connection: nothing is sent over it that was written before, but what comes next and
    /// the oldest message.
    pub(super) fn lose_all_but_head(&mut self, now: Instant) {
        self.unsent = self.window.len();
        self.lost.clear();
        self.head_only = Some(HeadOnly(Some(now)));
    }

    /// When the oldest message is to be sent again, unless that is under way.
    pub(super) fn head_due(&self, HeadOnly(last): &HeadOnly) -> Option<Instant> {
        let head = self.window.front()?.as_ref()?;
        if self.unsent == 0 || !self.lost.is_empty() {
            return None;
        }
        let timeout = head.sent.map(|at| at + TIMEOUT);
        let tick = last.map(|at| at + TICK);
        timeout.max(tick)
    }

    pub(super) fn lose_head_if_due(&mut self, now: Instant) {
        let due = self.head_only.as_ref().and_then(|it| self.head_due(it));
        if due.is_some_and(|at| at <= now) {
            self.lose(self.oldest);
            if self.lost.is_empty() {
                // It was never sent, for want of a connection.
                self.lost.push_back(self.oldest);
            }
            self.head_only = Some(HeadOnly(Some(now)));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::Acknowledged;
    use super::*;
    use crate::message::SequenceNumber;
    use crate::session::AgentWays;
    use crate::test_clock::epoch;

    const MS: Duration = Duration::from_millis(1);

    fn frame(number: u8) -> Bytes {
        Bytes::copy_from_slice(&[number])
    }

    fn buffer() -> SendBuffer {
        SendBuffer::with_ways(AgentWays {
            head_only: true,
            ..AgentWays::default()
        })
    }

    fn sent(count: u8) -> SendBuffer {
        let mut buffer = buffer();
        for number in 0..count {
            buffer.push(frame(number));
            assert_eq!(buffer.poll_transmit(epoch()), Some(frame(number)));
        }
        buffer
    }

    /// What is sent until `to`, at the times at which something is due.
    fn sent_until(buffer: &mut SendBuffer, to: Instant) -> Vec<(Duration, u8)> {
        let mut sent = Vec::new();
        while let Some(at) = buffer.next_due(Duration::MAX).filter(|at| *at <= to) {
            assert!(!buffer.handle_timeout(Duration::MAX, at));
            while let Some(frame) = buffer.poll_transmit(at) {
                sent.push((at - epoch(), frame[0]));
            }
        }
        sent
    }

    #[test]
    fn the_oldest_message_is_sent_again_every_200_ms_and_no_other() {
        let mut buffer = sent(3);
        let later = sent_until(&mut buffer, epoch() + 650 * MS);
        assert_eq!(later, [(200 * MS, 0), (400 * MS, 0), (600 * MS, 0)]);
    }

    #[test]
    fn what_was_lost_comes_back_ten_a_second_as_each_is_acknowledged() {
        let mut buffer = sent(4);
        let mut again = Vec::new();
        for number in 0..4 {
            let due = buffer.next_due(Duration::MAX).unwrap();
            again.extend(sent_until(&mut buffer, due));
            buffer.acknowledge(SequenceNumber(number), Duration::ZERO, due + MS);
        }
        let expected = [(200 * MS, 0), (300 * MS, 1), (400 * MS, 2), (500 * MS, 3)];
        assert_eq!(again, expected);
        assert!(buffer.is_empty());
        assert_eq!(buffer.next_due(Duration::MAX), None);
    }

    #[test]
    fn a_new_connection_repeats_nothing_and_new_messages_overtake_what_was_lost() {
        let mut buffer = sent(2);
        buffer.push(frame(2));
        let back = epoch() + 5000 * MS;
        buffer.restart(back);
        assert_eq!(buffer.poll_transmit(back), None);
        buffer.push(frame(3));
        assert_eq!(buffer.poll_transmit(back), Some(frame(3)));
        assert_eq!(buffer.next_due(Duration::MAX), Some(back + TICK));
        buffer.repeat();
        assert_eq!(buffer.poll_transmit(back), None);
    }

    #[test]
    fn what_overtakes_shows_no_loss() {
        let mut buffer = sent(2);
        buffer.acknowledge(SequenceNumber(1), Duration::ZERO, epoch() + 100 * MS);
        assert_eq!(buffer.poll_transmit(epoch() + 100 * MS), None);
    }

    #[test]
    fn a_hundred_thousand_messages_are_kept_whatever_the_path_takes() {
        let mut buffer = buffer();
        for _ in 0..MAX_MESSAGES {
            assert!(buffer.has_room(1024));
            buffer.push(frame(0));
            assert!(buffer.poll_transmit(epoch()).is_some());
        }
        assert!(!buffer.has_room(0));
    }

    #[test]
    fn an_acknowledgement_that_comes_too_soon_matches_nothing_until_the_message_was_sent_again() {
        let mut buffer = SendBuffer::with_ways(AgentWays {
            head_only: true,
            keeps_after: MS,
        });
        buffer.push(frame(0));
        assert!(buffer.poll_transmit(epoch()).is_some());
        let acknowledge =
            |buffer: &mut SendBuffer, at| buffer.acknowledge(SequenceNumber(0), Duration::ZERO, at);
        assert_eq!(acknowledge(&mut buffer, epoch()), Acknowledged::Unknown);
        let again = sent_until(&mut buffer, epoch() + 200 * MS);
        assert_eq!(again, [(200 * MS, 0)]);
        let removed = acknowledge(&mut buffer, epoch() + 200 * MS);
        assert_eq!(removed, Acknowledged::Removed(None));
    }
}
