//! What lies between the ends: connections, the service's own messages, KMS.

use std::time::Instant;

use ssm_session_proto::Frame;
use ssm_session_proto::Secret;
use ssm_session_proto::UnixMillis;
use ssm_session_proto::service;
use uuid::Uuid;

use super::Pair;
use crate::sim::faults::Side;
use crate::sim::scenario::Scenario;
use crate::support::clock::epoch;
use crate::support::ends;

const CREATED: UnixMillis = UnixMillis(1_700_000_000_000);

/// What the service says of its own.
pub(super) struct Word {
    at: Instant,
    to: Side,
    pauses: bool,
}

/// What it says in this run, soonest last.
pub(super) fn words(scenario: &Scenario) -> Vec<Word> {
    let mut words = Vec::new();
    for pause in &scenario.pauses {
        let at = epoch() + pause.at;
        let mut say = |at, pauses| {
            words.push(Word {
                at,
                to: pause.end,
                pauses,
            });
        };
        say(at, true);
        if let Some(length) = pause.length {
            say(at + length, false);
        }
    }
    words.sort_by_key(|word| std::cmp::Reverse(word.at));
    words
}

impl Pair {
    pub(super) fn change_connections(&mut self) {
        while self.changes.pop_if(|at| *at <= self.now).is_some() {
            for side in [Side::Client, Side::Agent] {
                let up = self.should_be_up(side);
                if up != self.is_up(side) && self.runs(side) {
                    if !up && self.is_cut(side) {
                        self.lose_what_is_under_way();
                    }
                    self.set_up(side, up);
                    self.publish(side);
                }
            }
        }
    }

    fn should_be_up(&self, side: Side) -> bool {
        let now = self.now - epoch();
        let joins = match side {
            Side::Client => self.scenario.client_joins,
            Side::Agent => self.scenario.agent_joins,
        };
        let mut outages = self.scenario.outages.iter();
        joins <= now && !outages.any(|o| o.end == side && o.at <= now && now < o.at + o.length)
    }

    fn lose_what_is_under_way(&mut self) {
        self.to_agent.clear();
        self.to_client.clear();
        if self.closed.is_some() {
            // The service's word to the agent takes another way.
            self.close_channel(Side::Agent);
        }
    }

    fn is_cut(&self, side: Side) -> bool {
        let now = self.now - epoch();
        let mut outages = self.scenario.outages.iter();
        outages.any(|o| o.cut && o.end == side && o.at <= now && now < o.at + o.length)
    }

    fn is_up(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client_up,
            Side::Agent => self.agent_up,
        }
    }

    fn set_up(&mut self, side: Side, up: bool) {
        let token = Secret::new("token");
        match (side, up) {
            (Side::Client, true) => self.client.handle_connected(&token, self.now),
            (Side::Client, false) => self.client.handle_disconnected(self.now),
            (Side::Agent, true) => self.agent.handle_connected(&token, self.now),
            (Side::Agent, false) => self.agent.handle_disconnected(self.now),
        }
        match side {
            Side::Client => self.client_up = up,
            Side::Agent => self.agent_up = up,
        }
        let over = match side {
            Side::Client => self.drained,
            Side::Agent => self.closed.is_some(),
        };
        if up && over {
            self.close_channel(side); // It may have missed the first.
        }
    }

    /// Tells both ends whether their peer is there, after `changed` came or went.
    fn publish(&mut self, changed: Side) {
        if !self.scenario.publication {
            return;
        }
        for side in [Side::Client, Side::Agent] {
            let peer_is_up = match side {
                Side::Client => self.agent_up,
                Side::Agent => self.client_up,
            };
            if !self.is_up(side) || (side == changed && !self.is_up(changed)) {
                continue;
            }
            let frame = if peer_is_up {
                service::start_publication(Uuid::nil(), CREATED)
            } else {
                service::pause_publication(Uuid::nil(), CREATED)
            };
            self.tell(side, frame);
        }
    }

    /// When the service says something of its own to an end that hears it.
    pub(super) fn next_word(&self) -> Option<Instant> {
        let mut words = self.words.iter().rev();
        let word = words.find(|word| self.takes_frames(word.to))?;
        Some(word.at)
    }

    /// The service's own words, when they are due. What is said to nobody is not said again.
    pub(super) fn speak(&mut self) {
        let hears = [Side::Client, Side::Agent].map(|side| self.takes_frames(side));
        let now = self.now;
        let due = |word: &mut Word| word.at <= now && hears[usize::from(word.to == Side::Agent)];
        let words: Vec<_> = self.words.extract_if(.., due).collect();
        for word in words.iter().rev() {
            let frame = if word.pauses {
                service::pause_publication(Uuid::nil(), CREATED)
            } else {
                service::start_publication(Uuid::nil(), CREATED)
            };
            match word.to {
                Side::Client if self.client_up => self.client.handle_frame(&frame, now),
                Side::Agent if self.agent_up => self.agent.handle_frame(&frame, now),
                _ => {}
            }
        }
    }

    fn tell(&mut self, side: Side, frame: Frame) {
        match side {
            Side::Client => self.to_client.carry_surely(frame, self.now),
            Side::Agent => self.to_agent.carry_surely(frame, self.now),
        }
    }

    /// What arrives where no one is connected is lost.
    pub(super) fn deliver(&mut self) {
        while self.takes_frames(Side::Client)
            && !self.client.is_saturated()
            && let Some(frame) = self.to_client.arrival(self.now)
        {
            if self.client_up {
                self.client.handle_frame(&frame, self.now);
            }
        }
        while self.takes_frames(Side::Agent)
            && let Some(frame) = self.to_agent.arrival(self.now)
        {
            if self.agent_up {
                self.agent.handle_frame(&frame, self.now);
            }
        }
    }

    pub(super) fn close_channel(&mut self, of: Side) {
        let frame = service::channel_closed(ends::SESSION, "", Uuid::nil(), CREATED);
        self.tell(of, frame);
    }

    pub(super) fn answer_keys(&mut self) {
        if self.runs(Side::Client)
            && let Some(key) = self.kms.generated(self.now)
        {
            self.client.handle_data_key(Ok(key), self.now);
        }
        if self.runs(Side::Agent)
            && let Some(key) = self.kms.decrypted(self.now)
        {
            self.agent.handle_data_key(key, self.now);
        }
    }
}
