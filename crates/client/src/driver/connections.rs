//! The local connections of a forward.
//!
//! ```text
//!  programs ◄──► connections ◄──► streams of the machine ◄──► frames
//! ```
//!
//! The driver owns them as it owns the machine, without a task or a channel for each. Whatever
//! wakes one puts it into a queue, and a turn of the driver works that queue off, as far as a
//! turn may last.

mod alarms;
mod carrier;
mod closing;
mod connection;
mod far_end;
mod half_close;
mod read_buffer;
mod ready;
mod refusals;
mod side;

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use ssm_session_proto::ClientSession;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::PortForm;
use tokio::sync::mpsc;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tokio::time::timeout_at;

use self::alarms::Alarms;
use self::carrier::Carrier;
use self::connection::Connection;
use self::connection::Fate;
use self::connection::Turn;
use self::read_buffer::ReadBuffer;
use self::ready::ReadyQueue;
use self::refusals::Refusals;
use self::side::Side;
use crate::session::Forward;

/// Most connections attended to in one turn.
const MAX_READY: usize = 64;
/// What a piece of data in a queue costs besides its bytes.
const PIECE_COST: usize = 64;
/// After the session's end: how long a program may leave its connection untouched before it is
/// not waited for any more.
const STALL: Duration = Duration::from_millis(250);

/// All of them.
pub(super) struct Connections {
    forwards: mpsc::Receiver<Forward>,
    /// One that cannot be taken yet.
    waiting: Option<Forward>,
    carrier: Carrier,
    /// By the number of their stream, or their own in a basic session.
    open: HashMap<u32, Connection>,
    ready: ReadyQueue,
    alarms: Alarms,
    refusals: Refusals,
    buffer: ReadBuffer,
    half_close: Duration,
    /// Nothing can come from the far ends, so their silence means nothing.
    cut_off: bool,
    /// Connections of a basic session so far.
    linked: u32,
}

/// Why the driver was woken.
#[derive(Debug)]
pub(super) enum Call {
    /// A connection has something to do.
    Ready,
    /// A connection is handed over.
    Forward(Forward),
}

impl Connections {
    /// `half_close` is that of [`Timeouts`](crate::Timeouts::half_close).
    pub(super) fn new(forwards: mpsc::Receiver<Forward>, half_close: Duration) -> Self {
        Self {
            forwards,
            waiting: None,
            carrier: Carrier::Unknown,
            open: HashMap::new(),
            ready: ReadyQueue::default(),
            alarms: Alarms::default(),
            refusals: Refusals::default(),
            buffer: ReadBuffer::default(),
            half_close,
            cut_off: false,
            linked: 0,
        }
    }

    /// Waits until there is something to do. Nothing is lost when the wait is given up.
    pub(super) async fn call(&mut self) -> Call {
        let wanted = self.waiting.is_none() && self.carrier.is_open();
        poll_fn(|cx| {
            if self.ready.poll(cx).is_ready() {
                return Poll::Ready(Call::Ready);
            }
            match wanted.then(|| self.forwards.poll_recv(cx)) {
                Some(Poll::Ready(Some(forward))) => Poll::Ready(Call::Forward(forward)),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// A connection was handed over; it is taken with the next [`work`](Self::work).
    pub(super) fn on_forward(&mut self, forward: Forward) {
        self.waiting = Some(forward);
    }

    pub(super) fn on_established(&mut self, form: Option<PortForm>) {
        self.carrier = Carrier::of(form);
    }

    /// Whether there is a way to the far ends.
    pub(super) fn set_cut_off(&mut self, cut_off: bool) {
        self.cut_off = cut_off;
    }

    /// Output of the session; what is not for a connection comes back.
    pub(super) fn on_output(&mut self, data: Bytes) -> Option<Bytes> {
        match &mut self.carrier {
            Carrier::Link(link) => {
                link.receive(data);
                self.ring_holder();
                None
            }
            Carrier::Over => None,
            Carrier::Unknown | Carrier::Nothing | Carrier::Streams => Some(data),
        }
    }

    /// The agent could not reach the destination for one connection.
    pub(super) fn on_refused(&mut self, now: Instant) {
        self.refusals.add(now);
    }

    /// The agent of a basic session has closed its connection.
    pub(super) fn on_disconnected(&mut self) {
        self.ring_holder();
        if let Carrier::Link(link) = &mut self.carrier {
            link.on_disconnected();
        }
    }

    /// Takes what the streams have to say. True if that was anything.
    pub(super) fn take_events(&mut self, machine: &mut ClientSession) -> bool {
        let mut any = false;
        while let Some(event) = machine.streams().and_then(Mux::poll_event) {
            any = true;
            match event {
                MuxEvent::Readable(id) => {
                    if let Some(connection) = self.open.get_mut(&id.0) {
                        connection.on_readable();
                    }
                }
                MuxEvent::Writable(id) => self.ring(id.0),
                _ => {}
            }
        }
        any
    }

    /// Moves everything that can move, within bounds. Answers with how many connections had to
    /// be ended because their programs did not read.
    pub(super) fn work(&mut self, machine: &mut ClientSession, now: Instant) -> usize {
        self.admit(machine, now);
        if let Carrier::Link(link) = &mut self.carrier
            && link.flush(machine, now)
        {
            self.ring_holder();
        }
        let mut overruns = 0;
        // Those that ring again meanwhile have their turn after the network's.
        for _ in 0..self.ready.len().min(MAX_READY) {
            let Some(key) = self.ready.next() else { break };
            let fate = self.attend(key, Some(machine), now);
            overruns += usize::from(fate == Fate::Overrun);
        }
        overruns
    }

    /// The next time at which something is to be done unasked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.alarms.next()
    }

    pub(super) fn on_clock(&mut self, now: Instant) {
        while let Some(key) = self.alarms.take_due(now) {
            self.ring(key);
        }
    }

    /// Whether nothing more should be read from the network until a program reads.
    pub(super) fn is_full(&self) -> bool {
        matches!(&self.carrier, Carrier::Link(link) if link.is_full())
    }

    /// Parts the connections from the session, which is over or about to be. They keep what came
    /// for them, and no more are taken.
    pub(super) fn sever(&mut self, machine: &mut ClientSession, now: Instant) {
        let is_sound = machine.streams().is_none_or(|mux| mux.failure().is_none());
        for (key, connection) in &mut self.open {
            self.carrier.with_far_end(machine, *key, now, |far| {
                connection.sever(far, is_sound);
            });
        }
        self.carrier = Carrier::Over;
    }

    /// Gives the programs what came for them after [`sever`](Self::sever), as long as they take
    /// it and no longer than `limit`, and closes their connections. Those cut off amid an answer
    /// are reset.
    pub(super) async fn deliver(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.open.is_empty() {
            let waiting = poll_fn(|cx| self.ready.poll(cx));
            let patience = deadline.min(Instant::now() + STALL);
            if timeout_at(patience, waiting).await.is_err() {
                tracing::debug!(
                    count = self.open.len(),
                    "some programs do not read to the end"
                );
                break;
            }
            while let Some(key) = self.ready.next() {
                self.attend(key, None, Instant::now());
            }
            consume_budget().await;
        }
        self.break_off();
    }

    /// Ends every connection so that the program sees an error.
    fn break_off(&mut self) {
        for (_, connection) in self.open.drain() {
            connection.close(Fate::Broken);
        }
        self.forwards.close();
        let unopened = std::iter::from_fn(|| self.forwards.try_recv().ok());
        for forward in self.waiting.take().into_iter().chain(unopened) {
            forward.connection.reset();
        }
    }

    /// Takes the connection that waits, if its turn has come and it is still to be taken.
    fn admit(&mut self, machine: &mut ClientSession, now: Instant) {
        let waiting = self.waiting.take();
        let Some(forward) = waiting.filter(|forward| !forward.taken.is_closed()) else {
            return;
        };
        let key = match &mut self.carrier {
            Carrier::Nothing | Carrier::Over => return forward.connection.reset(),
            Carrier::Streams => machine.streams().and_then(Mux::open).map(|id| id.0),
            Carrier::Link(link) if link.is_free() => {
                self.linked = self.linked.wrapping_add(1);
                link.begin(self.linked);
                Some(self.linked)
            }
            Carrier::Link(_) | Carrier::Unknown => None,
        };
        let Some(key) = key else {
            self.waiting = Some(forward);
            return;
        };
        tracing::debug!(stream = key, "forwarding a connection");
        let side = Side::new(forward.connection, self.ready.bell(key));
        self.open.insert(key, Connection::new(side));
        self.attend(key, Some(machine), now);
        // Nobody waits for it if the one who handed it over was given up.
        forward.taken.send(()).ok();
    }

    /// Gives one connection its turn.
    fn attend(&mut self, key: u32, machine: Option<&mut ClientSession>, now: Instant) -> Fate {
        let Some(connection) = self.open.get_mut(&key) else {
            return Fate::GoesOn;
        };
        connection.side().bell().answer();
        let before = connection.due();
        let mut turn = Turn {
            buffer: &mut self.buffer,
            refusals: &mut self.refusals,
            half_close: self.half_close,
            cut_off: self.cut_off,
            now,
        };
        let mut fate = Fate::GoesOn;
        match machine {
            Some(machine) => self.carrier.with_far_end(machine, key, now, |far| {
                fate = connection.work(far, &mut turn);
            }),
            None => fate = connection.end(&mut turn),
        }
        let after = connection.due().filter(|_| fate == Fate::GoesOn);
        self.alarms.change(key, before, after);
        if fate != Fate::GoesOn
            && let Some(connection) = self.open.remove(&key)
        {
            tracing::debug!(stream = key, ?fate, "a connection is over");
            connection.close(fate);
        }
        fate
    }

    fn ring_holder(&self) {
        if let Carrier::Link(link) = &self.carrier
            && let Some(holder) = link.holder()
        {
            self.ring(holder);
        }
    }

    fn ring(&self, key: u32) {
        if let Some(connection) = self.open.get(&key) {
            connection.side().bell().ring();
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.break_off();
    }
}
