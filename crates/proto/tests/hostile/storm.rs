//! Damaged messages, thousands of them, in every state of a session.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use ssm_session_proto::Frame;
use ssm_session_proto::Message;

use crate::corruption::damaged;
use crate::subject::Agent;
use crate::subject::Client;
use crate::subject::Subject;
use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::memory::live;
use crate::support::random::Random;
use crate::support::recording;
use crate::support::recording::Recording;
use crate::support::recording::decoded;

/// Sessions per recording, and damaged messages per session: more than 10,000 for each end.
const SESSIONS: u64 = 60;
const DAMAGED: usize = 24;
/// What a session may hold: messages that came early, and its own state.
const MAX_BYTES: usize = 64 * 1024;

/// Brings a session up to some point, damages what follows, and sees whether it still works.
fn session<S: Subject>(recording: &Recording, seed: u64) {
    let mut random = Random::new(seed);
    let peer = recording.frames.iter().filter(|(from, _)| *from == S::PEER);
    let good: Vec<Message> = peer.filter_map(|(_, frame)| decoded(frame)).collect();
    let before = live();
    let mut subject = S::new(recording, random.seed());
    let mut now = epoch();
    for message in &good[..random.below(good.len() + 1)] {
        now += MS;
        let message = subject.adapt(message.clone());
        subject.feed(&Frame::Binary(message.encode()), now);
    }
    for _ in 0..DAMAGED {
        now += MS * (1 + u32::from(random.byte()));
        let message = subject.adapt(good[random.below(good.len())].clone());
        subject.feed(&damaged(&message, &mut random), now);
    }
    if !subject.is_over() {
        subject.check_works(now);
    }
    let held = live() - before;
    assert!(held <= MAX_BYTES, "{held} bytes are held");
    drop(subject);
    assert_eq!(live(), before, "bytes stay behind");
}

fn all<S: Subject>() {
    for recording in recording::all() {
        for seed in 0..SESSIONS {
            let run = AssertUnwindSafe(|| session::<S>(&recording, seed));
            assert!(
                catch_unwind(run).is_ok(),
                "{} with seed {seed} fails, see above",
                recording.name
            );
        }
    }
}

#[test]
fn a_client_survives_damaged_messages() {
    all::<Client>();
}

#[test]
fn an_agent_survives_damaged_messages() {
    all::<Agent>();
}
