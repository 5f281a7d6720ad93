//! As many sessions as there is time for, 100,000 unless `SIM_SESSIONS` says otherwise. With
//! optimisation that takes minutes, in a build of its own beside the usual one:
//!
//! ```text
//! cargo test --config profile.dev.package.ssm-session-proto.opt-level=2 \
//!   -p ssm-session-proto --test it -- --ignored many_sessions
//! ```

use std::collections::BTreeMap;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::panic::catch_unwind;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;

use super::run_seed;
use super::scenario::Kind;
use super::variation::Variation;

/// Of so many seeds one is run with megabytes, or these would take more time than all others.
const SEEDS_PER_LARGE: u64 = 10;
/// Where the seeds begin, so that they are others than those of every test run.
const FIRST: u64 = 10_000;

/// How often each kind and variation was run, by their names, and what failed.
#[derive(Default)]
struct Tally {
    runs: BTreeMap<(String, String), u64>,
    failures: Vec<(Kind, Variation, u64)>,
}

impl Tally {
    fn run(&mut self, kind: Kind, variation: Variation, seed: u64) {
        let names = (format!("{kind:?}"), format!("{variation:?}"));
        *self.runs.entry(names).or_default() += 1;
        if catch_unwind(|| run_seed(kind, variation, seed)).is_err() {
            self.failures.push((kind, variation, seed));
        }
    }

    fn add(&mut self, other: Self) {
        for (names, runs) in other.runs {
            *self.runs.entry(names).or_default() += runs;
        }
        self.failures.extend(other.failures);
    }

    /// One line for each kind and variation, and one for all.
    fn report(&self) -> String {
        let lines = self
            .runs
            .iter()
            .map(|((kind, variation), runs)| format!("{runs:>7} {kind}, {variation}\n"));
        let total: u64 = self.runs.values().sum();
        let failures = &self.failures;
        let lines: String = lines.collect();
        format!(
            "\n{lines}{total:>7} sessions, {} failed {failures:?}\n",
            failures.len()
        )
    }
}

/// The session of this number: kinds and variations take turns.
fn session(number: u64) -> (Kind, Variation, u64) {
    let kinds = u64::try_from(Kind::ALL.len()).unwrap();
    let variations = u64::try_from(Variation::ALL.len()).unwrap();
    let kind = Kind::ALL[usize::try_from(number % kinds).unwrap()];
    let round = number / kinds;
    let variation = Variation::ALL[usize::try_from(round % variations).unwrap()];
    let seed = FIRST + round / variations;
    if variation == Variation::Large && !seed.is_multiple_of(SEEDS_PER_LARGE) {
        // Another than those that have their turn.
        return (kind, Variation::Everything, seed + (1 << 32));
    }
    (kind, variation, seed)
}

#[test]
#[ignore = "takes minutes"]
fn many_sessions_lose_nothing() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how many is for whoever starts the tests to say"
    )]
    let sessions = std::env::var("SIM_SESSIONS").map_or(100_000, |sessions| {
        sessions.parse().expect("SIM_SESSIONS is a number")
    });
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut tally = Tally::default();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= sessions {
                            return tally;
                        }
                        let (kind, variation, seed) = session(number);
                        tally.run(kind, variation, seed);
                    }
                })
            })
            .collect();
        for worker in workers {
            tally.add(worker.join().unwrap());
        }
    });
    // Around the test program's capture: the count is what it is run for.
    let report = tally.report();
    std::io::stderr().write_all(report.as_bytes()).unwrap();
    assert!(tally.failures.is_empty());
}
