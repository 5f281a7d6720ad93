//! An hour of everything, and a day's work of little: connections that come and go, transfers,
//! keystrokes, and a WebSocket that has to be renewed.

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;

use super::Tunnel;
use super::data::Pattern;
use super::data::Sink;
use super::data::Source;
use crate::link::Bottleneck;
use crate::link::Faults;
use crate::link::up_to;
use crate::support::clock::MS;
use crate::support::memory::live;
use crate::support::random::Random;

const HOUR: Duration = Duration::from_secs(3600);
/// What queues keep of the length they once had; 50 bytes of each connection would be more.
const SLACK: usize = 32 * 1024;

/// One connection of a program.
struct Visit {
    id: StreamId,
    user: (Source, Sink),
    server: (Source, Sink),
    /// When the user is gone, whatever there is left to hear.
    leaves: Option<Instant>,
    over: [bool; 2],
}

/// How busy everybody is.
struct Habits {
    /// Milliseconds between two connections and between two keystrokes, at the most.
    between_visits: usize,
    between_keys: usize,
    /// How long the WebSocket lasts.
    renewal: Duration,
}

/// Everybody who uses the session.
struct Life {
    habits: Habits,
    random: Random,
    patterns: [Pattern; 2],
    visits: Vec<Visit>,
    next_visit: Instant,
    keyboard: StreamId,
    next_key: Instant,
    pressed: usize,
    shown: usize,
    next_renewal: Instant,
    visited: usize,
    bytes: usize,
}

impl Life {
    fn new(tunnel: &mut Tunnel, habits: Habits) -> Self {
        Self {
            random: Random::new(3600),
            patterns: [Pattern::new(1), Pattern::new(2)],
            visits: Vec::new(),
            next_visit: tunnel.now,
            keyboard: tunnel.near().open().unwrap(),
            next_key: tunnel.now,
            pressed: 0,
            shown: 0,
            next_renewal: tunnel.now + habits.renewal,
            visited: 0,
            bytes: 0,
            habits,
        }
    }

    fn go_on(&mut self, tunnel: &mut Tunnel, time: Duration) {
        let end = tunnel.now + time;
        tunnel.run(time, |tunnel| {
            self.visit(tunnel);
            self.converse(tunnel);
            self.press(tunnel);
            self.renew(tunnel);
            let moments = [self.next_visit, self.next_key, self.next_renewal];
            let leaves = self.visits.iter().filter_map(|visit| visit.leaves);
            tunnel.alarm = moments.into_iter().chain(leaves).min();
            tunnel.now >= end
        });
    }

    /// Everybody finishes what they are at, and nobody begins anything.
    fn calm_down(&mut self, tunnel: &mut Tunnel) {
        tunnel.alarm = None;
        let done = tunnel.run(Duration::from_secs(120), |tunnel| {
            self.converse(tunnel);
            self.hear_keys(tunnel);
            self.visits.is_empty() && tunnel.next_moment().is_none()
        });
        assert!(done, "{} visits do not end", self.visits.len());
    }

    fn visit(&mut self, tunnel: &mut Tunnel) {
        if tunnel.now < self.next_visit {
            return;
        }
        let random = &mut self.random;
        self.next_visit = tunnel.now + up_to(random, self.habits.between_visits);
        let mut size = || {
            let digits = u32::try_from(random.below(6)).unwrap();
            1 + random.below(3 * 10_usize.pow(digits))
        };
        let [up, down] = [size(), size()];
        let leaves = random.chance(200).then(|| tunnel.now + up_to(random, 1000));
        let [question, answer] = &self.patterns;
        self.visits.push(Visit {
            id: tunnel.near().open().unwrap(),
            user: (Source::new(question, up), Sink::new(answer)),
            server: (Source::new(answer, down), Sink::new(question)),
            leaves,
            over: [false, false],
        });
        self.visited += 1;
    }

    fn converse(&mut self, tunnel: &mut Tunnel) {
        for visit in &mut self.visits {
            visit.act(tunnel);
        }
        for visit in self
            .visits
            .extract_if(.., |visit| visit.over == [true, true])
        {
            self.bytes += visit.user.1.at + visit.server.1.at;
        }
    }

    fn press(&mut self, tunnel: &mut Tunnel) {
        if self.next_key <= tunnel.now {
            self.next_key =
                tunnel.now + MS * 500 + up_to(&mut self.random, self.habits.between_keys);
            let key = Bytes::from_static(b"k");
            assert_eq!(tunnel.near().write(self.keyboard, key), 1);
            self.pressed += 1;
        }
        self.hear_keys(tunnel);
    }

    fn hear_keys(&mut self, tunnel: &mut Tunnel) {
        let id = self.keyboard;
        if let Some(far) = tunnel.far(id) {
            while let Received::Data(keys) = far.read(id) {
                far.write(id, keys);
            }
        }
        while let Received::Data(keys) = tunnel.near().read(id) {
            self.shown += keys.len();
        }
    }

    fn renew(&mut self, tunnel: &mut Tunnel) {
        if self.next_renewal <= tunnel.now {
            self.next_renewal = tunnel.now + self.habits.renewal;
            tunnel.disconnect(MS * 800);
        }
    }
}

impl Visit {
    fn act(&mut self, tunnel: &mut Tunnel) {
        let (id, now) = (self.id, tunnel.now);
        let [user_over, server_over] = &mut self.over;
        if self.leaves.is_some_and(|at| at <= now) && !*user_over {
            tunnel.near().abandon(id);
            *user_over = true;
        }
        if !*user_over {
            self.user.0.pump(tunnel.near(), id);
            *user_over = self.user.1.pull(tunnel.near(), id) && self.user.0.is_done();
        }
        if let Some(far) = tunnel.far(id)
            && !*server_over
        {
            self.server.0.pump(far, id);
            *server_over = self.server.1.pull(far, id) && self.server.0.is_done();
        }
        if *user_over && *server_over && self.leaves.is_none() {
            assert_eq!(self.user.0.length(), self.server.1.at, "stream {id}");
            assert_eq!(self.server.0.length(), self.user.1.at, "stream {id}");
        }
    }
}

/// What everybody finds when nobody is at anything: the memory in use.
fn memory_at_rest(tunnel: &mut Tunnel) -> usize {
    assert_eq!(tunnel.near().open_streams(), 1, "the keyboard's");
    assert_eq!(tunnel.far.open_streams(), 1, "the keyboard's");
    assert_eq!((tunnel.near().unread(), tunnel.far.unread()), (0, 0));
    live()
}

fn path(lost: u32) -> Faults {
    Faults {
        delay: 20 * MS,
        jitter: 10 * MS,
        lost,
        bottleneck: Some(Bottleneck {
            rate: 1_000_000,
            queue: 200_000,
        }),
        ..Faults::default()
    }
}

#[test]
fn after_an_hour_of_mixed_life_streams_and_memory_are_where_they_were() {
    let mut tunnel = Tunnel::new(path(1), path(1));
    let habits = Habits {
        between_visits: 8000,
        between_keys: 2000,
        renewal: Duration::from_secs(17 * 60),
    };
    let mut life = Life::new(&mut tunnel, habits);
    let mut memory = Vec::new();
    for _ in 0..6 {
        life.go_on(&mut tunnel, HOUR / 6);
        life.calm_down(&mut tunnel);
        memory.push(memory_at_rest(&mut tunnel));
    }
    assert!(life.visited > 500 && life.bytes > 20_000_000);
    assert_eq!(life.shown, life.pressed);
    assert!(life.shown > 2000, "{} keys were shown", life.shown);
    assert_eq!(tunnel.connection, 3, "renewals");
    assert!(memory[5] <= memory[0] + SLACK, "{memory:?}");
}

/// The service closes the WebSocket every hour, whatever it is used for.
#[test]
fn after_eight_hours_of_a_connection_now_and_then_streams_and_memory_are_where_they_were() {
    let mut tunnel = Tunnel::new(path(0), path(0));
    let habits = Habits {
        between_visits: 120_000,
        between_keys: 60_000,
        renewal: HOUR,
    };
    let mut life = Life::new(&mut tunnel, habits);
    let mut memory = Vec::new();
    for _ in 0..8 {
        life.go_on(&mut tunnel, HOUR);
        life.calm_down(&mut tunnel);
        memory.push(memory_at_rest(&mut tunnel));
    }
    assert!(life.visited > 400, "{} visits", life.visited);
    assert_eq!(life.shown, life.pressed);
    assert!(life.pressed > 800, "{} keys", life.pressed);
    assert_eq!(tunnel.connection, 8, "renewals");
    assert!(memory[7] <= memory[0] + SLACK, "{memory:?}");
}
