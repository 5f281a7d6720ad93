//! A forward that outlives its session: whenever that ends without the user's asking, another is started behind the same
//! local end, where connections wait meanwhile.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use ssm_session::Backoff;
use ssm_session::Session;
use ssm_session_terminal::Console;
use ssm_session_terminal::News;
use ssm_session_terminal::Outcome;
use ssm_session_terminal::Setup;
use ssm_session_terminal::Texts;
use ssm_session_terminal::one_line;
use tokio::time::Instant;
use tokio::time::sleep;

use super::Starter;
use crate::commands::NoSession;
use crate::commands::own;
use crate::commands::own::Ended;
use crate::commands::own::Lines;
use crate::exit::ExitStatus;
use crate::report;

/// Forwards through `first` and all sessions after it, until the user, a refusal or the time limit ends that.
pub(super) async fn run(
    starter: &Starter<'_>,
    first: Session,
    setup: Setup,
    console: &mut Console,
) -> (ExitStatus, Option<String>) {
    let mut restarts = Restarts {
        starter,
        setup,
        outage: None,
        left_behind: Vec::new(),
    };
    let (status, mut text) = restarts.run(first, console).await;
    for id in restarts.left_behind {
        if !starter.terminate(&id).await
            && let Some(text) = &mut text
        {
            text.push_str(&own::may_live_on(&one_line(&id)));
        }
    }
    (status, text)
}

struct Restarts<'a> {
    starter: &'a Starter<'a>,
    setup: Setup,
    /// There is no session that has proved itself.
    outage: Option<Outage>,
    /// Sessions that could not be ended when their connection was lost for good.
    left_behind: Vec<String>,
}

impl Restarts<'_> {
    async fn run(&mut self, first: Session, console: &mut Console) -> (ExitStatus, Option<String>) {
        let target = self.starter.settings.shown_target();
        let mut session = first;
        loop {
            let session_id = session.id().to_owned();
            let opened = self.tell_by_texts();
            let ended = own::converse(console, session, &target, &mut self.setup).await;
            let opened = opened.get();
            let Some(reason) = reason(&ended) else {
                return ended.into();
            };
            if opened.is_none() && self.outage.is_none() {
                return end_without_forward(ended, console).await;
            }
            if may_live_on(&ended) {
                self.left_behind.push(session_id);
            }
            let limit = self.starter.settings.behaviour.timeouts.resume;
            let is_steady = opened.is_some_and(|opened| opened.elapsed() >= STEADY.min(limit));
            let outage = match self.outage.take() {
                Some(outage) if !is_steady => outage,
                _ => Outage::new(limit),
            };
            let outage = self.outage.insert(outage);
            if opened.is_some() {
                outage.since = Instant::now();
                let line = format!("the session ended ({reason}); starting another");
                console.print_error(&report::line(&line)).await;
            }
            session = match outage.session(self.starter, reason, console).await {
                Ok(session) => session,
                Err(no_session) => return own::without_session(no_session),
            };
            for id in self.left_behind.drain(..) {
                let control_plane = Arc::clone(&self.starter.control_plane);
                tokio::spawn(async move {
                    super::terminate(control_plane.as_ref(), &id).await;
                });
            }
        }
    }

    /// The words for the next session; when it takes connections is found in what this answers with.
    fn tell_by_texts(&mut self) -> Arc<OnceLock<Instant>> {
        let opened = Arc::<OnceLock<_>>::default();
        self.setup.texts = Box::new(RestartTexts {
            opened: Arc::clone(&opened),
            down_since: self.outage.as_ref().map(|outage| outage.since),
        });
        opened
    }
}

/// Why a session ended, in one line, if the user did not ask for it and another one can take over.
fn reason(ended: &Ended) -> Option<String> {
    match &ended.outcome {
        Outcome::Closed(_) | Outcome::Unanswered(_) => {}
        _ => return None,
    }
    let words = one_line(&ended.outcome.message().unwrap_or_default());
    Some(if words.is_empty() {
        "the service gave no reason".to_owned()
    } else {
        words
    })
}

/// The first session never took connections: it failed at once, or is of another kind.
async fn end_without_forward(ended: Ended, console: &mut Console) -> (ExitStatus, Option<String>) {
    if let Outcome::Closed(close) = &ended.outcome
        && !close.is_failure()
    {
        let line = "--restart is for sessions that forward a port, and this one did not";
        console.print_error(&report::line(line)).await;
    }
    ended.into()
}

/// Whether the session is still at the service, and nobody else's.
fn may_live_on(ended: &Ended) -> bool {
    match &ended.outcome {
        Outcome::Closed(close) => close.may_live_on() && close.close_code != Some(TAKEN_OVER),
        _ => false,
    }
}

/// Time without a session that has proved itself.
struct Outage {
    /// Since when nothing is forwarded.
    since: Instant,
    deadline: Instant,
    backoff: Backoff,
    /// The last failure the user was told.
    told: Option<String>,
}

impl Outage {
    fn new(limit: Duration) -> Self {
        let since = Instant::now();
        Self {
            since,
            deadline: since + limit,
            backoff: Backoff::new(FIRST, LONGEST),
            told: None,
        }
    }

    /// The next session; `reason` is why there is none.
    ///
    /// # Errors
    ///
    /// A signal, a refusal for good, or the last failure once the time is up.
    async fn session(
        &mut self,
        starter: &Starter<'_>,
        mut reason: String,
        console: &mut Console,
    ) -> Result<Session, NoSession> {
        let what = format!("the next attempt with {}", starter.settings.shown_target());
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seconds = self.since.elapsed().as_secs().max(1);
                return Err(NoSession::Failed(format!(
                    "no session could take over for {seconds} s: {reason}"
                )));
            }
            let wait = self.backoff.next_wait().min(left);
            let waited = console.wait_for(&what, sleep(wait)).await;
            waited.map_err(NoSession::Signalled)?;
            match starter.session(console).await {
                Err(NoSession::Failed(failure)) => {
                    self.tell(&failure, console).await;
                    reason = failure;
                }
                other => return other,
            }
        }
    }

    /// Says why there is no session yet, unless it is what was said last.
    async fn tell(&mut self, failure: &str, console: &mut Console) {
        if self.told.as_deref() != Some(failure) {
            let line = format!("no other session yet: {failure}");
            console.print_error(&report::line(&line)).await;
            self.told = Some(failure.to_owned());
        }
    }
}

/// The plain lines, except that a forward which is back is not told as a new one.
#[derive(Debug)]
struct RestartTexts {
    opened: Arc<OnceLock<Instant>>,
    down_since: Option<Instant>,
}

impl Texts for RestartTexts {
    fn text(&self, news: &News<'_>) -> Option<String> {
        if let News::Opened { .. } = news {
            self.opened.get_or_init(Instant::now);
        }
        match (news, self.down_since) {
            (News::Opened { .. }, Some(since)) => {
                let seconds = since.elapsed().as_secs().max(1);
                Some(report::line(&format!("forwarding again after {seconds} s")))
            }
            (News::Accepted { .. }, Some(_)) => None,
            _ => Lines.text(news),
        }
    }
}

/// A session that ends sooner belongs to the outage before it, with the same time limit: one that is ended whenever it
/// is started must not be started for ever.
const STEADY: Duration = Duration::from_secs(30);
/// The first wait is at most this long.
const FIRST: Duration = Duration::from_secs(1);
/// No wait is longer. A node takes a minute to start anew, and StartSession is counted by the account.
const LONGEST: Duration = Duration::from_secs(15);
/// The close code by which the service says that another client has the session (`docs/PROTOCOL.md` 11).
const TAKEN_OVER: u16 = 1008;
