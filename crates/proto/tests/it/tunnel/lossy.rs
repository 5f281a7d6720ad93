//! A path that loses, repeats and reorders.

use std::time::Duration;

use super::Tunnel;
use crate::link::Faults;
use crate::support::clock::MS;

const UP: usize = 4_000_000;
const DOWN: usize = 1_000_000;

#[test]
fn four_megabytes_up_and_one_down_survive_a_bad_path_within_thirty_seconds() {
    let faults = Faults {
        delay: 20 * MS,
        lost: 10,
        repeated: 10,
        held: 10,
        ..Faults::default()
    };
    let mut tunnel = Tunnel::new(faults.clone(), faults);
    let began = tunnel.now;
    tunnel.exchange(UP, DOWN, Duration::from_secs(30));
    // Waiting for a timeout at every loss would take three seconds and more.
    let took = tunnel.now - began;
    assert!(took < Duration::from_secs(2), "{took:?}");
}
