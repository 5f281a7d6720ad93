//! The connections of a basic port session, one after the other: each has input and output of
//! its own.

use super::Pair;
use crate::sim::faults::Side;
use crate::sim::model::Flow;
use crate::sim::scenario::Kind;
use crate::sim::scenario::Scenario;
use crate::sim::writer::Writer;
use crate::support::random::Random;

/// Most bytes of a later connection, each way.
const LARGEST: usize = 20_000;

pub(super) struct Connections {
    /// Those to come; whether the user of the one before waits for everything.
    to_come: Vec<bool>,
    random: Random,
    state: State,
    /// The agent has dialled for the present one, and has closed it.
    dialled: bool,
    hung_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// The agent was told to disconnect.
    Closing,
    /// It has. The next one follows at once, or when nothing of this one is under way any more.
    Down,
}

impl Connections {
    pub(super) fn new(scenario: &Scenario, random: Random) -> Self {
        Self {
            to_come: scenario.connections.clone(),
            random,
            state: State::Up,
            dialled: true,
            hung_up: false,
        }
    }

    pub(super) fn are_over(&self) -> bool {
        self.to_come.is_empty() && self.is_up()
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    pub(super) fn are_dialled(&self) -> bool {
        self.dialled
    }

    pub(super) fn on_disconnected(&mut self) {
        assert_eq!(self.state, State::Closing, "nobody asked for it");
        assert!(self.hung_up, "the agent's end is still up");
        self.state = State::Down;
    }
}

impl Pair {
    /// Goes on to the next connection, in steps; whether there was one to do.
    pub(super) fn disconnect_if_due(&mut self) -> bool {
        let Some(waits) = self.connections.to_come.last().copied() else {
            return false;
        };
        if !self.runs(Side::Client) {
            return false;
        }
        match self.connections.state {
            State::Up => {
                let typed = self.typist.is_done() && self.client.is_established();
                let heard = self.stdout_writer.is_done()
                    && self.stdout.is_complete()
                    && self.input.is_complete();
                if !typed || (waits && !heard) {
                    return false;
                }
                self.connections.state = State::Closing;
                self.client.disconnect_port(self.now);
            }
            State::Closing => return false,
            State::Down => {
                assert!(self.input.is_complete(), "the flag overtook input");
                // Nothing on the wire says which connection output belongs to.
                if !waits && !self.is_quiet() {
                    return false;
                }
                self.connections.to_come.pop();
                self.connections.state = State::Up;
                self.connections.hung_up = false;
                self.connections.dialled = false;
                self.begin_connection();
            }
        }
        true
    }

    fn begin_connection(&mut self) {
        let random = &mut self.connections.random;
        let [input, output] = [0, 1].map(|_| 1 + random.below(LARGEST));
        let mut writer = |length, longest| {
            let random = Random::new(random.next());
            Writer::new(length, longest, self.scenario.pace, random)
        };
        self.typist = writer(input, 3000);
        self.stdout_writer = writer(output, 1024);
        self.input = Flow::default();
        self.stdout = Flow::default();
        self.typist.wake(self.now);
    }

    /// The agent was told to disconnect: its destination says nothing more.
    pub(super) fn hang_up(&mut self) {
        assert_eq!(self.scenario.kind, Kind::BASIC);
        assert_eq!(self.connections.state, State::Closing);
        assert!(self.input.is_complete(), "the flag overtook input");
        self.connections.hung_up = true;
        self.stdout_writer.stop();
    }

    /// The first input of a connection has come, upon which its destination begins to talk.
    pub(super) fn dial(&mut self) {
        assert!(!self.connections.hung_up, "input of no connection");
        if !std::mem::replace(&mut self.connections.dialled, true) {
            self.wake_program();
        }
    }
}
