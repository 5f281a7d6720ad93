//! Both ends over a link that does what the input says: operations of their users, messages
//! lost, repeated, overtaken and damaged, connections that go and come back, and time. What one
//! end gets is always the beginning of what the other wrote, and all of it once the link is
//! healed.

mod healing;
mod kind;
mod link;
mod listen;
mod streams;

use std::time::Duration;
use std::time::Instant;

use ssm_session_proto::AgentSession;
use ssm_session_proto::AgentWays;
use ssm_session_proto::ClientSession;
use ssm_session_proto::CloseReason;
use ssm_session_proto::OutputStream;
use ssm_session_proto::TerminalSize;

use self::kind::Kind;
use self::link::Link;
use self::streams::Streams;
use super::choices::Choices;
use crate::sim::kms::Kms;
use crate::sim::model::Flow;
use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::memory::live;
use crate::support::random::Random;

const OPERATIONS: usize = 300;
/// Bytes that are written at the most, for each end and stream.
const BUDGET: usize = 100_000;
/// What both ends and the link hold beside what was written.
const BASE: usize = 4 * 1024 * 1024;
/// Turns of a loop that has to end by itself.
const TURNS: usize = 20_000;
/// A handshake in which this much time passes may fail.
const PATIENCE: Duration = Duration::from_secs(10);

struct Pair {
    kind: Kind,
    now: Instant,
    client: ClientSession,
    agent: AgentSession,
    to_client: Link,
    to_agent: Link,
    kms: Kms,
    size_set: Option<TerminalSize>,
    size_arrived: Option<TerminalSize>,
    input: Writing,
    stdout: Writing,
    stderr: Writing,
    established: bool,
    started: bool,
    /// The program at the agent's end runs.
    runs: bool,
    exit_code: Option<i32>,
    link: PortLink,
    /// After a port's first connection nobody can tell to which one output belongs.
    output_counts: bool,
    /// The handshake failed, or was taken for missing, after so long that it may.
    excused: bool,
    closed: Option<CloseReason>,
    terminating: bool,
    drained: bool,
    streams: Streams,
}

/// The connection of a basic port session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PortLink {
    Up,
    /// The client's user has ended it.
    Closing,
    /// The agent knows.
    HungUp,
    /// The client knows that, and begins another at the next write.
    Down,
}

/// What one end writes for the other.
#[derive(Default)]
struct Writing {
    flow: Flow,
    written: usize,
}

impl Writing {
    /// The next bytes, none of which means anything to a terminal.
    fn next(&self, length: usize) -> Vec<u8> {
        let length = length.min(BUDGET.saturating_sub(self.written));
        let from = self.written;
        (from..from + length)
            .map(|n| 0x80 | u8::try_from((n * 31 + n / 97) % 128).unwrap())
            .collect()
    }

    fn wrote(&mut self, data: &[u8]) {
        self.flow.write(data);
        self.written += data.len();
    }
}

/// The first byte says what kind of session, the second how it ends and with what kind of agent;
/// the rest are operations.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kind = Kind::of(choices.byte());
    let second = choices.byte();
    let terminates = second % 2 == 1;
    let ways = AgentWays {
        head_only: second / 2 % 2 == 1,
        keeps_after: MS * 50 * u32::from(second / 4 % 4),
    };
    let before = live();
    let mut pair = Pair::new(kind, ways);
    for _ in 0..OPERATIONS {
        if choices.is_done() || pair.excused {
            break;
        }
        pair.operate(&mut choices);
        pair.drain();
        let held = live() - before;
        assert!(held < BASE + 8 * pair.written(), "{held} bytes are held");
    }
    pair.heal_and_end(terminates);
    drop(pair);
    assert_eq!(live(), before, "bytes stay behind");
}

impl Pair {
    fn new(kind: Kind, ways: AgentWays) -> Self {
        let mut random = Random::new(1);
        let mut pair = Self {
            kind,
            now: epoch(),
            client: ends::client(ends::SESSION, random.seed()),
            agent: ends::agent(kind.agent_config(ways), random.seed()),
            to_client: Link::default(),
            to_agent: Link::default(),
            kms: Kms::new(random),
            size_set: None,
            size_arrived: None,
            input: Writing::default(),
            stdout: Writing::default(),
            stderr: Writing::default(),
            established: false,
            started: false,
            runs: false,
            exit_code: None,
            link: PortLink::Up,
            output_counts: true,
            excused: false,
            closed: None,
            terminating: false,
            drained: false,
            streams: Streams::new(),
        };
        pair.connect_client();
        pair.connect_agent();
        pair.drain();
        pair
    }

    fn operate(&mut self, choices: &mut Choices<'_>) {
        let operation = choices.byte();
        let argument = operation / 16;
        match operation % 16 {
            0 => self.type_input(usize::from(choices.word()) % 8000),
            1 => self.print(OutputStream::Stdout, usize::from(choices.word()) % 1025),
            2 if self.kind == Kind::Command => {
                self.print(OutputStream::Stderr, usize::from(choices.word()) % 1025);
            }
            2 | 3 if self.kind == Kind::Basic => self.hang_up(),
            2 | 3 => {
                let (cols, rows) = (u32::from(choices.byte()), u32::from(choices.byte()));
                self.resize(TerminalSize { cols, rows });
            }
            4 | 5 => self.deliver_to_agent(1 + usize::from(argument)),
            6 | 7 => self.deliver_to_client(1 + usize::from(argument)),
            8 => self.to_agent.damage(argument, choices),
            9 => self.to_client.damage(argument, choices),
            10 => self.change_connection(argument),
            11 => self.pass(MS * u32::from(choices.byte())),
            12 => {
                let steps = [1, 3, 10, 50, 150, 1000, 3000, 11_000];
                let step = steps[usize::from(argument % 8)];
                self.pass(MS * step);
            }
            13 => self.publish(argument),
            14 => self.answer(),
            _ => self.use_streams(argument, choices),
        }
    }

    fn type_input(&mut self, length: usize) {
        match self.link {
            PortLink::Up | PortLink::Down if self.kind != Kind::Multiplexed => {}
            _ => return,
        }
        self.link = PortLink::Up;
        let data = self.input.next(length);
        let taken = self.client.write(&data, self.now);
        self.input.wrote(&data[..taken]);
    }

    fn print(&mut self, stream: OutputStream, length: usize) {
        if self.kind == Kind::Multiplexed || !self.runs || !self.output_counts {
            return;
        }
        let writing = match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        let data = writing.next(length);
        let taken = self.agent.write(stream, &data, self.now);
        assert!([0, data.len()].contains(&taken));
        writing.wrote(&data[..taken]);
    }

    /// The client's user ends the connection and may begin another.
    fn hang_up(&mut self) {
        if self.established && self.link == PortLink::Up {
            self.link = PortLink::Closing;
            self.output_counts = false;
            self.client.disconnect_port(self.now);
        }
    }

    fn resize(&mut self, size: TerminalSize) {
        self.size_set = Some(size);
        self.client.resize(size, self.now);
    }

    /// Those who were asked answer: the agent's program runs, and KMS has its keys.
    fn answer(&mut self) {
        if self.started && !self.runs {
            self.runs = true;
            self.agent.accept_input();
        }
        if let Some(key) = self.kms.generated(self.now) {
            self.client.handle_data_key(Ok(key), self.now);
        }
        if let Some(key) = self.kms.decrypted(self.now) {
            self.agent.handle_data_key(key, self.now);
        }
    }

    /// Time passes, and both ends are called when they want to be.
    fn pass(&mut self, length: Duration) {
        let until = self.now + length;
        for _ in 0..TURNS {
            self.drain();
            let Some(next) = self.next_timeout().filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            self.call_if_due();
        }
        panic!("the ends want to be called again and again");
    }

    fn next_timeout(&self) -> Option<Instant> {
        let [client, agent] = [self.client.poll_timeout(), self.agent.poll_timeout()];
        client.into_iter().chain(agent).min()
    }

    fn call_if_due(&mut self) {
        if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
            self.client.handle_timeout(self.now);
        }
        if self.agent.poll_timeout().is_some_and(|at| at <= self.now) {
            self.agent.handle_timeout(self.now);
        }
    }

    /// Bytes that were written, by whomever.
    fn written(&self) -> usize {
        let [a, b, c] = [&self.input, &self.stdout, &self.stderr].map(|writing| writing.written);
        a + b + c + self.streams.written()
    }
}
