//! A path that takes 500 kB/s and has a queue for seconds of it.

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
use crate::support::clock::MS;
use crate::support::random::Random;

const RATE: u32 = 500_000;
const SECONDS: u32 = 30;

fn throttled() -> Faults {
    Faults {
        delay: 20 * MS,
        jitter: 5 * MS,
        bottleneck: Some(Bottleneck {
            rate: RATE,
            queue: 4 * RATE,
        }),
        ..Faults::default()
    }
}

/// Someone who presses keys one at a time and waits for each to be shown.
struct Typist {
    id: StreamId,
    random: Random,
    next: Instant,
    pressed: Option<Instant>,
    round_trips: Vec<Duration>,
}

impl Typist {
    fn new(tunnel: &mut Tunnel) -> Self {
        Self {
            id: tunnel.near().open().unwrap(),
            random: Random::new(7),
            next: tunnel.now,
            pressed: None,
            round_trips: Vec::new(),
        }
    }

    fn act(&mut self, tunnel: &mut Tunnel) {
        let (id, now) = (self.id, tunnel.now);
        if let Some(far) = tunnel.far(id) {
            while let Received::Data(keys) = far.read(id) {
                assert_eq!(far.write(id, keys), 1);
            }
        }
        if let Received::Data(shown) = tunnel.near().read(id) {
            assert_eq!(&shown[..], b"k");
            self.round_trips.push(now - self.pressed.take().unwrap());
            self.next = now + MS * u32::try_from(50 + self.random.below(200)).unwrap();
        }
        if self.pressed.is_none() && self.next <= now {
            assert_eq!(tunnel.near().write(id, Bytes::from_static(b"k")), 1);
            self.pressed = Some(now);
        }
        tunnel.alarm = Some(self.next);
    }

    fn percentile(&mut self, percent: usize) -> Duration {
        self.round_trips.sort();
        self.round_trips[self.round_trips.len() * percent / 100]
    }
}

/// How much of the path uploads use, and how long keystrokes take beside them.
fn measure(uploads: usize) -> (f64, Typist) {
    let mut tunnel = Tunnel::new(throttled(), throttled());
    let mut typist = Typist::new(&mut tunnel);
    let patterns: Vec<_> = (0..4).map(Pattern::new).collect();
    let mut users: Vec<_> = (0..uploads)
        .map(|n| {
            let pattern = &patterns[n % patterns.len()];
            let id = tunnel.near().open().unwrap();
            let source = Source::new(pattern, usize::MAX);
            (id, source, Sink::new(pattern))
        })
        .collect();
    tunnel.run(Duration::from_secs(u64::from(SECONDS)), |tunnel| {
        for (id, source, sink) in &mut users {
            source.pump(tunnel.near(), *id);
            if let Some(far) = tunnel.far(*id) {
                sink.pull(far, *id);
            }
        }
        typist.act(tunnel);
        false
    });
    let arrived: usize = users.iter().map(|(_, _, sink)| sink.at).sum();
    let arrived = f64::from(u32::try_from(arrived).unwrap());
    (arrived / f64::from(RATE * SECONDS), typist)
}

#[test]
fn a_bulk_upload_uses_the_path_and_leaves_keystrokes_quick() {
    for uploads in [1, 20] {
        let (used, mut typist) = measure(uploads);
        assert!(typist.round_trips.len() > 50);
        let p90 = typist.percentile(90);
        assert!(used >= 0.85, "{uploads} uploads use {used} of the path");
        assert!(p90 < 300 * MS, "{uploads} uploads: {p90:?}");
    }
}
