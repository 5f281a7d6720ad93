//! Eight hours in a shell whose WebSocket the service closes every hour.

use std::time::Duration;
use std::time::Instant;

use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::AgentSession;
use ssm_session_proto::AgentWays;
use ssm_session_proto::ClientSession;
use ssm_session_proto::Event;
use ssm_session_proto::OutputStream;
use ssm_session_proto::Secret;

use crate::link::Faults;
use crate::link::Link;
use crate::link::up_to;
use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::memory::live;
use crate::support::random::Random;

const HOUR: Duration = Duration::from_secs(3600);
/// Between two lines that are typed, at the most.
const PAUSE: usize = 60_000;
/// How long the client takes to connect again, at the most.
const OUTAGE: usize = 5_000;
/// What queues keep of the length they once had.
const SLACK: usize = 16 * 1024;

/// Lines that are typed, and what the program at the other end makes of them: each is repeated,
/// and answered with some output.
struct Shell {
    now: Instant,
    client: ClientSession,
    agent: AgentSession,
    up: Link,
    down: Link,
    /// When the client connects again, while it is not connected.
    back: Option<Instant>,
    next_line: Option<Instant>,
    random: Random,
    typed: Bytes,
    shown: Bytes,
}

/// A stream whose bytes follow from their place, from where it is written to where it arrives.
#[derive(Default)]
struct Bytes {
    written: usize,
    arrived: usize,
}

impl Bytes {
    fn at(place: usize) -> u8 {
        u8::try_from(place % 251).unwrap()
    }

    /// The next `length` bytes.
    fn write(&mut self, length: usize) -> Vec<u8> {
        let from = self.written;
        self.written += length;
        (from..self.written).map(Self::at).collect()
    }

    fn arrive(&mut self, data: &[u8]) {
        for byte in data {
            assert_eq!(*byte, Self::at(self.arrived), "at {}", self.arrived);
            self.arrived += 1;
        }
        assert!(self.arrived <= self.written);
    }

    fn is_complete(&self) -> bool {
        self.arrived == self.written
    }
}

impl Shell {
    fn new(ways: AgentWays) -> Self {
        let path = Faults {
            delay: 30 * MS,
            jitter: 10 * MS,
            ..Faults::default()
        };
        let config = AgentConfig {
            ways,
            ..ends::agent_config()
        };
        let mut shell = Self {
            now: epoch(),
            client: ends::client(ends::SESSION, [1; 32]),
            agent: ends::agent(config, [2; 32]),
            up: Link::new(path.clone(), Random::new(1)),
            down: Link::new(path, Random::new(2)),
            back: None,
            next_line: None,
            random: Random::new(8),
            typed: Bytes::default(),
            shown: Bytes::default(),
        };
        let token = Secret::new("token");
        shell.agent.handle_connected(&token, shell.now);
        shell.client.handle_connected(&token, shell.now);
        shell
    }

    fn go_on(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        while let Some(at) = self.next_moment().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
            self.drain();
        }
        self.now = end;
    }

    fn next_moment(&self) -> Option<Instant> {
        let moments = [
            self.up.next_arrival(),
            self.down.next_arrival(),
            self.client.poll_timeout(),
            self.agent.poll_timeout(),
            self.back,
            self.next_line,
        ];
        moments.into_iter().flatten().min()
    }

    fn step(&mut self) {
        let now = self.now;
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.back.take_if(|at| *at <= now).is_some() {
            self.client.handle_connected(&Secret::new("again"), now);
        }
        while let Some(frame) = self.down.arrival(now) {
            self.client.handle_frame(&frame, now);
        }
        while let Some(frame) = self.up.arrival(now) {
            self.agent.handle_frame(&frame, now);
        }
        if due(self.client.poll_timeout()) {
            self.client.handle_timeout(now);
        }
        if due(self.agent.poll_timeout()) {
            self.agent.handle_timeout(now);
        }
        if due(self.next_line) {
            self.next_line = Some(now + MS + up_to(&mut self.random, PAUSE));
            let line = self.typed.write(2 + self.random.below(40));
            assert_eq!(self.client.write(&line, now), line.len());
        }
    }

    /// The drive rule, for both ends, until neither has anything left to say.
    fn drain(&mut self) {
        loop {
            while let Some(frame) = self.client.poll_transmit(self.now) {
                self.up.carry(frame, self.now);
            }
            while let Some(frame) = self.agent.poll_transmit(self.now) {
                if self.back.is_none() {
                    self.down.carry(frame, self.now);
                }
            }
            if !(self.hear_client() | self.hear_agent()) {
                return;
            }
        }
    }

    fn hear_client(&mut self) -> bool {
        let Some(event) = self.client.poll_event() else {
            return false;
        };
        match event {
            Event::Established(_) => self.next_line = Some(self.now),
            Event::Output { data, .. } => self.shown.arrive(&data),
            other => panic!("{other:?}"),
        }
        true
    }

    fn hear_agent(&mut self) -> bool {
        let Some(event) = self.agent.poll_event() else {
            return false;
        };
        match event {
            AgentEvent::Started { .. } => {
                self.agent.accept_input();
                self.print(2);
            }
            AgentEvent::Input(data) => {
                self.typed.arrive(&data);
                let lines = self.random.below(20);
                self.print(data.len());
                (0..lines).for_each(|_| self.print(80));
            }
            other => panic!("{other:?}"),
        }
        true
    }

    fn print(&mut self, length: usize) {
        let data = self.shown.write(length);
        let taken = self.agent.write(OutputStream::Stdout, &data, self.now);
        assert_eq!(taken, length);
    }

    /// The service closes the WebSocket in the middle of a line's answer.
    fn close(&mut self) {
        self.client.handle_disconnected(self.now);
        self.up.clear();
        self.down.clear();
        self.back = Some(self.now + MS + up_to(&mut self.random, OUTAGE));
    }
}

fn eight_hours(ways: AgentWays) {
    let mut shell = Shell::new(ways);
    let mut memory = Vec::new();
    for _ in 0..8 {
        shell.go_on(HOUR);
        // Answers are under way when it happens.
        shell.next_line = shell.next_line.min(Some(shell.now));
        shell.go_on(65 * MS);
        shell.close();
        let next_line = shell.next_line.take();
        shell.go_on(Duration::from_secs(60));
        assert!(shell.typed.is_complete() && shell.shown.is_complete());
        assert_eq!(shell.next_moment(), None, "nobody waits for anything");
        memory.push(live());
        shell.next_line = next_line.max(Some(shell.now));
    }
    assert!(
        shell.typed.arrived > 15_000,
        "{} bytes",
        shell.typed.arrived
    );
    assert!(
        shell.shown.arrived > 500_000,
        "{} bytes",
        shell.shown.arrived
    );
    assert!(memory[7] <= memory[0] + SLACK, "{memory:?}");
}

#[test]
fn eight_hours_of_typing_now_and_then_over_eight_connections_lose_nothing_and_memory_is_flat() {
    eight_hours(AgentWays::default());
}

#[test]
fn eight_hours_with_an_agent_that_repeats_only_its_oldest_message_lose_nothing_either() {
    eight_hours(AgentWays {
        head_only: true,
        keeps_after: 61 * MS,
    });
}
