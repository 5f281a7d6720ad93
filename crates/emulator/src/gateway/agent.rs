//! The agent's end of a session, as the gateway sees it.

use std::sync::Arc;

use ssm_session_proto::Frame;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::freeze::unless_frozen;
use super::link::Link;
use crate::agent;
use crate::agent::AgentTask;
use crate::agent::Outcome;
use crate::agent::Relay;
use crate::kms::Kms;

/// The channels to and from an agent, and how far it has ended.
pub(super) struct AgentEnd {
    frames: mpsc::Sender<Frame>,
    sent: mpsc::Receiver<Frame>,
    /// What the service itself has to say, before anything of the client: whether to publish, where only the latest
    /// word counts, and that the channel is closed.
    publication: Option<Frame>,
    closing: Option<Frame>,
    /// A frame the channel had no room for.
    refused: Option<Frame>,
    /// Whether the agent stands still; what is on its way from and to it waits.
    frozen: watch::Sender<bool>,
    /// The agent's task alone, so that it ends with the gateway.
    pub(super) task: JoinSet<Outcome>,
    /// It sends no more.
    silent: bool,
    /// It reads no more.
    deaf: bool,
    pub(super) outcome: Option<Outcome>,
}

/// What came of waiting for an agent.
#[derive(Debug)]
pub(super) enum AgentEvent {
    Sent(Frame),
    Ended(Result<Outcome, JoinError>),
    /// It took a frame, or will send no more.
    Moved,
}

impl AgentEnd {
    /// Starts the agent, or has it wait frozen.
    pub(super) fn start(task: AgentTask, kms: Arc<Kms>, frozen: bool) -> Self {
        let (to_client, sent) = mpsc::channel(FRAMES);
        let (frames, from_gateway) = mpsc::channel(FRAMES);
        let relay = Relay {
            to_client,
            from_gateway,
        };
        let mut running = JoinSet::new();
        let (frozen, state) = watch::channel(frozen);
        running.spawn(unless_frozen(state, agent::run(task, relay, kms)));
        Self {
            frames,
            sent,
            publication: None,
            closing: None,
            refused: None,
            frozen,
            task: running,
            silent: false,
            deaf: false,
            outcome: None,
        }
    }

    /// Says whether to publish, unless nobody listens.
    pub(super) fn tell(&mut self, publication: Frame) {
        if !self.deaf {
            self.publication = Some(publication);
        }
    }

    /// Says that the channel is closed, after which nothing counts.
    pub(super) fn tell_last(&mut self, closing: Frame) {
        if !self.deaf {
            self.closing = Some(closing);
        }
    }

    pub(super) fn has_words(&self) -> bool {
        self.publication.is_some() || self.closing.is_some()
    }

    pub(super) fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    pub(super) fn is_frozen(&self) -> bool {
        *self.frozen.borrow()
    }

    /// Whether it has ended and all it sent was taken.
    pub(super) fn is_over(&self) -> bool {
        self.outcome.is_some() && self.silent
    }

    pub(super) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// Hands over what there is, as far as the channel has room.
    pub(super) fn hand_over(&mut self, link: &mut Link, now: Instant) {
        while !self.deaf
            && !self.is_frozen()
            && self.refused.is_none()
            && let Some(frame) = self.next_word().or_else(|| link.pop(now))
        {
            match self.frames.try_send(frame) {
                Ok(()) => {}
                Err(TrySendError::Full(frame)) => self.refused = Some(frame),
                Err(TrySendError::Closed(_)) => self.hang_up(),
            }
        }
        if self.deaf {
            link.clear();
        }
    }

    fn next_word(&mut self) -> Option<Frame> {
        self.publication.take().or_else(|| self.closing.take())
    }

    /// Waits until something happens; without `reading` nothing is taken. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, reading: bool) -> AgentEvent {
        let frozen = self.is_frozen();
        let reading = reading && !self.silent && !frozen;
        let refusing = self.refused.is_some() && !frozen;
        let running = self.outcome.is_none();
        tokio::select! {
            frame = self.sent.recv(), if reading => match frame {
                Some(frame) => AgentEvent::Sent(frame),
                None => {
                    self.silent = true;
                    AgentEvent::Moved
                }
            },
            room = self.frames.reserve(), if refusing => {
                if let (Ok(room), Some(frame)) = (room, self.refused.take()) {
                    room.send(frame);
                }
                AgentEvent::Moved
            }
            Some(ended) = self.task.join_next(), if running => AgentEvent::Ended(ended),
            else => std::future::pending().await,
        }
    }

    /// Another frame it has sent by now.
    pub(super) fn try_next(&mut self) -> Option<Frame> {
        if self.is_frozen() {
            return None;
        }
        self.sent.try_recv().ok()
    }

    /// Nothing is handed over any more.
    pub(super) fn hang_up(&mut self) {
        self.deaf = true;
        self.publication = None;
        self.closing = None;
        self.refused = None;
    }
}

/// Frames that may wait in each direction between gateway and agent.
const FRAMES: usize = 32;
