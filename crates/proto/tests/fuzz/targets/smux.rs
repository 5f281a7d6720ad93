//! Either end of a multiplexed byte stream: any bytes of the peer, cut anywhere, between verbs
//! of its user.

mod model;

use std::time::Instant;

use bytes::Bytes;
use ssm_session_proto::MAX_STREAMS;
use ssm_session_proto::MAX_UNREAD_IN_ALL;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::MuxRole;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;

use self::model::Model;
use super::choices::Choices;
use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::memory::live;
use crate::support::smux::Command;
use crate::support::smux::encoded;

const OPERATIONS: usize = 400;
/// What an end without data holds: its queues, at the length they once had.
const EMPTY: usize = 600 * 1024;
/// What each operation may leave behind: a stream, events, a place in the schedule.
const EACH: usize = 2048;

struct End {
    role: MuxRole,
    mux: Mux,
    model: Model,
    now: Instant,
    /// The peer's bytes that did not arrive yet.
    wire: Vec<u8>,
    failed: bool,
}

/// The first byte says which end, and whether it keeps the connection alive; the rest are
/// operations.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let form = choices.byte();
    let role = match form % 2 {
        0 => MuxRole::Client,
        _ => MuxRole::Agent,
    };
    let before = live();
    let mut end = End {
        role,
        mux: Mux::new(role, form % 4 >= 2, epoch()),
        model: Model::new(role),
        now: epoch(),
        wire: Vec::new(),
        failed: false,
    };
    let mut operations = 0;
    while operations < OPERATIONS && !choices.is_done() {
        operations += 1;
        end.operate(&mut choices);
        end.check();
        let held = live() - before - end.model.bytes() - end.wire.capacity();
        let most = 2 * end.mux.unread() + EMPTY + operations * EACH + end.model.written();
        assert!(held <= most, "{held} bytes are held");
    }
    end.finish();
    drop(end);
    assert_eq!(live(), before, "bytes stay behind");
}

impl End {
    fn operate(&mut self, choices: &mut Choices<'_>) {
        let operation = choices.byte();
        match operation % 12 {
            0 | 1 => {
                let bytes = choices.take(usize::from(operation / 12));
                self.wire.extend(bytes);
                self.feed(self.wire.len());
            }
            2..=4 => {
                let command =
                    choices.of(&[Command::Syn, Command::Fin, Command::Push, Command::Nop]);
                let id = self.id(choices);
                let length = match (command, operation % 12) {
                    (Command::Push, 2) => usize::from(choices.word()),
                    (Command::Push, _) => choices.below(256),
                    _ => 0,
                };
                let data = self.model.next_data(length);
                self.wire.extend(encoded(command, id.0, &data));
                let cut = self.wire.len().saturating_sub(choices.below(12));
                self.feed(cut);
            }
            5 => self.open(),
            6 => {
                let id = self.id(choices);
                let data = vec![0; usize::from(choices.word())];
                let (room, length) = (self.mux.room(id), data.len());
                let taken = self.mux.write(id, data.into());
                assert_eq!(taken, room.min(length));
                self.model.on_written(taken);
            }
            7 => self.mux.finish(self.id(choices)),
            8 => {
                let id = self.id(choices);
                self.mux.abandon(id);
                self.model.on_abandoned(id);
            }
            9 => {
                let id = self.id(choices);
                for _ in 0..=choices.below(8) {
                    self.read(id);
                }
            }
            10 => self.transmit(64 + usize::from(choices.word()) % 40_000),
            _ => {
                self.now += MS * 100 * u32::from(choices.byte());
                if self.mux.poll_timeout().is_some_and(|at| at <= self.now) {
                    self.mux.handle_timeout(self.now);
                }
            }
        }
    }

    fn id(&self, choices: &mut Choices<'_>) -> StreamId {
        StreamId(u32::from(choices.byte() % 16))
    }

    /// The first `length` of the bytes that wait arrive.
    fn feed(&mut self, length: usize) {
        let rest = self.wire.split_off(length);
        let data = Bytes::copy_from_slice(&std::mem::replace(&mut self.wire, rest));
        self.model.on_arrived(&data);
        self.mux.handle_data(data, self.now);
    }

    fn open(&mut self) {
        let opened = self.mux.open();
        assert_eq!(
            opened.is_none(),
            self.failed || self.mux.failure().is_some()
        );
        if let Some(id) = opened {
            self.model.on_opened(id);
        }
    }

    /// Whether there was data.
    fn read(&mut self, id: StreamId) -> bool {
        let received = self.mux.read(id);
        if self.mux.failure().is_none() {
            self.model.on_read(id, &received);
        } else {
            assert_eq!(received, Received::Finished);
        }
        matches!(received, Received::Data(_))
    }

    fn transmit(&mut self, limit: usize) {
        while let Some(payload) = self.mux.poll_transmit(limit) {
            assert!(payload.len() <= limit);
            self.model.on_sent(&payload);
        }
    }

    fn check(&mut self) {
        while let Some(event) = self.mux.poll_event() {
            assert!(!self.failed, "{event:?} after the failure");
            match event {
                MuxEvent::Opened(id) => {
                    assert_eq!(self.role, MuxRole::Agent);
                    self.model.on_announced(id);
                }
                MuxEvent::Failed(error) => {
                    assert_eq!(self.mux.failure(), Some(error));
                    self.failed = true;
                }
                _ => {}
            }
        }
        assert_eq!(self.failed, self.mux.failure().is_some());
        assert!(self.mux.open_streams() <= MAX_STREAMS);
        assert!(self.mux.unread() <= MAX_UNREAD_IN_ALL);
        if self.failed {
            assert_eq!(self.mux.open(), None);
            assert_eq!(self.mux.open_streams() + self.mux.unread(), 0);
            assert_eq!(self.mux.poll_transmit(1024), None);
            assert_eq!(self.mux.poll_timeout(), None);
        }
    }

    /// Everything that is left to send goes, and what was received can be read.
    fn finish(&mut self) {
        self.transmit(1024);
        if !self.failed {
            self.model.check_all_is_sent();
        }
        for id in self.model.ids() {
            while self.read(id) {}
        }
        assert_eq!(self.mux.unread(), 0);
        self.check();
    }
}
