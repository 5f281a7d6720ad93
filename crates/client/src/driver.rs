//! The task that owns a session's protocol machine and its socket.
//!
//! ```text
//!  application ── writes, wishes ──► ┌────────┐ ──► machine ──► frames ──► ┌────────┐
//!  programs ◄──── connections ─────► │ driver │                            │ socket │
//!  application ◄── events, bounded ─ └────────┘ ◄── machine ◄── frames ◄── └────────┘
//! ```
//!
//! After anything that happens the same `drain` follows: what the machine accepts goes in, what
//! it wants to send goes to the socket, what it has to say goes to the application. Writing never
//! blocks reading; an application that takes no events stops reading, and nothing else. So does
//! the only program of a forward that does not read; beside others it is cut off.

mod backoff;
mod connections;
mod drain;
mod ending;
mod key_request;
mod link;
mod liveness;
mod resumption;
mod socket;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ssm_session_proto::ClientSession;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tokio::time::sleep_until;

use self::backoff::Backoff;
use self::connections::Call;
use self::connections::Connections;
use self::key_request::KeyRequest;
use self::link::Change;
use self::link::Link;
use self::resumption::Outcome;
use self::resumption::Resumable;
use self::resumption::Resumption;
use self::socket::Ending;
use self::socket::Turn;
use crate::backlog::EventSender;
use crate::close::Close;
use crate::dial::WebSocket;
use crate::options::Options;
use crate::options::SessionStart;
use crate::session::Forward;
use crate::session::Wishes;
use crate::session::Write;
use crate::signature::is_presigned;
use crate::timeouts::Timeouts;

/// What agents and the Go plugin write into their pings (docs/PROTOCOL.md, 2.3).
const PING: &str = "keepalive";
/// A timer needs some time to go off at.
const IDLE: Duration = Duration::from_secs(3600);

/// The driver's ends of what connects it with its handles.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) writes: mpsc::Receiver<Write>,
    pub(crate) wishes: watch::Receiver<Wishes>,
    pub(crate) events: EventSender,
}

/// One session at work.
pub(crate) struct Driver {
    machine: ClientSession,
    link: Link,
    /// What it takes to get another link; none where that is not possible.
    resumable: Option<Resumable>,
    /// The connection was lost, and the agent has not been heard since.
    outage: Option<Outage>,
    ports: Ports,
    timeouts: Timeouts,
    connections: Connections,
    key_request: KeyRequest,
    /// The write that the machine has not accepted to its end.
    writing: Option<Write>,
    /// When to give up on a far end that was asked for the end.
    terminate_by: Option<Instant>,
    exit_code: Option<i32>,
}

/// Time without a connection that works.
struct Outage {
    /// How the connection was lost.
    loss: Close,
    /// When to give up.
    deadline: Instant,
    backoff: Backoff,
}

/// What woke the driver.
enum Wake {
    Link(Change),
    Wishes,
    /// Every handle is gone.
    Deserted,
    Write(Write),
    Connections(Call),
    DataKey(key_request::Answer),
    /// The application caught up.
    Room,
    Clock,
}

/// Why the driver stops.
struct End {
    close: Close,
    /// Whether the session is to be ended at the service if it lives on there.
    unwanted: bool,
}

impl End {
    fn of(close: Close) -> Self {
        Self {
            close,
            unwanted: true,
        }
    }
}

impl Driver {
    /// `machine` has been told that `web_socket` is connected.
    pub(crate) fn new(
        machine: ClientSession,
        web_socket: WebSocket,
        ports: Ports,
        forwards: mpsc::Receiver<Forward>,
        start: &SessionStart,
        options: Options,
    ) -> Self {
        let timeouts = options.timeouts;
        let session_id = start.session_id.clone();
        let control_plane = options.control_plane.clone();
        // A caller that has put the token in its place knows no id that the service would.
        let named = control_plane.clone().filter(|_| start.id() == session_id);
        let resumable = named.map(|control_plane| Resumable {
            session_id: session_id.clone(),
            control_plane,
            options: Arc::new(options),
            presigned: is_presigned(&start.stream_url),
        });
        Self {
            machine,
            link: Link::open(web_socket, Instant::now(), &timeouts),
            resumable,
            outage: None,
            ports,
            timeouts,
            connections: Connections::new(forwards, timeouts.half_close),
            key_request: KeyRequest::new(control_plane, session_id, timeouts.data_key),
            writing: None,
            terminate_by: None,
            exit_code: None,
        }
    }

    async fn drive(&mut self) -> End {
        let mut sleep = pin!(sleep_until(Instant::now()));
        loop {
            let now = Instant::now();
            if let Some(end) = self.drain(now) {
                return end;
            }
            let reading = !self.ports.events.is_full() && !self.is_held_back();
            if !reading && let Some(channel) = self.link.channel() {
                channel.liveness.on_pause();
            }
            let due = self.due();
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            consume_budget().await;
            let wake = tokio::select! {
                change = self.link.change(reading) => Wake::Link(change),
                changed = self.ports.wishes.changed() => changed.map_or(Wake::Deserted, |()| Wake::Wishes),
                Some(write) = self.ports.writes.recv(), if self.writing.is_none() => Wake::Write(write),
                call = self.connections.call() => Wake::Connections(call),
                Some(key) = self.key_request.answer() => Wake::DataKey(key),
                () = self.ports.events.room(), if self.ports.events.is_full() => Wake::Room,
                () = &mut sleep => Wake::Clock,
            };
            if let Some(end) = self.on_wake(wake) {
                return end;
            }
        }
    }

    fn on_wake(&mut self, wake: Wake) -> Option<End> {
        let now = Instant::now();
        match wake {
            Wake::Link(Change::Turn(turn)) => return self.on_turn(turn, now),
            Wake::Link(Change::Resumption(outcome)) => return self.on_resumption(outcome, now),
            Wake::Wishes => return self.on_wishes(now),
            Wake::Deserted => {
                return Some(End {
                    close: Close::asked("every handle of the session was dropped"),
                    unwanted: false,
                });
            }
            Wake::Write(write) => self.writing = Some(write),
            Wake::Connections(Call::Forward(forward)) => self.connections.on_forward(forward),
            Wake::DataKey(key) => {
                if let Err(reason) = &key {
                    tracing::warn!(reason, "there is no data key for this session");
                }
                self.machine.handle_data_key(key, now.into_std());
            }
            Wake::Connections(Call::Ready) | Wake::Room => {}
            Wake::Clock => return self.on_clock(now),
        }
        None
    }

    fn on_turn(&mut self, turn: Turn, now: Instant) -> Option<End> {
        match turn {
            Turn::Flushed => None,
            Turn::Received(frames) => {
                if let Some(channel) = self.link.channel() {
                    channel.liveness.on_frame(now);
                }
                if !frames.is_empty() {
                    self.outage = None;
                }
                for frame in frames {
                    self.machine.handle_frame(&frame, now.into_std());
                }
                None
            }
            Turn::Ended(ending) => self.on_lost(ending, now),
        }
    }

    fn on_wishes(&mut self, now: Instant) -> Option<End> {
        let wishes = *self.ports.wishes.borrow_and_update();
        if let Some(size) = wishes.size {
            self.machine.resize(size, now.into_std());
        }
        if wishes.terminate && self.terminate_by.is_none() {
            if let Link::Resuming(_) = self.link {
                // Nobody is there to be asked.
                let message = "the session was left while its connection was lost";
                return Some(End::of(Close::asked(message)));
            }
            tracing::debug!("asking for the end of the session");
            self.terminate_by = Some(now + self.timeouts.terminate);
        }
        None
    }

    fn on_clock(&mut self, now: Instant) -> Option<End> {
        if self
            .machine
            .poll_timeout()
            .is_some_and(|due| due <= now.into_std())
        {
            self.machine.handle_timeout(now.into_std());
        }
        self.connections.on_clock(now);
        if self.terminate_by.is_some_and(|by| by <= now) {
            let limit = self.timeouts.terminate.as_secs_f64();
            let message =
                format!("the service did not confirm the end of the session within {limit} s");
            return Some(End::of(Close::asked(message)));
        }
        let channel = self.link.channel()?;
        if channel.liveness.is_ping_due(now) {
            if channel.socket.has_room() {
                channel.socket.queue_ping(PING);
            }
            channel.liveness.on_ping(now);
        }
        if channel.liveness.is_dead(now) {
            // The process may have been stopped for a while: what waits in the socket counts.
            let turn = channel.socket.turn(true).now_or_never();
            let silent = || Turn::Ended(Ending::Silence(self.timeouts.silence));
            return self.on_turn(turn.unwrap_or_else(silent), now);
        }
        None
    }

    /// The next time at which something is to be done unasked; in an hour at the latest.
    fn due(&self) -> Instant {
        let machine = self.machine.poll_timeout().map(Instant::from_std);
        let others = machine.into_iter().chain(self.terminate_by);
        let others = others.chain(self.connections.due()).chain(self.link.due());
        others.min().unwrap_or_else(|| Instant::now() + IDLE)
    }
}
