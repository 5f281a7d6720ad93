//! What a far end that cannot be reached is to the user.

use std::time::Duration;
use std::time::SystemTime;

use ssm_session::SessionEvent;
use tokio::time::Instant;

use crate::texts::News;
use crate::texts::WayOut;

/// The loss of the connection, or an agent that takes nothing, as long as it lasts.
///
/// The service closes every connection about once an hour (`docs/PROTOCOL.md` 2.3), and the next is there in no time:
/// nobody needs to know. The user is told of what lasts longer. An agent that takes nothing has been waited for by the
/// session already.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<Trouble>);

#[derive(Debug)]
struct Trouble {
    at: SystemTime,
    since: Instant,
    kind: Kind,
    is_told: bool,
}

#[derive(Debug)]
enum Kind {
    Lost { reason: String },
    Stuck,
}

impl Outage {
    /// Takes note of an event; answers with the news of its end if its beginning was told.
    pub(super) fn handle(&mut self, event: &SessionEvent) -> Option<News<'static>> {
        match event {
            SessionEvent::Disconnected { reason } => {
                let reason = reason.clone();
                self.begin(Kind::Lost { reason });
                None
            }
            SessionEvent::Unresponsive => {
                self.begin(Kind::Stuck);
                None
            }
            SessionEvent::Reconnected | SessionEvent::Responsive => {
                let trouble = self.0.take().filter(|trouble| trouble.is_told)?;
                let after = trouble.since.elapsed();
                Some(match trouble.kind {
                    Kind::Lost { .. } => News::Reconnected { after },
                    Kind::Stuck => News::Responsive { after },
                })
            }
            _ => None,
        }
    }

    fn begin(&mut self, kind: Kind) {
        self.0 = Some(Trouble {
            at: SystemTime::now(),
            since: Instant::now(),
            kind,
            is_told: false,
        });
    }

    /// Whether there is no connection. The far end cannot be heard then, which is not to be taken for silence.
    pub(super) fn is_lost(&self) -> bool {
        self.0.as_ref().is_some_and(Trouble::is_loss)
    }

    /// Whether there is no connection and the user knows.
    pub(super) fn is_loss_told(&self) -> bool {
        self.is_told() && self.is_lost()
    }

    /// Whether the user knows that the far end cannot be reached, for whatever reason.
    pub(super) fn is_told(&self) -> bool {
        self.0.as_ref().is_some_and(|trouble| trouble.is_told)
    }

    /// When the user is to be told, by [`Self::tell`].
    pub(super) fn due(&self) -> Option<Instant> {
        let trouble = self.0.as_ref().filter(|trouble| !trouble.is_told)?;
        Some(
            trouble.since
                + if trouble.is_loss() {
                    UNNOTICED
                } else {
                    Duration::ZERO
                },
        )
    }

    /// The user is being told, by [`Self::news`].
    pub(super) fn tell(&mut self) {
        if let Some(trouble) = &mut self.0 {
            trouble.is_told = true;
        }
    }

    /// What there is to tell while it lasts.
    pub(super) fn news(&self, way_out: WayOut) -> Option<News<'_>> {
        let Trouble { at, kind, .. } = self.0.as_ref()?;
        let at = *at;
        Some(match kind {
            Kind::Lost { reason } => News::Disconnected {
                at,
                reason,
                way_out,
            },
            Kind::Stuck => News::Unresponsive { at, way_out },
        })
    }
}

impl Trouble {
    fn is_loss(&self) -> bool {
        matches!(self.kind, Kind::Lost { .. })
    }
}

/// What may pass for a slow network.
const UNNOTICED: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escape::EscapeChar;

    const CTRL_C: WayOut = WayOut {
        interrupt: true,
        escape: EscapeChar::NONE,
    };

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
        assert!(outage.is_lost() && !outage.is_told());
        assert_eq!(outage.due(), Some(Instant::now() + UNNOTICED));
        assert!(outage.handle(&SessionEvent::Reconnected).is_none());
        assert_eq!(outage.due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_one_is_told_once_and_so_is_its_end() {
        let mut outage = Outage::default();
        outage.handle(&lost());
        tokio::time::advance(UNNOTICED).await;
        let told = outage.news(CTRL_C).unwrap().to_string();
        assert!(told.contains("(it broke)"), "{told}");
        outage.tell();
        assert_eq!(outage.due(), None);
        assert!(outage.is_loss_told());
        tokio::time::advance(UNNOTICED).await;
        let back = outage.handle(&SessionEvent::Reconnected).unwrap();
        assert_eq!(back.to_string(), "reconnected after 4 s");
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_takes_nothing_is_told_at_once_and_is_no_loss() {
        let mut outage = Outage::default();
        outage.handle(&SessionEvent::Unresponsive);
        assert_eq!(outage.due(), Some(Instant::now()));
        assert!(matches!(
            outage.news(CTRL_C),
            Some(News::Unresponsive { .. })
        ));
        outage.tell();
        assert!(outage.is_told() && !outage.is_lost());
        let back = outage.handle(&SessionEvent::Responsive);
        assert!(matches!(back, Some(News::Responsive { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_lost_while_the_agent_takes_nothing_is_a_loss_from_then_on() {
        let mut outage = Outage::default();
        outage.handle(&SessionEvent::Unresponsive);
        outage.tell();
        outage.handle(&lost());
        assert!(outage.is_lost() && !outage.is_told());
        tokio::time::advance(UNNOTICED).await;
        outage.tell();
        let back = outage.handle(&SessionEvent::Reconnected);
        assert!(matches!(back, Some(News::Reconnected { .. })));
    }
}
