//! Both ends against each other, on one clock, over a link that delays, loses, repeats and
//! reorders, with connections that go and come back. What arrives is compared with what was
//! written after every step.
//!
//! Everything about a run follows from its kind and seed. To repeat a failure, put those it names
//! into [`REGRESSIONS`], or call [`run_seed`] with them.

mod faults;
mod kms;
mod model;
mod pair;
mod scenario;
mod streams;
mod writer;

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use pair::Pair;
use scenario::Kind;
use scenario::Scenario;

/// Seeds that found something once.
const REGRESSIONS: [(Kind, u64); 5] = [
    (Kind::STDIO, 160),
    (Kind::ENCRYPTED_REQUIRED, 332),
    (Kind::ENCRYPTED_ABSENT, 386),
    (Kind::Command, 480),
    (Kind::MULTIPLEXED, 1026),
];
/// Seeds per kind of session.
const SEEDS: u64 = 120;
/// And of runs in which the client's connection is cut all the time.
const CUT_SEEDS: u64 = 40;

fn run_seed(kind: Kind, seed: u64) {
    run_scenario(Scenario::of(kind, seed));
}

fn run_scenario(scenario: Scenario) {
    let (kind, seed) = (scenario.kind, scenario.seed);
    let shown = format!("{scenario:#?}");
    let run = AssertUnwindSafe(|| Pair::new(scenario).run());
    assert!(
        catch_unwind(run).is_ok(),
        "seed {seed} of {kind:?} fails, see above; it stands for {shown}"
    );
}

fn run_kind(kind: Kind) {
    for seed in 0..SEEDS {
        run_seed(kind, seed);
    }
}

fn run_kinds_with_cuts(kinds: &[Kind]) {
    for kind in kinds {
        for seed in 0..CUT_SEEDS {
            run_scenario(Scenario::of(*kind, seed).with_cuts());
        }
    }
}

#[test]
fn what_was_fixed_stays_fixed() {
    for (kind, seed) in REGRESSIONS {
        run_seed(kind, seed);
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
fn a_port_session_over_stdio_loses_nothing() {
    run_kind(Kind::STDIO);
}

#[test]
fn one_connection_after_the_other_loses_nothing_and_hears_nothing_of_the_one_before() {
    run_kind(Kind::BASIC);
}

#[test]
fn multiplexed_streams_lose_nothing() {
    run_kind(Kind::MULTIPLEXED);
}

#[test]
fn a_terminal_whose_connection_is_cut_all_the_time_loses_and_doubles_nothing() {
    run_kinds_with_cuts(&[
        Kind::Shell,
        Kind::ENCRYPTED_ABSENT,
        Kind::ENCRYPTED_OFFERED,
        Kind::ENCRYPTED_REQUIRED,
        Kind::SilentCommand,
    ]);
}

#[test]
fn a_command_whose_connection_is_cut_all_the_time_loses_and_doubles_nothing() {
    run_kinds_with_cuts(&[Kind::Command]);
}

#[test]
fn ports_whose_connection_is_cut_all_the_time_lose_and_double_nothing() {
    run_kinds_with_cuts(&[Kind::STDIO, Kind::BASIC, Kind::MULTIPLEXED]);
}
