//! Both ends against each other, on one clock, over a link that delays, loses, repeats and
//! reorders, with connections that go and come back. What arrives is compared with what was
//! written after every step.
//!
//! Everything about a run follows from its kind, its variation and its seed. To repeat a failure,
//! put those it names into [`REGRESSIONS`], or call [`run_seed`] with them.

mod faults;
mod kms;
mod many;
mod model;
mod pair;
mod scenario;
mod streams;
mod variation;
mod writer;

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use pair::Pair;
use scenario::Kind;
use scenario::Scenario;
use variation::Variation;

/// Seeds that found something once.
const REGRESSIONS: [(Kind, Variation, u64); 7] = [
    (Kind::STDIO, Variation::Plain, 160),
    (Kind::ENCRYPTED_REQUIRED, Variation::Plain, 332),
    (Kind::ENCRYPTED_ABSENT, Variation::Plain, 386),
    (Kind::Command, Variation::Plain, 480),
    (Kind::MULTIPLEXED, Variation::Plain, 1026),
    (Kind::ENCRYPTED_ABSENT, Variation::Everything, 33),
    (Kind::MULTIPLEXED, Variation::Large, 10160),
];
/// Seeds per kind of session.
const SEEDS: u64 = 120;
/// And per kind of each variation.
const VARIED_SEEDS: u64 = 40;
/// Megabytes take their time.
const LARGE_SEEDS: u64 = 4;

fn run_seed(kind: Kind, variation: Variation, seed: u64) {
    let scenario = Scenario::of(kind, variation, seed);
    let shown = format!("{scenario:#?}");
    let run = AssertUnwindSafe(|| Pair::new(scenario).run());
    assert!(
        catch_unwind(run).is_ok(),
        "seed {seed} of {kind:?}, {variation:?} fails, see above; it stands for {shown}"
    );
}

fn run_kind(kind: Kind) {
    for seed in 0..SEEDS {
        run_seed(kind, Variation::Plain, seed);
    }
}

fn run_variation(variation: Variation) {
    run_variation_of(&Kind::ALL, variation);
}

fn run_variation_of(kinds: &[Kind], variation: Variation) {
    let seeds = match variation {
        Variation::Large => LARGE_SEEDS,
        _ => VARIED_SEEDS,
    };
    for kind in kinds {
        for seed in 0..seeds {
            run_seed(*kind, variation, seed);
        }
    }
}

#[test]
fn what_was_fixed_stays_fixed() {
    for (kind, variation, seed) in REGRESSIONS {
        run_seed(kind, variation, seed);
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
    let terminals = Kind::ALL.into_iter().filter(|kind| kind.has_terminal());
    run_variation_of(&terminals.collect::<Vec<_>>(), Variation::Cuts);
}

#[test]
fn a_command_whose_connection_is_cut_all_the_time_loses_and_doubles_nothing() {
    run_variation_of(&[Kind::Command], Variation::Cuts);
}

#[test]
fn ports_whose_connection_is_cut_all_the_time_lose_and_double_nothing() {
    run_variation_of(
        &[Kind::STDIO, Kind::BASIC, Kind::MULTIPLEXED],
        Variation::Cuts,
    );
}

#[test]
fn connections_that_are_cut_in_the_midst_of_a_handshake_lose_and_double_nothing() {
    run_variation(Variation::EarlyCuts);
}

#[test]
fn an_agent_that_repeats_only_its_oldest_message_loses_nothing() {
    run_variation(Variation::AwsAgent);
}

#[test]
fn an_agent_that_repeats_only_its_oldest_message_to_a_client_cut_off_all_the_time_loses_nothing() {
    run_variation(Variation::AwsAgentCuts);
}

#[test]
fn ends_that_stand_still_and_whoever_does_not_read_for_a_while_lose_nothing() {
    run_variation(Variation::Standstills);
}

#[test]
fn pauses_without_cause_and_without_end_lose_nothing() {
    run_variation(Variation::Pauses);
}

#[test]
fn megabytes_lose_nothing() {
    run_variation(Variation::Large);
}

#[test]
fn all_of_it_at_once_loses_nothing() {
    run_variation(Variation::Everything);
}
