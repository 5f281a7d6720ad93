//! smux version 1: many streams inside the one byte stream of a port session
//! (docs/PROTOCOL.md 8).
//!
//! ```text
//!  open, write, finish ──► streams ──► poll_transmit ──► payloads
//!  read ◄── streams ◄── handle_data ◄── payloads, cut anywhere
//! ```
//!
//! The protocol has no windows: a receiver that does not want a stream's data has no way to say
//! so. [`Mux`] therefore keeps a bounded amount for each reader, and ends the one stream whose
//! reader exceeds it. Data is cut into frames when it leaves and not when it is written, so that
//! streams take turns.

mod frame;
mod schedule;
mod stream;

pub use frame::StreamId;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use bytes::BytesMut;

use frame::Command;
use frame::HEADER_LENGTH;
use frame::Header;
use frame::MAX_DATA;
use frame::Part;
use schedule::Schedule;
use stream::Ours;
use stream::Reader;
use stream::Stream;

/// Most streams at a time.
pub const MAX_STREAMS: usize = 4096;
/// Most received bytes that wait for the reader of one stream, 64 added for each piece: what
/// the reference library lets wait for all readers together.
pub const MAX_UNREAD: usize = 4 * 1024 * 1024;
/// Most received bytes that wait for all readers.
pub const MAX_UNREAD_IN_ALL: usize = 16 * 1024 * 1024;

/// What a stream sends in a turn while others wait.
const QUANTUM: usize = 4096;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Without any frame for so long an agent takes the client for gone.
const KEEPALIVE_LIMIT: Duration = Duration::from_secs(30);

/// Which end a [`Mux`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuxRole {
    /// Opens streams.
    Client,
    /// Takes the streams that the client opens.
    Agent,
}

/// One end of a multiplexed byte stream, without I/O.
///
/// After every input or verb take [`poll_transmit`](Self::poll_transmit) as far as there is
/// room, then [`poll_event`](Self::poll_event) until it is empty.
///
/// A stream is forgotten once both directions are over, or it was [abandoned](Self::abandon) and
/// the peer was told. Verbs on a stream that is not known do nothing.
#[derive(Debug)]
pub struct Mux {
    role: MuxRole,
    reader: frame::Reader,
    streams: BTreeMap<StreamId, Stream>,
    next_id: Option<StreamId>,
    schedule: Schedule,
    /// What all streams hold of received data.
    held: usize,
    keepalive: Option<Keepalive>,
    events: VecDeque<MuxEvent>,
    failure: Option<MuxError>,
}

#[derive(Debug)]
struct Keepalive {
    next: Instant,
    due: bool,
    heard: Instant,
}

/// Something the owner of a [`Mux`] should know or do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MuxEvent {
    /// The peer has opened a stream. Only agents see it.
    Opened(StreamId),
    /// There is something to [`read`](Mux::read), be it the end. Said once until `read` had
    /// nothing, and again when the stream is ended for not being read.
    Readable(StreamId),
    /// The stream had no room left; it has some again.
    Writable(StreamId),
    /// The peer broke the protocol or is gone. All streams are void. Nothing follows.
    Failed(MuxError),
}

/// What [`Mux::read`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// The next bytes; never none.
    Data(Bytes),
    /// Nothing now; [`MuxEvent::Readable`] says when there is.
    Pending,
    /// The peer has ended the stream, and everything was read.
    Finished,
    /// The stream was ended, and its data dropped, because nobody read it for too long.
    Overrun,
}

/// Why a multiplexed session cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MuxError {
    /// The peer speaks another version of smux.
    #[error("smux version {0} instead of 1")]
    Version(u8),
    /// No version 1 peer sends this command.
    #[error("unknown smux command {0}")]
    Command(u8),
    /// A frame that has no data says that it has.
    #[error("a smux frame without data says that it has some")]
    ControlData,
    /// The peer has opened more than [`MAX_STREAMS`].
    #[error("more than {MAX_STREAMS} smux streams")]
    TooManyStreams,
    /// The client has not sent any frame for 30 s although it has to.
    #[error("no smux frame for 30 seconds")]
    Silence,
}

impl Mux {
    /// An end without streams. With `keepalive` it sends a frame every 10 s, and as the agent
    /// gives the client up after 30 s without one (docs/PROTOCOL.md 8).
    pub fn new(role: MuxRole, keepalive: bool, now: Instant) -> Self {
        Self {
            role,
            reader: frame::Reader::default(),
            streams: BTreeMap::new(),
            next_id: Some(match role {
                MuxRole::Client => StreamId(3),
                MuxRole::Agent => StreamId(2),
            }),
            schedule: Schedule::default(),
            held: 0,
            keepalive: keepalive.then(|| Keepalive {
                next: now + KEEPALIVE_INTERVAL,
                due: false,
                heard: now,
            }),
            events: VecDeque::new(),
            failure: None,
        }
    }

    /// Bytes of the peer, in order; where they are cut means nothing.
    pub fn handle_data(&mut self, mut data: Bytes, now: Instant) {
        if self.failure.is_some() {
            return;
        }
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.heard = now;
        }
        let message = data.len();
        loop {
            match self.reader.next(&mut data) {
                Ok(Some(Part::Header(header))) => self.on_header(header),
                Ok(Some(Part::Data(id, piece))) => self.on_data(id, piece, message),
                Ok(None) => return,
                Err(error) => return self.fail(error),
            }
            if self.failure.is_some() {
                return;
            }
        }
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(keepalive) = self.keepalive.as_mut().filter(|_| self.failure.is_none()) else {
            return;
        };
        if keepalive.next <= now {
            keepalive.due = true;
            keepalive.next = now + KEEPALIVE_INTERVAL;
        }
        if self.role == MuxRole::Agent && keepalive.heard + KEEPALIVE_LIMIT <= now {
            self.fail(MuxError::Silence);
        }
    }

    /// Opens a stream. None if the peer has failed, there are [`MAX_STREAMS`], or the numbers
    /// are used up.
    pub fn open(&mut self) -> Option<StreamId> {
        if self.failure.is_some() || self.streams.len() >= MAX_STREAMS {
            return None;
        }
        loop {
            let id = self.next_id?;
            self.next_id = id.0.checked_add(2).map(StreamId);
            // A client that keeps to no half of the numbers may have taken one of an agent's.
            if let Entry::Vacant(place) = self.streams.entry(id) {
                place.insert(Stream::opening());
                self.enter(id);
                return Some(id);
            }
        }
    }

    /// How many bytes [`write`](Self::write) would take, up to 64 KiB. After none,
    /// [`MuxEvent::Writable`] follows.
    pub fn room(&self, id: StreamId) -> usize {
        self.streams.get(&id).map_or(0, Stream::room)
    }

    /// Takes the front of `data`, as much as there is room for, and says how many bytes it took.
    /// After less than all, [`MuxEvent::Writable`] follows.
    pub fn write(&mut self, id: StreamId, data: Bytes) -> usize {
        let taken = self
            .streams
            .get_mut(&id)
            .map_or(0, |stream| stream.write(data));
        if taken > 0 {
            self.enter(id);
        }
        taken
    }

    /// Ends our direction behind what was written. The real agent then ends the other direction
    /// too, whatever the destination still had to say (docs/PROTOCOL.md 8).
    pub fn finish(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.ours == Ours::Open
        {
            stream.ours = Ours::Ending;
            self.enter(id);
        }
    }

    /// Nobody reads the stream any more: [`finish`](Self::finish), and what the peer sends is
    /// dropped.
    pub fn abandon(&mut self, id: StreamId) {
        self.finish(id);
        self.end_reading(id, Reader::Gone);
        self.forget_if_over(id);
    }

    /// The next bytes of a stream, or its end.
    pub fn read(&mut self, id: StreamId) -> Received {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Received::Finished;
        };
        let before = stream.held();
        let received = match stream.reader {
            Reader::Present => match stream.take_received() {
                Some(data) => Received::Data(data),
                None if stream.finished => Received::Finished,
                None => Received::Pending,
            },
            Reader::Overrun => {
                stream.reader = Reader::Gone;
                Received::Overrun
            }
            Reader::Gone => Received::Finished,
        };
        stream.told = !matches!(received, Received::Pending);
        self.held = self
            .held
            .saturating_sub(before.saturating_sub(stream.held()));
        self.forget_if_over(id);
        received
    }

    /// Why there are no streams any more.
    pub fn failure(&self) -> Option<MuxError> {
        self.failure
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) may have something to give.
    pub fn has_work(&self) -> bool {
        !self.schedule.is_empty()
    }

    /// Streams that are not forgotten yet.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// What all streams hold of received data, in bytes, 64 added for each piece.
    pub fn unread(&self) -> usize {
        self.held
    }

    /// Whether the only stream holds all it may. Its sender can then be held back by taking no
    /// more from the network, which harms nobody else; with other streams open it would be ended
    /// instead.
    pub fn is_saturated(&self) -> bool {
        self.held >= MAX_UNREAD && self.streams.len() == 1
    }

    /// The next payload of the byte stream, of at most `limit` bytes, which are to be 64 or more.
    #[must_use]
    pub fn poll_transmit(&mut self, limit: usize) -> Option<Bytes> {
        if self.failure.is_some() {
            return None;
        }
        let mut payload = BytesMut::new();
        if let Some(keepalive) = &mut self.keepalive
            && std::mem::take(&mut keepalive.due)
        {
            put(&mut payload, Header::bare(Command::Nop, StreamId(0)));
        }
        while limit.saturating_sub(payload.len()) > HEADER_LENGTH
            && let Some(id) = self.schedule.next()
        {
            self.take_turn(id, limit, &mut payload);
        }
        Some(payload.freeze()).filter(|payload| !payload.is_empty())
    }

    /// The next thing to know or do.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<MuxEvent> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keepalive = self.keepalive.as_ref().filter(|_| self.failure.is_none())?;
        Some(match self.role {
            MuxRole::Client => keepalive.next,
            MuxRole::Agent => keepalive.next.min(keepalive.heard + KEEPALIVE_LIMIT),
        })
    }

    fn on_header(&mut self, header: Header) {
        let id = header.stream;
        match header.command {
            Command::Syn if self.role == MuxRole::Agent => self.on_syn(id),
            Command::Fin => {
                if let Some(stream) = self.streams.get_mut(&id)
                    && !std::mem::replace(&mut stream.finished, true)
                {
                    self.tell_reader(id);
                    self.forget_if_over(id);
                }
            }
            // Agents open no streams. Data follows its header.
            Command::Syn | Command::Push | Command::Nop => {}
        }
    }

    fn on_syn(&mut self, id: StreamId) {
        if self.streams.contains_key(&id) {
            return;
        }
        if self.streams.len() >= MAX_STREAMS {
            return self.fail(MuxError::TooManyStreams);
        }
        self.streams.insert(id, Stream::default());
        self.events.push_back(MuxEvent::Opened(id));
    }

    fn on_data(&mut self, id: StreamId, piece: Bytes, message: usize) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.finished || stream.reader != Reader::Present {
            return;
        }
        let before = stream.held();
        stream.receive(piece, message);
        let held = stream.held();
        self.held = self.held.saturating_add(held.saturating_sub(before));
        self.tell_reader(id);
        self.bound_unread(id, held);
    }

    /// Ends the stream that holds too much, unless it is alone and its sender may be held back.
    fn bound_unread(&mut self, id: StreamId, held: usize) {
        let alone = self.streams.len() == 1;
        let limit = if alone { MAX_UNREAD_IN_ALL } else { MAX_UNREAD };
        let culprit = if held > limit {
            Some(id)
        } else if self.held > MAX_UNREAD_IN_ALL {
            let holder = self.streams.iter().max_by_key(|(_, stream)| stream.held());
            holder.map(|(id, _)| *id)
        } else {
            None
        };
        if let Some(id) = culprit {
            self.finish(id);
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.drop_unsent();
                // It knew that there was something to read, and did not.
                stream.told = false;
            }
            self.end_reading(id, Reader::Overrun);
            self.tell_reader(id);
        }
    }

    fn end_reading(&mut self, id: StreamId, reader: Reader) {
        if let Some(stream) = self.streams.get_mut(&id) {
            self.held = self.held.saturating_sub(stream.held());
            stream.drop_received();
            stream.reader = reader;
        }
    }

    fn tell_reader(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.reader != Reader::Gone
            && !std::mem::replace(&mut stream.told, true)
        {
            self.events.push_back(MuxEvent::Readable(id));
        }
    }

    /// Gives a stream a place in the schedule if it has none and needs one.
    fn enter(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !std::mem::replace(&mut stream.scheduled, true)
        {
            self.schedule.enter(id);
        }
    }

    fn take_turn(&mut self, id: StreamId, limit: usize, payload: &mut BytesMut) {
        let alone = self.schedule.is_empty();
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if !stream.has_work() {
            stream.scheduled = false;
            return;
        }
        if std::mem::take(&mut stream.opening) {
            put(payload, Header::bare(Command::Syn, id));
        }
        let room = |payload: &BytesMut| {
            let room = limit.saturating_sub(payload.len());
            room.saturating_sub(HEADER_LENGTH)
        };
        let share = if alone { MAX_DATA } else { QUANTUM };
        let length = stream.unsent().min(share).min(room(payload));
        if let Ok(wire_length @ 1..) = u16::try_from(length) {
            payload.reserve(HEADER_LENGTH.saturating_add(length));
            let header = Header {
                command: Command::Push,
                length: wire_length,
                stream: id,
            };
            put(payload, header);
            stream.take_unsent(length, payload);
        }
        let ends = stream.ours == Ours::Ending && stream.unsent() == 0;
        if ends && limit.saturating_sub(payload.len()) >= HEADER_LENGTH {
            put(payload, Header::bare(Command::Fin, id));
            stream.ours = Ours::FinSent;
        }
        if stream.ours == Ours::Open && stream.became_writable() {
            self.events.push_back(MuxEvent::Writable(id));
        }
        self.schedule.wait(id);
        self.forget_if_over(id);
    }

    fn forget_if_over(&mut self, id: StreamId) {
        if self.streams.get(&id).is_some_and(Stream::is_over) {
            self.streams.remove(&id);
        }
    }

    fn fail(&mut self, error: MuxError) {
        self.failure = Some(error);
        self.streams.clear();
        self.held = 0;
        self.events.push_back(MuxEvent::Failed(error));
    }
}

fn put(payload: &mut BytesMut, header: Header) {
    payload.extend_from_slice(&header.encode());
}

#[cfg(test)]
mod tests;
