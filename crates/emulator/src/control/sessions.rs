//! Sessions: start, resume, terminate, describe.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use ssm_session_proto::Secret;

use super::admission::Subject;
use super::page;
use crate::documents;
use crate::error::ServiceError;
use crate::gateway::Gateway;
use crate::gateway::Order;
use crate::plan::Target;
use crate::random;
use crate::service::Service;
use crate::service::owner_arn;
use crate::sessions::Existence;
use crate::sessions::MAX_RUNNING;
use crate::sessions::Session;
use crate::sessions::Status;
use crate::time;

/// What StartSession takes. The default is a shell on the default target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartSession {
    /// An instance id.
    pub target: String,
    /// Name of a session document; none means `SSM-SessionManagerRunShell`.
    pub document_name: Option<String>,
    /// The document's parameters, each with its list of values.
    #[serde(default)]
    pub parameters: BTreeMap<String, Vec<String>>,
    /// Why, as DescribeSessions then tells; at most 256 characters.
    pub reason: Option<String>,
}

impl Default for StartSession {
    fn default() -> Self {
        Self {
            target: Target::default().id().to_owned(),
            document_name: None,
            parameters: BTreeMap::new(),
            reason: None,
        }
    }
}

/// What StartSession and ResumeSession answer: what a client opens the data channel with.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartedSession {
    /// Opaque id of the session.
    pub session_id: String,
    /// WebSocket address of the data channel.
    pub stream_url: String,
    /// Opens the data channel of this session.
    #[serde(rename = "TokenValue")]
    pub token: Secret,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SessionId {
    session_id: String,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ResumedSession {
    Running(StartedSession),
    /// Over: an answer without token is how clients learn it (`docs/PROTOCOL.md` 1.1).
    Over(TerminatedSession),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TerminatedSession {
    session_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSessions {
    state: State,
    #[serde(default)]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
enum State {
    Active,
    History,
}

#[derive(Deserialize)]
struct Filter {
    key: String,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SessionPage {
    sessions: Vec<SessionDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SessionDescription {
    session_id: String,
    target: String,
    status: &'static str,
    start_date: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Option<f64>,
    document_name: String,
    owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    output_url: OutputUrl,
}

impl Subject for StartSession {
    fn subject(&self) -> &str {
        &self.target
    }
}

impl Subject for SessionId {
    fn subject(&self) -> &str {
        &self.session_id
    }
}

impl Subject for DescribeSessions {}

/// Nothing is logged to S3 or CloudWatch, so both addresses are absent.
#[derive(Serialize)]
struct OutputUrl {}

impl Service {
    /// Starts a session: its agent runs at once, its client may come when it likes.
    pub(crate) fn start_session(
        self: &Arc<Self>,
        request: StartSession,
        authority: Option<&str>,
    ) -> Result<StartedSession, ServiceError> {
        check_length("Target", &request.target, 400)?;
        if let Some(reason) = &request.reason {
            check_length("Reason", reason, 256)?;
        }
        let document_name = request
            .document_name
            .as_deref()
            .unwrap_or(documents::DEFAULT);
        let document = self.resolve(document_name, &request.parameters)?;
        if !self
            .target(&request.target)
            .is_some_and(Target::is_connected)
        {
            return Err(ServiceError::target_not_connected(&request.target));
        }
        let entered = self
            .sessions
            .enter(&request.target, document_name, request.reason)
            .ok_or_else(|| {
                ServiceError::new(
                    "LimitExceededException",
                    format!("The emulator runs {MAX_RUNNING} sessions at a time, and no more."),
                )
            })?;
        let started = self.started_session(entered.session_id.clone(), entered.token, authority);
        tracing::info!(session_id = %entered.session_id, target = %request.target, document_name, "session started");
        let gateway = Gateway::new(self, entered.session_id, request.target, document);
        self.tasks.spawn(gateway.run(entered.orders));
        Ok(started)
    }

    /// A fresh token and address for a running session.
    pub(super) fn resume_session(
        &self,
        request: &SessionId,
        authority: Option<&str>,
    ) -> Result<ResumedSession, ServiceError> {
        let session_id = &request.session_id;
        match self.renewed_session(session_id, authority)? {
            Some(session) => Ok(ResumedSession::Running(session)),
            None => Ok(ResumedSession::Over(TerminatedSession {
                session_id: session_id.clone(),
            })),
        }
    }

    /// As ResumeSession; nothing for a session that is over.
    pub(crate) fn renewed_session(
        &self,
        session_id: &str,
        authority: Option<&str>,
    ) -> Result<Option<StartedSession>, ServiceError> {
        if self.sessions.existence(session_id) == Existence::Unknown {
            return Err(ServiceError::unknown_session(session_id));
        }
        let token = self.sessions.renew_token(session_id);
        Ok(token.map(|token| self.started_session(session_id.to_owned(), token, authority)))
    }

    /// Ends a session. One that is over, or was never there, is as terminated as was asked for: the operation has no
    /// error for either (`docs/PROTOCOL.md` 1.1).
    pub(super) async fn terminate_session(&self, request: SessionId) -> TerminatedSession {
        self.end_session(&request.session_id).await;
        TerminatedSession {
            session_id: request.session_id,
        }
    }

    /// Asks a session's gateway to end it, if it still runs.
    pub(crate) async fn end_session(&self, session_id: &str) {
        if let Some(orders) = self.sessions.orders(session_id) {
            self.sessions.set_status(session_id, Status::Terminating);
            // A gateway that takes no orders any more is already ending.
            orders.send(Order::Terminate).await.ok();
        }
    }

    /// As DescribeSessions tells it of one session that runs.
    pub(crate) fn running_target(&self, session_id: &str) -> Result<String, ServiceError> {
        let running = self.sessions.newest_first().into_iter();
        running
            .filter(|session| !session.status.is_over())
            .find(|session| session.id == session_id)
            .map(|session| session.target)
            .ok_or_else(|| ServiceError::unknown_session(session_id))
    }

    pub(super) fn describe_sessions(
        &self,
        request: &DescribeSessions,
    ) -> Result<SessionPage, ServiceError> {
        let size = page::size(request.max_results, &PAGE)?;
        let conditions = request
            .filters
            .iter()
            .map(Condition::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let history = request.state == State::History;
        let matching = self
            .sessions
            .newest_first()
            .into_iter()
            .filter(|session| session.status.is_over() == history)
            .filter(|session| conditions.iter().all(|condition| condition.holds(session)))
            .collect();
        let (page, next_token) = page::page(
            matching,
            |session: &Session| session.number,
            size,
            request.next_token.as_deref(),
        )?;
        Ok(SessionPage {
            sessions: page.into_iter().map(describe).collect(),
            next_token,
        })
    }

    fn resolve(
        &self,
        name: &str,
        parameters: &BTreeMap<String, Vec<String>>,
    ) -> Result<documents::ResolvedDocument, ServiceError> {
        let document = self.documents.find(name).ok_or_else(|| {
            ServiceError::new(
                "InvalidDocument",
                format!("Document with name {name} does not exist."),
            )
        })?;
        Ok(document.resolve(parameters)?)
    }

    fn started_session(
        &self,
        session_id: String,
        token: Secret,
        authority: Option<&str>,
    ) -> StartedSession {
        // Someone who reached an address of all interfaces by a name reaches the data channel by it as well.
        let authority = match authority {
            Some(host) if self.address.ip().is_unspecified() => host.to_owned(),
            _ => self.authority(),
        };
        let cell = STANDARD.encode(random::bytes::<24>());
        let cell = cell.replace('+', "%2B").replace('/', "%2F");
        StartedSession {
            stream_url: format!(
                "ws://{authority}/v1/data-channel/{session_id}?role=publish_subscribe&cell-number={cell}"
            ),
            session_id,
            token,
        }
    }
}

enum Condition {
    InvokedAfter(std::time::SystemTime),
    InvokedBefore(std::time::SystemTime),
    Target(String),
    Owner(String),
    Status(String),
    SessionId(String),
}

impl Condition {
    fn parse(filter: &Filter) -> Result<Self, ServiceError> {
        let value = filter.value.clone();
        let moment = || {
            time::parse(&filter.value).ok_or_else(|| {
                ServiceError::validation(format!(
                    "Filter {} takes a time such as 2018-08-29T00:00:00Z, not {}.",
                    filter.key, filter.value
                ))
            })
        };
        match filter.key.as_str() {
            "InvokedAfter" => Ok(Self::InvokedAfter(moment()?)),
            "InvokedBefore" => Ok(Self::InvokedBefore(moment()?)),
            "Target" => Ok(Self::Target(value)),
            "Owner" => Ok(Self::Owner(value)),
            "Status" => Ok(Self::Status(value)),
            "SessionId" => Ok(Self::SessionId(value)),
            other => Err(ServiceError::new(
                "InvalidFilterKey",
                format!(
                    "{other} is no filter key; there are InvokedAfter, InvokedBefore, Target, Owner, Status and SessionId."
                ),
            )),
        }
    }

    fn holds(&self, session: &Session) -> bool {
        match self {
            Self::InvokedAfter(moment) => session.started >= *moment,
            Self::InvokedBefore(moment) => session.started < *moment,
            Self::Target(target) => session.target == *target,
            Self::Owner(owner) => owner_arn() == *owner,
            Self::Status(status) => session.status.as_str() == status,
            Self::SessionId(id) => session.id == *id,
        }
    }
}

fn describe(session: Session) -> SessionDescription {
    SessionDescription {
        status: session.status.as_str(),
        start_date: time::seconds(session.started),
        end_date: session.ended.map(time::seconds),
        owner: owner_arn(),
        session_id: session.id,
        target: session.target,
        document_name: session.document_name,
        reason: session.reason,
        output_url: OutputUrl {},
    }
}

fn check_length(name: &str, value: &str, most: usize) -> Result<(), ServiceError> {
    let length = value.chars().count();
    if (1..=most).contains(&length) {
        Ok(())
    } else {
        Err(ServiceError::validation(format!(
            "{name} has {length} characters; it must have from 1 to {most}."
        )))
    }
}

/// Sizes DescribeSessions allows for a page.
const PAGE: std::ops::RangeInclusive<usize> = 1..=200;
