//! Either end, brought up by the frames of a recorded session, and what must still work after
//! it was ill-treated.

mod agent;
mod client;

use std::time::Instant;

pub(crate) use agent::Agent;
pub(crate) use client::Client;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::PayloadType;

use crate::support::ends::End;
use crate::support::ends::Sent;
use crate::support::recording::Recording;
use crate::support::recording::Sender;
use crate::support::wire;

/// A payload type that nobody knows: every end in every state acknowledges and ignores it.
const UNKNOWN: PayloadType = PayloadType(99);
/// Numbers that recorded and damaged messages take at the most, but for those far ahead.
const PROBES: i64 = 40;

pub(crate) trait Subject: Sized {
    /// Who talks to this end, and how its stream messages are called.
    const PEER: Sender;
    const PEERS_DATA: MessageType;

    fn new(recording: &Recording, seed: [u8; 32]) -> Self;
    /// Takes in a frame, answers every question, and drops what there is to send.
    fn feed(&mut self, frame: &Frame, now: Instant);
    /// The peer's good frame, as far as it has to fit what this end said before.
    fn adapt(&self, message: Message) -> Message {
        message
    }
    /// Whether the session is over. Fails if it is for a reason that damage does not explain.
    fn is_over(&self) -> bool;
    /// The bytes that came out last, if the session is so far that bytes come out at all.
    fn arrived(&self) -> Option<&[u8]>;
    /// Bytes as the peer of an established session sends them.
    fn sealed(&self, plain: &[u8]) -> Vec<u8>;
    /// The numbers acknowledged since the last call.
    fn acknowledged(&mut self) -> Vec<i64>;

    /// Good messages are acknowledged, whatever came before, and data arrives.
    fn check_works(&mut self, now: Instant) {
        self.acknowledged();
        for number in 0..PROBES {
            let probe = wire::frame(Self::PEERS_DATA, number, UNKNOWN, "");
            self.feed(&probe, now);
            if self.is_over() {
                return; // A damaged message that had come early was next.
            }
            assert_eq!(self.acknowledged(), [number]);
        }
        if self.arrived().is_some() {
            let data = self.sealed(b"still here");
            let frame = wire::frame(Self::PEERS_DATA, PROBES, PayloadType::OUTPUT, data);
            self.feed(&frame, now);
            assert_eq!(self.arrived(), Some(&b"still here"[..]));
        }
    }
}

/// Lets an end have the timeouts that are due.
fn pass(end: &mut impl End, now: Instant) {
    if end.timeout().is_some_and(|at| at <= now) {
        end.time(now);
    }
}

/// Numbers of the acknowledgements that an end has to send; the rest is dropped.
fn acknowledged(end: &mut impl End, now: Instant) -> Vec<i64> {
    let mut sent = Sent::default();
    sent.drain(end, now);
    sent.acknowledged
        .iter()
        .map(|(_, number)| *number)
        .collect()
}
