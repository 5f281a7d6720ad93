//! What a connection is joined with: a stream of a multiplexed session, or the only link of a
//! basic one.

use std::collections::VecDeque;

use bytes::Buf as _;
use bytes::Bytes;
use ssm_session_proto::ClientSession;
use ssm_session_proto::Mux;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;
use tokio::time::Instant;

use super::PIECE_COST;

/// Input taken from the program at a time in a basic session.
const LINK_ROOM: usize = 16 * 1024;
/// Output that may wait in a basic session for the connection it is for, each piece counted as
/// [`PIECE_COST`] more. From there on nothing more is read from the network.
const MAX_RECEIVED: usize = 256 * 1024;

/// The far end of one connection.
pub(super) trait FarEnd {
    /// Bytes that [`write`](Self::write) may be given now. When it is 0 the connection's bell
    /// rings later.
    fn room(&self) -> usize;

    fn write(&mut self, data: Bytes);

    fn read(&mut self) -> Received;

    /// Tells the far end that no more is sent, behind what was written.
    fn finish(&mut self);

    /// The same, and what it still sends is for nobody.
    fn abandon(&mut self);
}

/// What a connection without a far end has.
pub(super) struct Nowhere;

impl FarEnd for Nowhere {
    fn room(&self) -> usize {
        0
    }

    fn write(&mut self, _: Bytes) {}

    fn read(&mut self) -> Received {
        Received::Pending
    }

    fn finish(&mut self) {}

    fn abandon(&mut self) {}
}

/// A stream of a multiplexed session.
pub(super) struct StreamEnd<'a> {
    pub(super) mux: &'a mut Mux,
    pub(super) id: StreamId,
}

impl FarEnd for StreamEnd<'_> {
    fn room(&self) -> usize {
        self.mux.room(self.id)
    }

    fn write(&mut self, data: Bytes) {
        let length = data.len();
        let taken = self.mux.write(self.id, data);
        debug_assert_eq!(taken, length, "no more is written than there is room for");
    }

    fn read(&mut self) -> Received {
        self.mux.read(self.id)
    }

    fn finish(&mut self) {
        self.mux.finish(self.id);
    }

    fn abandon(&mut self) {
        self.mux.abandon(self.id);
    }
}

/// The one connection at a time of a basic session (docs/PROTOCOL.md 7.5), and what waits in
/// both directions of it.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The connection whose turn it is.
    holder: Option<u32>,
    /// What the far end sent; perhaps before any program connected.
    received: VecDeque<Bytes>,
    received_bytes: usize,
    /// What the machine has not accepted of the last write.
    unwritten: Bytes,
    end: End,
}

/// How far the end of the holder's turn is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    NotYet,
    /// What was written has to go first.
    Wanted,
    /// The agent has been told to close its connection.
    Told,
}

impl Link {
    /// Whether the next connection may have its turn.
    pub(super) fn is_free(&self) -> bool {
        self.holder.is_none()
    }

    pub(super) fn begin(&mut self, holder: u32) {
        self.holder = Some(holder);
    }

    pub(super) fn holder(&self) -> Option<u32> {
        self.holder
    }

    /// Whether nothing more should be read from the network until the program reads.
    pub(super) fn is_full(&self) -> bool {
        self.received_bytes + self.received.len() * PIECE_COST >= MAX_RECEIVED
    }

    pub(super) fn receive(&mut self, data: Bytes) {
        if self.end == End::NotYet {
            self.received_bytes += data.len();
            self.received.push_back(data);
        }
    }

    /// Gives the machine what waits for it. True if the holder may go on writing because of it.
    pub(super) fn flush(&mut self, machine: &mut ClientSession, now: Instant) -> bool {
        let waited = !self.unwritten.is_empty();
        if waited {
            let taken = machine.write(&self.unwritten, now.into_std());
            self.unwritten.advance(taken);
        }
        if self.unwritten.is_empty() && self.end == End::Wanted {
            machine.disconnect_port(now.into_std());
            self.end = End::Told;
        }
        waited && self.unwritten.is_empty()
    }

    /// The agent has closed its connection.
    pub(super) fn on_disconnected(&mut self) {
        *self = Self::default();
    }

    fn end(&mut self) {
        if self.end == End::NotYet {
            self.end = End::Wanted;
        }
    }
}

/// The link in the hands of a connection.
pub(super) struct LinkEnd<'a> {
    pub(super) link: &'a mut Link,
    pub(super) machine: &'a mut ClientSession,
    pub(super) key: u32,
    pub(super) now: Instant,
}

impl LinkEnd<'_> {
    fn is_holder(&self) -> bool {
        self.link.holder == Some(self.key)
    }
}

impl FarEnd for LinkEnd<'_> {
    fn room(&self) -> usize {
        let open = self.is_holder() && self.link.end == End::NotYet;
        if open && self.link.unwritten.is_empty() {
            LINK_ROOM
        } else {
            0
        }
    }

    fn write(&mut self, data: Bytes) {
        self.link.unwritten = data;
        self.link.flush(self.machine, self.now);
    }

    fn read(&mut self) -> Received {
        if !self.is_holder() {
            return Received::Finished;
        }
        match self.link.received.pop_front() {
            Some(data) => {
                self.link.received_bytes -= data.len();
                Received::Data(data)
            }
            None if self.link.end == End::NotYet => Received::Pending,
            None => Received::Finished,
        }
    }

    fn finish(&mut self) {
        if self.is_holder() {
            self.link.end();
            self.link.flush(self.machine, self.now);
        }
    }

    fn abandon(&mut self) {
        if self.is_holder() {
            self.link.received.clear();
            self.link.received_bytes = 0;
            self.finish();
        }
    }
}
