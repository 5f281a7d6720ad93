//! The two ends, what lies between them, and those who use them.

mod connections;
mod program;
mod service;
mod standstills;
mod streams;
mod user;

use std::time::Duration;
use std::time::Instant;

use ssm_session_proto::AgentSession;
use ssm_session_proto::ClientSession;
use ssm_session_proto::CloseReason;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::TerminalSize;

use self::connections::Connections;
use self::service::Word;
use self::standstills::Stop;
use self::streams::Streams;
use super::faults::Side;
use super::kms::Kms;
use super::model::Flow;
use super::scenario::Ending;
use super::scenario::Kind;
use super::scenario::Scenario;
use super::writer::Writer;
use crate::link::Link;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::random::Random;
use crate::support::seal;
use crate::support::seal::Direction;

/// No run takes as many.
const MAX_STEPS: usize = 1_000_000;
/// No run takes as long, on its own clock; where the agent makes good ten losses a second, nor this.
const MAX_TIME: Duration = Duration::from_secs(600);
const MAX_TIME_BY_HEAD: Duration = Duration::from_secs(3600);

pub(super) struct Pair {
    scenario: Scenario,
    now: Instant,
    client: ClientSession,
    agent: AgentSession,
    to_client: Link,
    to_agent: Link,
    client_up: bool,
    agent_up: bool,
    kms: Kms,
    /// When connections come and go, or ends stop and go on, soonest last.
    changes: Vec<Instant>,
    stops: Vec<Stop>,
    /// What the service has to say of its own, soonest last.
    words: Vec<Word>,

    typist: Writer,
    sizes: Vec<(Instant, TerminalSize)>,
    size_set: Option<TerminalSize>,
    size_arrived: Option<TerminalSize>,
    input: Flow,
    closed: Option<CloseReason>,

    program_starts: Option<Instant>,
    program_runs: bool,
    stdout_writer: Writer,
    stderr_writer: Writer,
    stdout: Flow,
    stderr: Flow,
    exit_code: Option<i32>,
    exit_code_sent: bool,
    ending: bool,
    drained: bool,

    connections: Connections,
    streams: Streams,
}

impl Pair {
    pub(super) fn new(scenario: Scenario) -> Self {
        let mut random = Random::new(scenario.seed ^ 0x5eed);
        let mut fork = || Random::new(random.next());
        let pace = scenario.pace;
        let mut changes = vec![scenario.client_joins, scenario.agent_joins];
        for outage in &scenario.outages {
            changes.extend([outage.at, outage.at + outage.length]);
        }
        changes.sort();
        let changes = changes.iter().rev().map(|&at| epoch() + at).collect();
        let mut typist = Writer::new(scenario.input, 3000, pace, fork());
        typist.wake(epoch());
        let mut pair = Self {
            now: epoch(),
            client: ends::client(ends::SESSION, fork().seed()),
            agent: ends::agent(scenario.agent_config(), fork().seed()),
            to_client: Link::new(scenario.to_client.clone(), fork()),
            to_agent: Link::new(scenario.to_agent.clone(), fork()),
            client_up: false,
            agent_up: false,
            kms: Kms::new(fork()),
            changes,
            stops: Vec::new(),
            words: service::words(&scenario),
            typist,
            sizes: user::sizes(&scenario, fork()),
            size_set: None,
            size_arrived: None,
            input: Flow::default(),
            closed: None,
            program_starts: None,
            program_runs: false,
            stdout_writer: Writer::new(scenario.stdout, 1024, pace, fork()),
            stderr_writer: Writer::new(scenario.stderr, 1024, pace, fork()),
            stdout: Flow::default(),
            stderr: Flow::default(),
            exit_code: None,
            exit_code_sent: false,
            ending: false,
            drained: false,
            connections: Connections::new(&scenario, fork()),
            streams: Streams::new(&scenario, fork()),
            scenario,
        };
        pair.plan_standstills();
        pair
    }

    /// From the first connection to the end of the session.
    pub(super) fn run(mut self) {
        let limit = if self.scenario.ways.head_only {
            MAX_TIME_BY_HEAD
        } else {
            MAX_TIME
        };
        for _ in 0..MAX_STEPS {
            if !self.step() {
                return self.check_end();
            }
            let time = self.now - epoch();
            assert!(time < limit, "no end in sight: {}", self.progress());
        }
        panic!("{MAX_STEPS} steps did not do: {}", self.progress());
    }

    /// Goes to the next moment at which anything happens; whether there is one.
    fn step(&mut self) -> bool {
        self.drain();
        let Some(next) = self.next_moment() else {
            return false;
        };
        self.now = self.now.max(next);
        self.plan_late_standstills();
        self.change_connections();
        self.speak();
        if self.scenario.clock_first {
            self.look_at_clocks();
        }
        self.deliver();
        self.answer_keys();
        self.look_at_clocks();
        self.use_client();
        self.run_program();
        self.use_streams();
        true
    }

    fn look_at_clocks(&mut self) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= self.now);
        if self.runs(Side::Client) && due(self.client.poll_timeout()) {
            self.client.handle_timeout(self.now);
        }
        if self.runs(Side::Agent) && due(self.agent.poll_timeout()) {
            self.agent.handle_timeout(self.now);
        }
    }

    fn next_moment(&self) -> Option<Instant> {
        let of_client = self.next_moment_at_client();
        let of_agent = self.next_moment_at_agent();
        let moments = [
            of_client.filter(|_| self.runs(Side::Client)),
            of_agent.filter(|_| self.runs(Side::Agent)),
            self.changes.last().copied(),
            self.next_word(),
        ];
        moments.into_iter().flatten().min()
    }

    fn next_moment_at_client(&self) -> Option<Instant> {
        let arrival = self.to_client.next_arrival();
        let takes = !self.client.is_saturated() && self.takes_frames(Side::Client);
        // What is due while the socket takes nothing has to wait for it.
        let ready = self.to_agent.ready();
        let moments = [
            arrival.filter(|_| takes),
            self.client.poll_timeout().map(|at| at.max(ready)),
            Some(ready).filter(|at| *at > self.now),
            self.streams.next_at_client(self.client.is_established()),
            self.kms.next_generated(),
            self.typist.next(),
            self.next_size(),
        ];
        moments.into_iter().flatten().min()
    }

    fn next_moment_at_agent(&self) -> Option<Instant> {
        let arrival = self.to_agent.next_arrival();
        let ready = self.to_client.ready();
        let moments = [
            arrival.filter(|_| self.takes_frames(Side::Agent)),
            self.agent.poll_timeout().map(|at| at.max(ready)),
            Some(ready).filter(|at| *at > self.now),
            self.streams.next_at_agent(),
            self.kms.next_decrypted(),
            self.program_starts,
            self.stdout_writer.next(),
            self.stderr_writer.next(),
        ];
        moments.into_iter().flatten().min()
    }

    /// The drive rule, for both ends, until neither has anything left to say.
    fn drain(&mut self) {
        loop {
            while self.runs(Side::Client)
                && self.to_agent.ready() <= self.now
                && let Some(frame) = self.client.poll_transmit(self.now)
            {
                self.send(Side::Client, frame);
            }
            while self.runs(Side::Agent)
                && self.to_client.ready() <= self.now
                && let Some(frame) = self.agent.poll_transmit(self.now)
            {
                self.send(Side::Agent, frame);
            }
            let told = self.hear_client() | self.hear_agent() | self.hear_streams();
            if !(told | self.disconnect_if_due() | self.end_if_due()) {
                return;
            }
        }
    }

    fn hear_client(&mut self) -> bool {
        let mut told = false;
        while self.runs(Side::Client)
            && let Some(event) = self.client.poll_event()
        {
            assert_eq!(self.closed, None, "{event:?} after the end");
            self.on_client_event(event);
            told = true;
        }
        told
    }

    fn hear_agent(&mut self) -> bool {
        let mut told = false;
        while self.runs(Side::Agent)
            && let Some(event) = self.agent.poll_event()
        {
            self.on_agent_event(event);
            told = true;
        }
        told
    }

    fn send(&mut self, from: Side, frame: Frame) {
        let Frame::Binary(bytes) = &frame else {
            return; // The opening is for the service.
        };
        let message = Message::decode(bytes).unwrap();
        if message.message_type == MessageType::AGENT_SESSION_STATE {
            return; // So is this.
        }
        self.check_secrecy(from, &message);
        match from {
            Side::Client => self.to_agent.carry(frame, self.now),
            Side::Agent => self.to_client.carry(frame, self.now),
        }
    }

    /// In an encrypted session no payload of the user's goes out in clear.
    fn check_secrecy(&self, from: Side, message: &Message) {
        let encrypted = matches!(self.scenario.kind, Kind::EncryptedShell(_));
        if encrypted && message.message_type.is_stream_data() && message.payload_type.is_encrypted()
        {
            let direction = match from {
                Side::Client => Direction::FromClient,
                Side::Agent => Direction::FromAgent,
            };
            let (_, key) = self.kms.made().expect("payload before there is a key");
            let opened = seal::open(&key.plaintext, direction, &message.payload);
            assert!(opened.is_some(), "{from:?} sent a payload in clear");
        }
    }

    fn is_exchanged(&self) -> bool {
        let exit_code = self.scenario.kind != Kind::Command || self.exit_code.is_some();
        let flows = [&self.stdout, &self.stderr, &self.input];
        let writers = [&self.typist, &self.stdout_writer, &self.stderr_writer];
        exit_code
            && flows.iter().all(|flow| flow.is_complete())
            && writers.iter().all(|writer| writer.is_done())
            && self.has_arrived_size()
            && self.connections.are_over()
            && self.streams.are_over()
    }

    /// Ports get sizes that nobody set, and take no notice of them.
    fn has_arrived_size(&self) -> bool {
        let matters = !matches!(self.scenario.kind, Kind::Port(_));
        self.sizes.is_empty() && (self.size_set == self.size_arrived || !matters)
    }

    /// Nothing is under way and no end waits for anything.
    fn is_quiet(&self) -> bool {
        self.next_moment().is_none() && self.client_up && self.agent_up
    }

    fn end_if_due(&mut self) -> bool {
        let due = match self.scenario.ending {
            Ending::AgentFinishes => self.is_exchanged() && self.is_quiet(),
            Ending::AgentFinishesAtOnce => {
                self.program_has_written()
                    && self.input.is_complete()
                    && self.has_arrived_size()
                    && self.connections.are_over()
                    && self.streams.are_over_at_agent()
            }
            Ending::ClientTerminates if self.scenario.kind.has_terminal() => {
                self.typist.is_done() && self.client.is_established()
            }
            Ending::ClientTerminates => self.is_exchanged() && self.is_quiet(),
        };
        let can = self.runs(Side::Client) && self.runs(Side::Agent);
        if self.ending || !due || !can {
            return false;
        }
        self.ending = true;
        if self.scenario.kind == Kind::MULTIPLEXED && self.is_quiet() {
            self.check_streams_forgotten();
        }
        match self.scenario.ending {
            Ending::ClientTerminates => self.terminate(),
            _ => self.agent.finish(self.now),
        }
        true
    }

    fn check_end(&self) {
        let told = match &self.closed {
            Some(CloseReason::Terminated) => self.scenario.kind.has_terminal(),
            Some(CloseReason::ChannelClosed { .. }) => true,
            _ => false,
        };
        assert!(told && self.drained, "stuck: {}", self.progress());
        assert!(self.input.is_complete(), "{}", self.progress());
        // A user who leaves a shell does not wait for what it says.
        if self.closed != Some(CloseReason::Terminated) {
            assert!(self.is_exchanged(), "{}", self.progress());
        }
    }

    fn progress(&self) -> String {
        format!(
            "after {:?}: input {:?}, stdout {:?}, stderr {:?}, size {:?} of {:?}, established {}, \
             program runs {}, ending {}, drained {}, closed {:?}, {}",
            self.now - epoch(),
            self.input.progress(),
            self.stdout.progress(),
            self.stderr.progress(),
            self.size_arrived,
            self.size_set,
            self.client.is_established(),
            self.program_runs,
            self.ending,
            self.drained,
            self.closed,
            self.streams.progress(),
        )
    }
}
