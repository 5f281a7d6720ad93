//! The agent's end of a session, as the gateway sees it.

use std::collections::VecDeque;
use std::sync::Arc;

use ssm_session_proto::Frame;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::time::Instant;

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
    /// What the service itself has to say, before anything of the client.
    words: VecDeque<Frame>,
    /// A frame the channel had no room for.
    refused: Option<Frame>,
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
    /// Starts the agent.
    pub(super) fn start(task: AgentTask, kms: Arc<Kms>) -> Self {
        let (to_client, sent) = mpsc::channel(FRAMES);
        let (frames, from_gateway) = mpsc::channel(FRAMES);
        let relay = Relay {
            to_client,
            from_gateway,
        };
        let mut running = JoinSet::new();
        running.spawn(agent::run(task, relay, kms));
        Self {
            frames,
            sent,
            words: VecDeque::new(),
            refused: None,
            task: running,
            silent: false,
            deaf: false,
            outcome: None,
        }
    }

    /// Says something, unless nobody listens.
    pub(super) fn tell(&mut self, frame: Frame) {
        if !self.deaf {
            self.words.push_back(frame);
        }
    }

    pub(super) fn has_words(&self) -> bool {
        !self.words.is_empty()
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
            && self.refused.is_none()
            && let Some(frame) = self.words.pop_front().or_else(|| link.pop(now))
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

    /// Waits until something happens; without `reading` nothing is taken. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, reading: bool) -> AgentEvent {
        let reading = reading && !self.silent;
        let refusing = self.refused.is_some();
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
        self.sent.try_recv().ok()
    }

    /// Nothing is handed over any more.
    pub(super) fn hang_up(&mut self) {
        self.deaf = true;
        self.words.clear();
        self.refused = None;
    }
}

/// Frames that may wait in each direction between gateway and agent.
const FRAMES: usize = 32;
