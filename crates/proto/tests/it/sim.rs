//! Both ends against each other, on one clock, over a link that delays, loses, repeats and
//! reorders, with connections that go and come back. What arrives is compared with what was
//! written after every step.
//!
//! Everything about a run follows from its seed. To repeat a failure, put the seed it names into
//! [`REGRESSIONS`], or call [`run_seed`] with it.

mod faults;
mod kms;
mod link;
mod model;
mod pair;
mod scenario;
mod writer;

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use pair::Pair;
use scenario::Kind;
use scenario::Scenario;

/// Seeds that found something once.
const REGRESSIONS: [u64; 4] = [160, 332, 386, 480];
/// Seeds per kind of session.
const SEEDS: u64 = 120;

fn run_seed(seed: u64) {
    let scenario = Scenario::of(seed);
    let shown = format!("{scenario:#?}");
    let run = AssertUnwindSafe(|| Pair::new(scenario).run());
    assert!(
        catch_unwind(run).is_ok(),
        "seed {seed} fails, see above; it stands for {shown}"
    );
}

fn run_kind(kind: Kind) {
    let kinds = u64::try_from(Kind::ALL.len()).unwrap();
    let offset = Kind::ALL.iter().position(|k| *k == kind).unwrap();
    let offset = u64::try_from(offset).unwrap();
    for n in 0..SEEDS {
        run_seed(n * kinds + offset);
    }
}

#[test]
fn what_was_fixed_stays_fixed() {
    for seed in REGRESSIONS {
        run_seed(seed);
    }
}

#[test]
fn a_shell_without_handshake_loses_nothing() {
    run_kind(Kind::Shell);
}

#[test]
fn a_shell_encrypted_without_challenge_loses_nothing() {
    run_kind(Kind::ENCRYPTED_ABSENT);
}

#[test]
fn a_shell_encrypted_with_an_offered_challenge_loses_nothing() {
    run_kind(Kind::ENCRYPTED_OFFERED);
}

#[test]
fn a_shell_encrypted_with_a_required_challenge_loses_nothing() {
    run_kind(Kind::ENCRYPTED_REQUIRED);
}

#[test]
fn a_command_with_separate_streams_loses_nothing_and_its_exit_code_comes_last() {
    run_kind(Kind::Command);
}

#[test]
fn a_command_that_is_silent_until_it_has_read_its_input_gets_it() {
    run_kind(Kind::SilentCommand);
}

#[test]
fn a_port_session_loses_nothing() {
    run_kind(Kind::Port);
}
