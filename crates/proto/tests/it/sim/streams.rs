//! The connections of a multiplexed session: what each is to do, and what has become of it.

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use ssm_session_proto::MAX_UNREAD;
use ssm_session_proto::Mux;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;

use super::model::Flow;
use super::writer::Writer;
use crate::link::up_to;
use crate::support::clock::MS;
use crate::support::random::Random;

/// A connection to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// After the session's beginning.
    pub(super) opens: Duration,
    near: PartyPlan,
    far: PartyPlan,
}

#[derive(Clone, Copy, Debug)]
struct PartyPlan {
    bytes: usize,
    pace: Duration,
    /// Between two reads; whoever leaves never reads.
    reads_every: Duration,
    ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    WhenWritten,
    /// And when the peer has.
    WhenPeerHas,
    /// Reads nothing, and is gone so long after its beginning.
    Leaves(Duration),
}

impl Plan {
    /// Of at most `largest` bytes each way.
    pub(super) fn random(random: &mut Random, largest: usize) -> Self {
        let mut plan = Self {
            opens: up_to(random, 4000),
            near: PartyPlan::random(random, largest),
            far: PartyPlan::random(random, largest),
        };
        if plan.near.ends == Ends::WhenPeerHas && plan.far.ends == Ends::WhenPeerHas {
            plan.far.ends = Ends::WhenWritten;
        }
        plan
    }

    /// Nobody waits for anything but the path.
    pub(super) fn without_delay(mut self) -> Self {
        for party in [&mut self.near, &mut self.far] {
            party.reads_every = Duration::ZERO;
            if let Ends::Leaves(_) = party.ends {
                party.ends = Ends::WhenWritten;
            }
        }
        self
    }
}

impl PartyPlan {
    fn random(random: &mut Random, largest: usize) -> Self {
        let digits = u32::try_from(random.below(8)).unwrap();
        let bytes = random.below(10_usize.pow(digits)).min(largest);
        let ends = match random.below(10) {
            0 => Ends::Leaves(up_to(random, 3000)),
            1..=4 => Ends::WhenPeerHas,
            _ => Ends::WhenWritten,
        };
        let slow = if random.chance(200) { 20 } else { 0 };
        Self {
            bytes,
            pace: if bytes > 100_000 {
                MS
            } else {
                up_to(random, 5)
            },
            reads_every: up_to(random, slow),
            ends,
        }
    }
}

/// A connection.
pub(super) struct Conversation {
    pub(super) near: Party,
    pub(super) far: Party,
}

impl Conversation {
    pub(super) fn new(plan: &Plan, random: &mut Random) -> Self {
        Self {
            near: Party::new(plan.near, random),
            far: Party::new(plan.far, random),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.near.is_over() && self.far.is_over()
    }
}

/// Who uses one end of a stream.
pub(super) struct Party {
    plan: PartyPlan,
    writer: Writer,
    written: Flow,
    /// When it leaves, once it is there.
    leaves: Option<Instant>,
    /// Whether there is something to read, and not before when.
    readable: bool,
    /// It was told a second time, which can only be for an overrun.
    told_again: bool,
    reads_at: Option<Instant>,
    has_ended: bool,
    has_heard_end: bool,
    /// It was ended for reading too little.
    overrun: bool,
}

impl Party {
    fn new(plan: PartyPlan, random: &mut Random) -> Self {
        Self {
            plan,
            writer: Writer::new(plan.bytes, 20_000, plan.pace, Random::new(random.next())),
            written: Flow::default(),
            leaves: None,
            readable: false,
            told_again: false,
            reads_at: None,
            has_ended: false,
            has_heard_end: false,
            overrun: false,
        }
    }

    /// The stream is there.
    pub(super) fn begin(&mut self, now: Instant) {
        self.writer.wake(now);
        if let Ends::Leaves(after) = self.plan.ends {
            self.leaves = Some(now + after);
        }
    }

    pub(super) fn on_readable(&mut self, now: Instant) {
        if self.has_left() {
            return; // It was told the moment it left.
        }
        assert!(!self.has_heard_end && !self.told_again, "told too often");
        self.told_again = std::mem::replace(&mut self.readable, true);
        self.reads_at.get_or_insert(now);
    }

    pub(super) fn on_writable(&mut self, now: Instant) {
        self.writer.wake(now);
    }

    /// Neither writes nor reads any more.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended && self.has_heard_end
    }

    /// Whether there is anything left to write to or read from `peer`.
    pub(super) fn needs_stream(&self, peer: &Self) -> bool {
        let heard = self.has_heard_end || (peer.has_ended && peer.written.is_complete());
        !self.has_ended || !heard
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let writes = self.writer.next().filter(|_| !self.has_ended);
        let reads = self.reads_at.filter(|_| self.may_read());
        writes.into_iter().chain(reads).chain(self.leaves).min()
    }

    /// Does what is due; `peer` is at the other end of the stream.
    pub(super) fn act(&mut self, mux: &mut Mux, id: StreamId, peer: &mut Self, now: Instant) {
        if self.leaves.take_if(|at| *at <= now).is_some() {
            mux.abandon(id);
            self.has_ended = true;
            self.has_heard_end = true;
        }
        while !self.has_ended
            && let Some(piece) = self.writer.piece(now)
        {
            let room = mux.room(id);
            let taken = mux.write(id, Bytes::copy_from_slice(&piece));
            assert_eq!(taken, room.min(piece.len()), "stream {id}");
            self.writer.wrote(taken, piece.len(), now);
            self.written.write(&piece[..taken]);
        }
        while self.may_read() && self.reads_at.is_some_and(|at| at <= now) {
            self.read(mux, id, peer, now);
        }
        let ends = match self.plan.ends {
            Ends::WhenWritten => self.writer.is_done(),
            Ends::WhenPeerHas => self.writer.is_done() && self.has_heard_end,
            Ends::Leaves(_) => false,
        };
        if ends && !self.has_ended {
            mux.finish(id);
            self.has_ended = true;
        }
    }

    fn has_left(&self) -> bool {
        self.has_ended && !self.reads()
    }

    fn may_read(&self) -> bool {
        self.readable && self.reads()
    }

    /// It reads late or never, and has yet to hear that this cost it the stream.
    fn may_be_overrun_by(&self, writer: &Self) -> bool {
        let reads_late = self.plan.reads_every > Duration::ZERO || !self.reads();
        let (heard, written) = writer.written.progress();
        // What waits counts more than its bytes, in small pieces up to this much more.
        reads_late && written - heard > MAX_UNREAD / 4
    }

    fn reads(&self) -> bool {
        !matches!(self.plan.ends, Ends::Leaves(_))
    }

    fn read(&mut self, mux: &mut Mux, id: StreamId, peer: &mut Self, now: Instant) {
        self.reads_at = Some(now + self.plan.reads_every);
        let received = mux.read(id);
        assert!(!self.told_again || received == Received::Overrun);
        match received {
            Received::Data(data) => {
                assert!(!data.is_empty());
                peer.written.arrive("a stream", &data);
            }
            Received::Pending => self.readable = false,
            Received::Finished => {
                let overrun = peer.overrun || peer.may_be_overrun_by(self);
                let made = peer.has_ended || overrun;
                assert!(made, "stream {id} has an end that nobody made");
                let whole = peer.written.is_complete() || overrun;
                assert!(whole, "stream {id} ended early");
                self.readable = false;
                self.has_heard_end = true;
            }
            Received::Overrun => {
                assert!(
                    self.may_be_overrun_by(peer),
                    "stream {id} was overrun: {} by {}",
                    self.progress(),
                    peer.progress()
                );
                self.readable = false;
                self.has_ended = true;
                self.has_heard_end = true;
                self.overrun = true;
            }
        }
    }

    /// How far it is, for failures.
    pub(super) fn progress(&self) -> String {
        let Self {
            has_ended,
            has_heard_end,
            ..
        } = self;
        format!(
            "{:?} {:?} ended {has_ended} heard the end {has_heard_end}",
            self.plan,
            self.written.progress()
        )
    }
}
