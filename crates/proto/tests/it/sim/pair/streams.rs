//! The connections of a multiplexed port session, at both ends.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use ssm_session_proto::AgentSession;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::MuxRole;
use ssm_session_proto::OutputStream;
use ssm_session_proto::StreamId;

use super::Pair;
use crate::sim::faults::Side;
use crate::sim::scenario::Kind;
use crate::sim::scenario::Scenario;
use crate::sim::streams::Conversation;
use crate::sim::streams::Party;
use crate::sim::streams::Plan;
use crate::support::clock::epoch;
use crate::support::random::Random;

/// What agents put into a message.
const PAYLOAD: usize = 1024;

pub(super) struct Streams {
    /// Soonest last.
    to_come: Vec<Plan>,
    random: Random,
    conversations: BTreeMap<StreamId, Conversation>,
    /// Those that the agent does not know of yet, in order.
    announced: BTreeMap<StreamId, ()>,
    agent: Mux,
    /// What the agent's session did not take.
    refused: Option<Bytes>,
}

impl Streams {
    pub(super) fn new(scenario: &Scenario, random: Random) -> Self {
        Self {
            to_come: scenario.streams.clone(),
            random,
            conversations: BTreeMap::new(),
            announced: BTreeMap::new(),
            agent: Mux::new(MuxRole::Agent, false, epoch()),
            refused: None,
        }
    }

    /// When anybody at the client does anything, in a session that is established or not yet.
    pub(super) fn next_at_client(&self, established: bool) -> Option<Instant> {
        let plan = self.to_come.last().filter(|_| established);
        let opens = plan.map(|plan| epoch() + plan.opens);
        let users = self.conversations.values().map(|c| c.near.next());
        users.flatten().chain(opens).min()
    }

    /// When anybody at the agent does.
    pub(super) fn next_at_agent(&self) -> Option<Instant> {
        let streams = self.conversations.iter();
        let known = streams.filter(|(id, _)| !self.announced.contains_key(id));
        known.filter_map(|(_, c)| c.far.next()).min()
    }

    pub(super) fn are_over(&self) -> bool {
        self.to_come.is_empty() && self.conversations.values().all(Conversation::is_over)
    }

    /// Whether the agent has nothing more to say or hear.
    pub(super) fn are_over_at_agent(&self) -> bool {
        let mut conversations = self.conversations.values();
        self.to_come.is_empty()
            && conversations.all(|c| c.far.is_over())
            && !self.agent.has_work()
            && self.refused.is_none()
    }

    pub(super) fn arrive_at_agent(&mut self, data: Bytes, now: Instant) {
        self.agent.handle_data(data, now);
    }

    pub(super) fn progress(&self) -> String {
        let conversations = self.conversations.iter().map(|(id, c)| {
            let (near, far) = (c.near.progress(), c.far.progress());
            format!("\n{id}: near {near}\n   far {far}")
        });
        let conversations: String = conversations.collect();
        format!("{} streams to come{conversations}", self.to_come.len())
    }

    fn open(&mut self, near: &mut Mux, now: Instant) {
        while let Some(plan) = self.to_come.pop_if(|plan| epoch() + plan.opens <= now) {
            let id = near.open().unwrap();
            let mut conversation = Conversation::new(&plan, &mut self.random);
            conversation.near.begin(now);
            self.announced.insert(id, ());
            self.conversations.insert(id, conversation);
        }
    }

    fn act_at_client(&mut self, near: &mut Mux, now: Instant) {
        self.open(near, now);
        for (id, Conversation { near: user, far }) in &mut self.conversations {
            user.act(near, *id, far, now);
        }
    }

    fn act_at_agent(&mut self, now: Instant) {
        for (id, Conversation { near: user, far }) in &mut self.conversations {
            if !self.announced.contains_key(id) {
                far.act(&mut self.agent, *id, user, now);
            }
        }
    }

    /// What the agent's streams have to send, as far as its session takes it.
    fn pump(&mut self, agent: &mut AgentSession, now: Instant) {
        while let Some(payload) = self
            .refused
            .take()
            .or_else(|| self.agent.poll_transmit(PAYLOAD))
        {
            let taken = agent.write(OutputStream::Stdout, &payload, now);
            assert!([0, payload.len()].contains(&taken));
            if taken == 0 {
                self.refused = Some(payload);
                return;
            }
        }
    }

    /// No end drops a stream that is in use.
    fn check(&self, near: &Mux) {
        let streams = || self.conversations.iter();
        let in_use = streams().filter(|(_, c)| c.near.needs_stream(&c.far));
        assert!(near.open_streams() >= in_use.count());
        let known = streams().filter(|(id, _)| !self.announced.contains_key(id));
        let in_use = known.filter(|(_, c)| c.far.needs_stream(&c.near));
        assert!(self.agent.open_streams() >= in_use.count());
    }
}

impl Pair {
    pub(super) fn use_streams(&mut self) {
        let runs = [Side::Client, Side::Agent].map(|side| self.runs(side));
        let Self { streams, now, .. } = self;
        let Some(near) = self.client.streams() else {
            // Not established yet; nothing is due before.
            return;
        };
        let [client_runs, agent_runs] = runs;
        if client_runs {
            streams.act_at_client(near, *now);
        }
        if agent_runs {
            streams.act_at_agent(*now);
            streams.pump(&mut self.agent, *now);
        }
        streams.check(near);
    }

    /// What both ends of the streams have to say; whether there was anything.
    pub(super) fn hear_streams(&mut self) -> bool {
        let now = self.now;
        let [client_runs, agent_runs] = [Side::Client, Side::Agent].map(|side| self.runs(side));
        let Some(near) = self.client.streams() else {
            return false;
        };
        let streams = &mut self.streams;
        let mut told = false;
        while client_runs && let Some(event) = near.poll_event() {
            told = true;
            match event {
                MuxEvent::Readable(id) => streams.near(id).on_readable(now),
                MuxEvent::Writable(id) => streams.near(id).on_writable(now),
                other => panic!("{other:?}"),
            }
        }
        while agent_runs && let Some(event) = streams.agent.poll_event() {
            told = true;
            match event {
                MuxEvent::Opened(id) => {
                    let next = streams.announced.pop_first();
                    assert_eq!(next, Some((id, ())), "not in order");
                    streams.far(id).begin(now);
                }
                MuxEvent::Readable(id) => streams.far(id).on_readable(now),
                MuxEvent::Writable(id) => streams.far(id).on_writable(now),
                other => panic!("{other:?}"),
            }
        }
        if told {
            self.use_streams();
        }
        told
    }

    /// Once everything is over and has arrived, neither end knows a stream.
    pub(super) fn check_streams_forgotten(&mut self) {
        assert_eq!(self.scenario.kind, Kind::MULTIPLEXED);
        let near = self.client.streams().unwrap();
        let far = &self.streams.agent;
        assert_eq!((near.open_streams(), far.open_streams()), (0, 0));
        assert_eq!((near.unread(), far.unread()), (0, 0));
    }
}

impl Streams {
    fn near(&mut self, id: StreamId) -> &mut Party {
        &mut self.conversations.get_mut(&id).unwrap().near
    }

    fn far(&mut self, id: StreamId) -> &mut Party {
        &mut self.conversations.get_mut(&id).unwrap().far
    }
}
