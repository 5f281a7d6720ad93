//! One program that never reads, beside a hundred that do.

use std::time::Duration;

use ssm_session_proto::MAX_UNREAD;
use ssm_session_proto::Received;

use super::Tunnel;
use super::data::Pattern;
use super::data::Sink;
use super::data::Source;
use crate::link::Bottleneck;
use crate::link::Faults;
use crate::support::clock::MS;
use crate::support::memory::live;
use crate::support::memory::most;

const READERS: usize = 100;
/// Bytes for each reader, and for the one that never reads.
const EACH: usize = 100_000;
const DEAD: usize = 6_000_000;
/// What is under way, with all that both ends and the path need to keep it.
const BESIDES: usize = 2 * 1024 * 1024;

struct Outcome {
    /// Until the last reader had everything.
    took: Duration,
    most_memory: usize,
    memory_afterwards: usize,
}

fn download(dead: bool) -> Outcome {
    let path = Faults {
        delay: 20 * MS,
        bottleneck: Some(Bottleneck {
            rate: 5_000_000,
            queue: 500_000,
        }),
        ..Faults::default()
    };
    let mut tunnel = Tunnel::new(path.clone(), path);
    let pattern = Pattern::new(1);
    let mut unread = Source::new(&pattern, DEAD);
    let unread_id = tunnel.near().open().unwrap();
    let mut users: Vec<_> = (0..READERS)
        .map(|_| {
            let id = tunnel.near().open().unwrap();
            (id, Source::new(&pattern, EACH), Sink::new(&pattern))
        })
        .collect();
    let began = tunnel.now;
    let before = live();
    let mut took = Duration::ZERO;
    let most_memory = most(|| {
        let done = tunnel.run(Duration::from_secs(60), |tunnel| {
            if let Some(far) = tunnel.far(unread_id).filter(|_| dead) {
                unread.pump(far, unread_id);
            }
            let mut all = true;
            for (id, source, sink) in &mut users {
                all &= sink.pull(tunnel.near(), *id);
                match tunnel.far(*id) {
                    Some(far) => source.pump(far, *id),
                    None => all = false,
                }
            }
            all
        });
        assert!(done && users.iter().all(|(_, _, sink)| sink.at == EACH));
        took = tunnel.now - began;
        tunnel.run(Duration::from_secs(60), |tunnel| {
            if let Some(far) = tunnel.far(unread_id).filter(|_| dead) {
                unread.pump(far, unread_id);
            }
            false
        });
    });
    let memory_afterwards = live().saturating_sub(before);
    if dead {
        assert_eq!(tunnel.near().read(unread_id), Received::Overrun);
        assert_eq!(tunnel.near().read(unread_id), Received::Finished);
    }
    Outcome {
        took,
        most_memory,
        memory_afterwards,
    }
}

#[test]
fn a_program_that_never_reads_is_ended_and_a_hundred_others_are_as_fast_as_without_it() {
    let without = download(false);
    let with = download(true);
    let share = without.took.mul_f64(1.05);
    assert!(with.took <= share, "{:?} {:?}", with.took, without.took);
    let most = MAX_UNREAD + BESIDES;
    assert!(with.most_memory <= most, "{} bytes", with.most_memory);
    let left = with.memory_afterwards;
    assert!(left <= 1024 * 1024, "{left} bytes are held afterwards");
}
