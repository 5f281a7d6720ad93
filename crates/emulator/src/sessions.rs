//! The register of sessions: those that run, and those that have run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;

use ssm_session_proto::Secret;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::gateway::Order;
use crate::random;
use crate::service::PRINCIPAL;

/// All sessions of one emulator.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last_number: u64,
    /// By age, the newest last.
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    session: Session,
    token: Secret,
    issued: Instant,
    orders: mpsc::Sender<Order>,
}

/// What DescribeSessions tells about one session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Counts up with every session of the emulator.
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) target: String,
    pub(crate) document_name: String,
    pub(crate) reason: Option<String>,
    pub(crate) status: Status,
    pub(crate) started: SystemTime,
    pub(crate) ended: Option<SystemTime>,
}

/// A session's status, in the service's words (`docs/PROTOCOL.md` 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Connecting,
    Connected,
    Disconnected,
    Terminating,
    Terminated,
    Failed,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "Connecting",
            Self::Connected => "Connected",
            Self::Disconnected => "Disconnected",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
            Self::Failed => "Failed",
        }
    }

    /// Whether the session is history.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Terminated | Self::Failed)
    }
}

/// A session just entered: what its client needs, and where its gateway gets its orders.
pub(crate) struct Entered {
    pub(crate) session_id: String,
    pub(crate) token: Secret,
    pub(crate) orders: mpsc::Receiver<Order>,
}

/// Whether a token opens a session's data channel.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Yes; the channel is handed over through this.
    Granted(mpsc::Sender<Order>),
    /// The token is not the session's newest one.
    WrongToken,
    /// It is, but it was issued too long ago.
    ExpiredToken,
    /// There is no such session, or it is over.
    Gone,
}

/// What has become of a session somebody asked for by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    Unknown,
    Running,
    Over,
}

impl Sessions {
    /// Enters a session under a new id, if there is room for another that runs.
    pub(crate) fn enter(
        &self,
        target: &str,
        document_name: &str,
        reason: Option<String>,
    ) -> Option<Entered> {
        let (orders, receiver) = mpsc::channel(ORDERS);
        let session_id = format!("{PRINCIPAL}-{}", random::hex(ID_DIGITS));
        let token = new_token();
        let mut table = self.table();
        if table.running() >= MAX_RUNNING {
            return None;
        }
        table.forget_old_history();
        table.last_number += 1;
        let number = table.last_number;
        let session = Session {
            number,
            id: session_id.clone(),
            target: target.to_owned(),
            document_name: document_name.to_owned(),
            reason,
            status: Status::Connecting,
            started: SystemTime::now(),
            ended: None,
        };
        table.entries.insert(
            number,
            Entry {
                session,
                token: token.clone(),
                issued: Instant::now(),
                orders,
            },
        );
        Some(Entered {
            session_id,
            token,
            orders: receiver,
        })
    }

    pub(crate) fn existence(&self, session_id: &str) -> Existence {
        match self.table().find(session_id) {
            None => Existence::Unknown,
            Some(entry) if entry.session.status.is_over() => Existence::Over,
            Some(_) => Existence::Running,
        }
    }

    /// Gives a running session a new token; the old one opens nothing any more.
    pub(crate) fn renew_token(&self, session_id: &str) -> Option<Secret> {
        let mut table = self.table();
        let entry = table
            .find(session_id)
            .filter(|entry| !entry.session.status.is_over())?;
        entry.token = new_token();
        entry.issued = Instant::now();
        Some(entry.token.clone())
    }

    /// Whether `token`, which is good for `limit`, opens a session's channel.
    pub(crate) fn admit(
        &self,
        session_id: &str,
        token: &Secret,
        limit: Option<Duration>,
    ) -> Admission {
        match self.table().find(session_id) {
            Some(entry) if entry.session.status.is_over() => Admission::Gone,
            Some(entry) if !same_token(&entry.token, token) => Admission::WrongToken,
            Some(entry) if limit.is_some_and(|limit| entry.issued.elapsed() > limit) => {
                Admission::ExpiredToken
            }
            Some(entry) => Admission::Granted(entry.orders.clone()),
            None => Admission::Gone,
        }
    }

    /// Where a running session's gateway takes orders.
    pub(crate) fn orders(&self, session_id: &str) -> Option<mpsc::Sender<Order>> {
        let mut table = self.table();
        let entry = table
            .find(session_id)
            .filter(|entry| !entry.session.status.is_over())?;
        Some(entry.orders.clone())
    }

    /// Where the gateways of all running sessions take orders, or that of one alone.
    pub(crate) fn all_orders(&self, only: Option<&str>) -> Vec<mpsc::Sender<Order>> {
        let table = self.table();
        let running = table
            .entries
            .values()
            .filter(|entry| !entry.session.status.is_over());
        running
            .filter(|entry| only.is_none_or(|id| entry.session.id == id))
            .map(|entry| entry.orders.clone())
            .collect()
    }

    /// Notes a new status. A session that is over stays over, one that is ending does not come back.
    pub(crate) fn set_status(&self, session_id: &str, status: Status) {
        let mut table = self.table();
        let Some(entry) = table.find(session_id) else {
            return;
        };
        let session = &mut entry.session;
        if session.status.is_over() || (session.status == Status::Terminating && !status.is_over())
        {
            return;
        }
        session.status = status;
        if status.is_over() {
            session.ended = Some(SystemTime::now());
        }
    }

    /// All sessions, the newest first.
    pub(crate) fn newest_first(&self) -> Vec<Session> {
        let table = self.table();
        table
            .entries
            .values()
            .rev()
            .map(|entry| entry.session.clone())
            .collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn find(&mut self, session_id: &str) -> Option<&mut Entry> {
        // The newest are asked for most.
        self.entries
            .values_mut()
            .rev()
            .find(|entry| entry.session.id == session_id)
    }

    fn running(&self) -> usize {
        let running = |entry: &&Entry| !entry.session.status.is_over();
        self.entries.values().filter(running).count()
    }

    fn forget_old_history(&mut self) {
        let over = |entry: &Entry| entry.session.status.is_over();
        let mut excess = self
            .entries
            .values()
            .filter(|entry| over(entry))
            .count()
            .saturating_sub(HISTORY - 1);
        self.entries.retain(|_, entry| {
            let forgotten = excess > 0 && over(entry);
            excess -= usize::from(forgotten);
            !forgotten
        });
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}

fn new_token() -> Secret {
    Secret::new(random::hex(TOKEN_DIGITS))
}

fn same_token(one: &Secret, other: &Secret) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(
        one.expose().as_bytes(),
        other.expose().as_bytes(),
    )
    .is_ok()
}

/// As in the ids AWS gave out for years (`docs/PROTOCOL.md` 1.2).
const ID_DIGITS: usize = 17;
/// 256 bits.
const TOKEN_DIGITS: usize = 64;
/// Orders a gateway may leave unread.
const ORDERS: usize = 4;
/// Sessions that run at a time: each is a process or two of this machine.
pub(crate) const MAX_RUNNING: usize = 1000;
/// Sessions remembered after their end.
const HISTORY: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_the_services() {
        let entered = Sessions::default().enter("i-1", "D", None).unwrap();
        let digits = entered.session_id.strip_prefix("emulator-").unwrap();
        assert_eq!(digits.len(), 17);
        assert!(digits.bytes().all(|b| b.is_ascii_hexdigit()));
    }

    #[test]
    fn only_the_newest_token_of_a_running_session_opens_it() {
        let sessions = Sessions::default();
        let first = sessions.enter("i-1", "D", None).unwrap();
        let second = sessions.enter("i-1", "D", None).unwrap();
        let admits = |token| {
            matches!(
                sessions.admit(&first.session_id, token, None),
                Admission::Granted(_)
            )
        };
        assert!(admits(&first.token));
        assert!(!admits(&second.token));
        let renewed = sessions.renew_token(&first.session_id).unwrap();
        assert!(!admits(&first.token));
        assert!(admits(&renewed));
        sessions.set_status(&first.session_id, Status::Terminated);
        assert!(!admits(&renewed));
        assert_eq!(sessions.renew_token(&first.session_id), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_expires_and_a_new_one_lasts_as_long_again() {
        let sessions = Sessions::default();
        let limit = Duration::from_secs(60);
        let entered = sessions.enter("i-1", "D", None).unwrap();
        let admit = |token| sessions.admit(&entered.session_id, token, Some(limit));
        tokio::time::advance(limit).await;
        assert!(matches!(admit(&entered.token), Admission::Granted(_)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(matches!(admit(&entered.token), Admission::ExpiredToken));
        let renewed = sessions.renew_token(&entered.session_id).unwrap();
        assert!(matches!(admit(&entered.token), Admission::WrongToken));
        assert!(matches!(admit(&renewed), Admission::Granted(_)));
    }

    #[test]
    fn a_session_that_is_over_stays_over() {
        let sessions = Sessions::default();
        let entered = sessions.enter("i-1", "D", None).unwrap();
        sessions.set_status(&entered.session_id, Status::Terminating);
        sessions.set_status(&entered.session_id, Status::Connected);
        assert_eq!(sessions.newest_first()[0].status, Status::Terminating);
        sessions.set_status(&entered.session_id, Status::Failed);
        sessions.set_status(&entered.session_id, Status::Terminated);
        let session = &sessions.newest_first()[0];
        assert_eq!(session.status, Status::Failed);
        assert!(session.ended.is_some());
        assert_eq!(sessions.existence(&entered.session_id), Existence::Over);
    }

    #[test]
    fn history_is_bounded_and_running_sessions_are_never_forgotten() {
        let sessions = Sessions::default();
        let running = sessions.enter("i-1", "D", None).unwrap();
        for _ in 0..HISTORY + 5 {
            let entered = sessions.enter("i-1", "D", None).unwrap();
            sessions.set_status(&entered.session_id, Status::Terminated);
        }
        let all = sessions.newest_first();
        assert_eq!(all.len(), HISTORY + 1);
        assert_eq!(all.last().unwrap().id, running.session_id);
    }

    #[test]
    fn there_is_an_end_to_how_many_sessions_run_and_one_that_ends_makes_room() {
        let sessions = Sessions::default();
        let first = sessions.enter("i-1", "D", None).unwrap();
        for _ in 1..MAX_RUNNING {
            sessions.enter("i-1", "D", None).unwrap();
        }
        assert!(sessions.enter("i-1", "D", None).is_none());
        sessions.set_status(&first.session_id, Status::Terminated);
        assert!(sessions.enter("i-1", "D", None).is_some());
    }
}
