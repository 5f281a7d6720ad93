//! Runs the targets without a fuzzer.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;

use crate::support::random::Random;
use crate::targets;

/// Where the fuzzer keeps its inputs.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
/// Longest damaged copy.
const MAX_LENGTH: usize = 1024;

/// An input that was found, and its name.
type Input = (String, Vec<u8>);

fn corpus(target: &str) -> Vec<Input> {
    let folder = Path::new(CORPUS).join(target);
    let files = fs::read_dir(&folder).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "nothing in {}", folder.display());
    paths
        .iter()
        .map(|path| (path.display().to_string(), fs::read(path).unwrap()))
        .collect()
}

/// Every input as it is, then `damaged` copies.
fn replay(target: &str, run: fn(&[u8]), damaged: u64) {
    let inputs = corpus(target);
    for (name, data) in &inputs {
        check(run, data, name);
    }
    for seed in 0..damaged {
        let mut random = Random::new(seed);
        let data = damage(&inputs, &mut random);
        check(run, &data, &format!("seed {seed} of {target}"));
    }
}

fn check(run: fn(&[u8]), data: &[u8], name: &str) {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(data)));
    assert!(outcome.is_ok(), "{name} fails, see above: {data:02x?}");
}

/// Parts of two inputs, some bytes of which are altered, taken out or repeated.
fn damage(inputs: &[Input], random: &mut Random) -> Vec<u8> {
    let mut pick = || &inputs[random.below(inputs.len())].1;
    let (front, back) = (pick(), pick());
    let mut data = front[..random.below(front.len() + 1)].to_vec();
    data.extend(&back[random.below(back.len() + 1)..]);
    data.truncate(MAX_LENGTH);
    for _ in 0..=random.below(8) {
        let at = random.below(data.len() + 1);
        let until = (at + random.below(8)).min(data.len());
        match random.below(4) {
            0 => drop(data.drain(at..until)),
            1 => data.extend_from_within(at..until),
            2 => data.insert(at, random.byte()),
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    data
}

#[test]
fn any_bytes_are_a_message_that_is_written_as_it_is_read_or_none() {
    replay("frames", targets::frames, 3000);
}

#[test]
fn any_body_leaves_both_ends_working_or_ended_in_words() {
    replay("bodies", targets::bodies, 1000);
}

#[test]
fn any_bytes_and_verbs_leave_streams_whole_and_bounded_or_void() {
    replay("smux", targets::smux, 1000);
}

#[test]
fn any_operations_on_both_ends_lose_and_double_nothing() {
    replay("pair", targets::pair, 300);
}
