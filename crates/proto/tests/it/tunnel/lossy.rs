//! A path that loses, repeats and reorders.

use std::time::Duration;

use super::Tunnel;
use super::data::Pattern;
use super::data::Sink;
use super::data::Source;
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
    let (up, down) = (Pattern::new(1), Pattern::new(2));
    let id = tunnel.near().open().unwrap();
    let mut user = (Source::new(&up, UP), Sink::new(&down));
    let mut server = (Source::new(&down, DOWN), Sink::new(&up));
    let began = tunnel.now;
    let done = tunnel.run(Duration::from_secs(30), |tunnel| {
        user.0.pump(tunnel.near(), id);
        let heard = user.1.pull(tunnel.near(), id);
        let Some(far) = tunnel.far(id) else {
            return false;
        };
        server.0.pump(far, id);
        server.1.pull(far, id) & heard
    });
    assert!(
        done,
        "{} of {UP} up, {} of {DOWN} down",
        server.1.at, user.1.at
    );
    assert_eq!((server.1.at, user.1.at), (UP, DOWN));
    // Waiting for a timeout at every loss would take three seconds and more.
    let took = tunnel.now - began;
    assert!(took < Duration::from_secs(2), "{took:?}");
}
