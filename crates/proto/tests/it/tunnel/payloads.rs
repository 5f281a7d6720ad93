//! Payloads that grow, and channels that die of large ones.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Sent;
use super::Tunnel;
use super::data::Pattern;
use super::data::Sink;
use super::data::Source;
use crate::link::Bottleneck;
use crate::link::Faults;
use crate::support::clock::MS;

/// What every service takes.
const SAFE: usize = 1024;
const LARGEST: usize = 16 * 1024;
const UP: usize = 8_000_000;
const DOWN: usize = 500_000;

/// Transfers over a path of `rate` that dies of payloads beyond `cap`; gives what was sent.
fn transfer(rate: u32, cap: Option<usize>) -> Vec<Sent> {
    let path = Faults {
        delay: 10 * MS,
        bottleneck: Some(Bottleneck { rate, queue: rate }),
        ..Faults::default()
    };
    let mut tunnel = Tunnel::new(path.clone(), path);
    tunnel.payload_cap = cap;
    tunnel.sent = Some(Vec::new());
    tunnel.exchange(UP, DOWN, Duration::from_secs(120));
    tunnel.sent.unwrap()
}

#[test]
fn payloads_grow_to_sixteen_kib_on_a_path_that_takes_them() {
    let sent = transfer(20_000_000, None);
    let largest = sent.iter().map(|sent| sent.payload).max();
    assert_eq!(largest, Some(LARGEST));
    let tail = &sent[sent.len() / 2..];
    let large = tail.iter().filter(|sent| sent.payload == LARGEST).count();
    assert!(large * 10 > tail.len() * 9, "{large} of {}", tail.len());
}

#[test]
fn a_slow_path_is_not_held_by_one_payload() {
    let sent = transfer(200_000, None);
    let data = sent.iter().skip(sent.len() / 4);
    let largest = data.map(|sent| sent.payload).max().unwrap();
    assert!(largest < LARGEST, "{largest}");
}

#[test]
fn a_channel_that_died_of_a_payload_gets_no_large_one_again() {
    for cap in [1024, 1500, 2048, 5000, 8192, 16_000] {
        let sent = transfer(20_000_000, Some(cap));
        let deaths = sent.iter().filter(|sent| sent.payload > cap).count();
        assert_eq!(deaths, 1, "one attempt too large for {cap}");
        let (before, after): (Vec<&Sent>, Vec<&Sent>) =
            sent.iter().partition(|sent| sent.connection == 0);
        assert!(after.iter().all(|sent| sent.connection == 1), "{cap}");
        let known: BTreeSet<_> = before.iter().map(|sent| sent.number).collect();
        // What was on its way goes out again as it was: the channel had taken that size.
        let new = after.iter().filter(|sent| !known.contains(&sent.number));
        let largest = new.map(|sent| sent.payload).max();
        assert_eq!(largest, Some(SAFE), "after {cap}");
    }
}

#[test]
fn connections_that_break_while_payloads_grow_lose_nothing() {
    let path = Faults {
        delay: 10 * MS,
        ..Faults::default()
    };
    let mut tunnel = Tunnel::new(path.clone(), path);
    let pattern = Pattern::new(5);
    let id = tunnel.near().open().unwrap();
    let mut source = Source::new(&pattern, UP);
    let mut sink = Sink::new(&pattern);
    let mut deaths = 0;
    let done = tunnel.run(Duration::from_secs(60), |tunnel| {
        source.pump(tunnel.near(), id);
        if sink.at > deaths * UP / 50 && deaths < 5 && tunnel.back.is_none() {
            deaths += 1;
            tunnel.disconnect(100 * MS);
        }
        tunnel.far(id).is_some_and(|far| sink.pull(far, id))
    });
    assert!(done && deaths == 5, "{} of {UP}, {deaths}", sink.at);
    assert_eq!(sink.at, UP);
}
