//! What is measured of a path.

use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::path::Connection;
use crate::path::Path;
use crate::server::DOWNLOAD;
use crate::server::ECHO;
use crate::server::PIECE;
use crate::server::UPLOAD;

/// Bytes that are asked for or acknowledged at once.
const BLOCK: usize = 32_000_000;
const BULK: Duration = Duration::from_millis(700);
const WARM_UP: usize = BLOCK / 2;
const MANY: usize = 100;
const OF_EACH: usize = 1_000_000;
const PINGS: usize = 1000;
const PINGS_BESIDE_BULK: usize = 200;
const BESIDE_BULK: Duration = Duration::from_millis(500);
const OPENING: Duration = Duration::from_millis(400);

#[derive(Clone, Copy)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// Bytes through a path.
#[derive(Clone, Copy)]
pub(crate) struct Bulk {
    /// MB/s.
    pub(crate) rate: f64,
    /// Seconds of processor time per GB, of the plugin or what stands in its place.
    pub(crate) near: f64,
    /// Of all four processes.
    pub(crate) all: f64,
}

/// Microseconds of round trips.
#[derive(Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

/// One connection, for a while.
pub(crate) fn bulk(path: &Path<'_>, direction: Direction) -> Bulk {
    let mut connection = path.connect();
    connection.transfer(direction, WARM_UP);
    let before = path.cpu();
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < BULK {
        connection.transfer(direction, BLOCK);
        bytes += BLOCK;
    }
    let took = start.elapsed();
    let after = path.cpu();
    let per_gb = |cpu: Duration| cpu.as_secs_f64() * 1e9 / bytes as f64;
    Bulk {
        rate: rate(bytes, took),
        near: per_gb(after.near.saturating_sub(before.near)),
        all: per_gb(after.all.saturating_sub(before.all)),
    }
}

/// As many connections at once; MB/s of all together.
pub(crate) fn many(path: &Path<'_>, direction: Direction) -> f64 {
    let ready = Barrier::new(MANY + 1);
    let start = std::thread::scope(|scope| {
        for _ in 0..MANY {
            let mut connection = path.connect();
            connection.echo();
            let ready = &ready;
            scope.spawn(move || {
                ready.wait();
                connection.transfer(direction, OF_EACH);
            });
        }
        ready.wait();
        Instant::now()
    });
    rate(MANY * OF_EACH, start.elapsed())
}

/// Bytes there and back, one at a time.
pub(crate) fn latency(path: &Path<'_>) -> Latency {
    let mut connection = path.connect();
    for _ in 0..PINGS / 10 {
        connection.echo();
    }
    quantiles((0..PINGS).map(|_| connection.echo()).collect())
}

/// The same, while another connection sends all it can.
pub(crate) fn latency_beside_bulk(path: &Path<'_>) -> Latency {
    let over = AtomicBool::new(false);
    let mut pinging = path.connect();
    pinging.echo();
    let mut sending = path.connect();
    sending.transfer(Direction::Up, WARM_UP);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                sending.transfer(Direction::Up, BLOCK);
            }
        });
        let start = Instant::now();
        let mut times = Vec::new();
        while times.len() < PINGS_BESIDE_BULK && start.elapsed() < BESIDE_BULK {
            times.push(pinging.echo());
        }
        over.store(true, Ordering::Relaxed);
        quantiles(times)
    })
}

/// Connections a second, each opened for one byte there and back, one after the other.
pub(crate) fn openings(path: &Path<'_>) -> f64 {
    path.connect().echo();
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < OPENING {
        path.connect().echo();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

impl Connection {
    fn transfer(&mut self, direction: Direction, bytes: usize) {
        let mut buffer = vec![b'x'; PIECE];
        let length = u64::try_from(bytes).expect("a usize is no more than 64 bits");
        self.send(&[match direction {
            Direction::Up => UPLOAD,
            Direction::Down => DOWNLOAD,
        }]);
        self.send(&length.to_be_bytes());
        let mut left = bytes;
        while left > 0 {
            let piece = &mut buffer[..left.min(PIECE)];
            match direction {
                Direction::Up => self.send(piece),
                Direction::Down => self.receive(piece),
            }
            left -= piece.len();
        }
        if let Direction::Up = direction {
            self.receive(&mut [0]);
        }
    }

    fn echo(&mut self) -> Duration {
        let start = Instant::now();
        self.send(&[ECHO]);
        self.receive(&mut [0]);
        start.elapsed()
    }
}

fn rate(bytes: usize, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

fn quantiles(mut times: Vec<Duration>) -> Latency {
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
    Latency {
        median: at(50),
        p90: at(90),
    }
}
