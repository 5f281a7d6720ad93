//! What a lost connection is to the user.

use std::time::Duration;
use std::time::SystemTime;

use ssm_session::SessionEvent;
use tokio::time::Instant;

use crate::texts::News;

/// The loss of the connection, as long as it lasts.
///
/// The service closes every connection about once an hour (`docs/PROTOCOL.md` 2.3), and the next is there in no time:
/// nobody needs to know. The user is told of what lasts longer.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<Loss>);

#[derive(Debug)]
struct Loss {
    at: SystemTime,
    since: Instant,
    reason: String,
    is_told: bool,
}

impl Outage {
    /// Takes note of an event; answers with what there is to tell at once.
    pub(super) fn handle(&mut self, event: &SessionEvent) -> Option<News<'static>> {
        match event {
            SessionEvent::Disconnected { reason } => {
                self.0 = Some(Loss {
                    at: SystemTime::now(),
                    since: Instant::now(),
                    reason: reason.clone(),
                    is_told: false,
                });
                None
            }
            SessionEvent::Reconnected => {
                let loss = self.0.take().filter(|loss| loss.is_told)?;
                let after = loss.since.elapsed();
                Some(News::Reconnected { after })
            }
            _ => None,
        }
    }

    /// Whether it lasts. The far end cannot be heard then, which is not to be taken for silence.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it lasts and the user knows.
    pub(super) fn is_told(&self) -> bool {
        self.0.as_ref().is_some_and(|loss| loss.is_told)
    }

    /// When the user is to be told, by [`Self::news`].
    pub(super) fn due(&self) -> Option<Instant> {
        let loss = self.0.as_ref().filter(|loss| !loss.is_told)?;
        Some(loss.since + UNNOTICED)
    }

    /// What is to be told once it is due.
    pub(super) fn news(&mut self) -> Option<News<'_>> {
        let loss = self.0.as_mut()?;
        loss.is_told = true;
        Some(News::Disconnected {
            at: loss.at,
            reason: &loss.reason,
        })
    }
}

/// What may pass for a slow network.
const UNNOTICED: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> SessionEvent {
        SessionEvent::Disconnected {
            reason: "it broke".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_outage_is_not_worth_a_word() {
        let mut outage = Outage::default();
        assert_eq!(outage.due(), None);
        assert!(outage.handle(&lost()).is_none());
        assert!(!outage.is_told());
        assert_eq!(outage.due(), Some(Instant::now() + UNNOTICED));
        assert!(outage.handle(&SessionEvent::Reconnected).is_none());
        assert_eq!(outage.due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_one_is_told_once_and_so_is_its_end() {
        let mut outage = Outage::default();
        outage.handle(&lost());
        tokio::time::advance(UNNOTICED).await;
        let told = outage.news().unwrap().to_string();
        assert!(told.contains("(it broke)"), "{told}");
        assert_eq!(outage.due(), None);
        assert!(outage.is_told());
        tokio::time::advance(UNNOTICED).await;
        let back = outage.handle(&SessionEvent::Reconnected).unwrap();
        assert_eq!(back.to_string(), "reconnected after 4 s");
    }
}
