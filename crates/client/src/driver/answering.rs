//! Whether the agent acknowledges what it is sent.

use std::time::Duration;

use tokio::time::Instant;

use crate::session::SessionEvent;

/// Says when an agent owes an acknowledgement for too long, and when it gives one again.
///
/// The service may well be there while its agent is not, so that this is no matter of
/// [`Liveness`](super::liveness::Liveness), and no reason to end anything.
#[derive(Debug)]
pub(super) struct Answering {
    limit: Duration,
    /// Up to then acknowledgements may be missing because nobody here has read them.
    excused: Instant,
    /// Since when the agent owed what was said to be missing.
    said: Option<Instant>,
}

impl Answering {
    pub(super) fn new(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            excused: now,
            said: None,
        }
    }

    /// Nothing was read up to now: what is missing may be there.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.excused = now;
    }

    /// The connection is gone, and with it everything that was owed on it.
    pub(super) fn on_disconnected(&mut self) {
        self.said = None;
    }

    /// What there is to say, where the agent has owed an acknowledgement since `owed`.
    pub(super) fn judge(&mut self, owed: Option<Instant>, now: Instant) -> Option<SessionEvent> {
        if self.said.is_some() {
            if self.said == owed {
                return None;
            }
            self.said = None;
            return Some(SessionEvent::Responsive);
        }
        if !self.is_overdue(owed, now) {
            return None;
        }
        self.said = owed;
        Some(SessionEvent::Unresponsive)
    }

    /// Whether the agent is about to be said not to answer.
    pub(super) fn is_overdue(&self, owed: Option<Instant>, now: Instant) -> bool {
        self.due(owed).is_some_and(|due| due <= now)
    }

    /// When that becomes true.
    pub(super) fn due(&self, owed: Option<Instant>) -> Option<Instant> {
        let owed = owed.filter(|_| self.said.is_none())?;
        Some(owed.max(self.excused) + self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn answering() -> (Answering, Instant) {
        let start = Instant::now();
        (Answering::new(LIMIT, start), start)
    }

    #[test]
    fn an_agent_that_owes_an_answer_too_long_is_told_of_once() {
        let (mut answering, start) = answering();
        let owed = Some(start + Duration::from_secs(1));
        let due = answering.due(owed).unwrap();
        assert_eq!(due, start + Duration::from_secs(11));
        assert_eq!(answering.judge(owed, due - Duration::from_millis(1)), None);
        assert_eq!(answering.judge(owed, due), Some(SessionEvent::Unresponsive));
        assert_eq!(answering.judge(owed, due + LIMIT), None);
        assert_eq!(answering.due(owed), None);
    }

    #[test]
    fn any_acknowledgement_makes_it_responsive_even_if_more_is_owed() {
        for owed_then in [None, Some(Duration::from_secs(12))] {
            let (mut answering, start) = answering();
            let late = start + LIMIT;
            answering.judge(Some(start), late).unwrap();
            let owed = owed_then.map(|after| start + after);
            let now = start + Duration::from_secs(12);
            assert_eq!(answering.judge(owed, now), Some(SessionEvent::Responsive));
            assert_eq!(answering.judge(owed, now), None);
            assert_eq!(answering.due(owed), owed.map(|owed| owed + LIMIT));
        }
    }

    #[test]
    fn an_agent_that_owes_nothing_is_never_late() {
        let (mut answering, start) = answering();
        assert_eq!(answering.due(None), None);
        assert_eq!(answering.judge(None, start + 100 * LIMIT), None);
    }

    #[test]
    fn time_in_which_nothing_was_read_does_not_count() {
        let (mut answering, start) = answering();
        let later = start + 100 * LIMIT;
        answering.excuse(later);
        assert_eq!(answering.judge(Some(start), later), None);
        assert!(answering.judge(Some(start), later + LIMIT).is_some());
    }

    #[test]
    fn a_lost_connection_makes_it_moot() {
        let (mut answering, start) = answering();
        answering.judge(Some(start), start + LIMIT).unwrap();
        answering.on_disconnected();
        assert_eq!(answering.judge(None, start + LIMIT), None);
    }
}
