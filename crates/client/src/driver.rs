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

mod answering;
mod connections;
mod drain;
mod ending;
mod key_request;
mod link;
mod liveness;
mod outage;
mod resumption;
mod socket;
mod standstill;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use futures_util::FutureExt as _;
use ssm_session_proto::ClientSession;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio::time::sleep_until;

use self::answering::Answering;
use self::connections::Call;
use self::connections::Connections;
use self::key_request::KeyRequest;
use self::link::Change;
use self::link::Link;
use self::outage::Outage;
use self::resumption::Outcome;
use self::resumption::Resumable;
use self::resumption::Resumption;
use self::socket::Ending;
use self::socket::Turn;
use self::standstill::Standstill;
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
    /// Where it leads, or led.
    host: String,
    /// What it takes to get another link; none where that is not possible.
    resumable: Option<Resumable>,
    /// The connection was lost, and there has been none since that works.
    outage: Option<Outage>,
    answering: Answering,
    standstill: Standstill,
    /// Tests have one of their own.
    wall_clock: fn() -> SystemTime,
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
        let now = Instant::now();
        Self {
            machine,
            link: Link::open(web_socket, now, &timeouts),
            host: start.stream_url.host().to_owned(),
            resumable,
            outage: None,
            answering: Answering::new(timeouts.unresponsive, now),
            standstill: Standstill::new(now, SystemTime::now()),
            wall_clock: SystemTime::now,
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
            let reading = self.is_reading();
            if !reading && let Some(channel) = self.link.channel() {
                channel.liveness.on_pause();
                self.answering.excuse(now);
            }
            self.judge_agent(now);
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
                () = &mut sleep => {
                    // Nobody is judged before the runtime has looked what came meanwhile.
                    yield_now().await;
                    Wake::Clock
                }
            };
            let now = Instant::now();
            if let Some(counted) = self.standstill.look(now, (self.wall_clock)()) {
                self.on_standstill(counted, now);
                if let Wake::Link(Change::Resumption(Outcome::OutOfTime(_))) = wake {
                    continue;
                }
            }
            if let Some(end) = self.on_wake(wake, now) {
                return end;
            }
        }
    }

    fn on_wake(&mut self, wake: Wake, now: Instant) -> Option<End> {
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
                return Some(End::of(self.lost().left()));
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
        let (owed, reading) = (self.owed(), self.is_reading());
        let channel = self.link.channel()?;
        if channel.liveness.is_ping_due(now) {
            if channel.socket.has_room() {
                channel.socket.queue_ping(PING);
            }
            channel.liveness.on_ping(now);
        }
        let silence = channel.liveness.verdict(now);
        if silence.is_some() || reading && self.answering.is_overdue(owed, now) {
            // This process may have been stopped for a while: what waits in the socket counts.
            let waiting = channel.socket.turn(true).now_or_never();
            let silent = silence.map(|silence| Turn::Ended(Ending::Silence(silence)));
            return self.on_turn(waiting.or(silent)?, now);
        }
        None
    }

    /// Whether what the peer sends is taken: by the application, and by programs.
    fn is_reading(&self) -> bool {
        !self.ports.events.is_full() && !self.is_held_back()
    }

    /// Says whether the agent answers, as far as that is news.
    fn judge_agent(&mut self, now: Instant) {
        if let Some(news) = self.answering.judge(self.owed(), now) {
            tracing::info!(?news, "the agent's acknowledgements");
            self.ports.events.send(news);
        }
    }

    /// Since when the agent has owed an acknowledgement.
    fn owed(&self) -> Option<Instant> {
        self.machine.unanswered_since().map(Instant::from_std)
    }

    /// This process did not run for a while, of which the clock of deadlines `counted` so much.
    fn on_standstill(&mut self, counted: Duration, now: Instant) {
        tracing::info!("this process stood still for a while");
        self.answering.excuse(now);
        let limit = self.is_resumable().then_some(self.timeouts.woken);
        match &mut self.link {
            Link::Open(channel) => channel.liveness.on_standstill(limit, now),
            Link::Resuming(_) => self.resume_afresh(counted),
        }
    }

    /// The next time at which something is to be done unasked; within seconds at the latest.
    fn due(&self) -> Instant {
        let machine = self.machine.poll_timeout().map(Instant::from_std);
        let others = machine.into_iter().chain(self.terminate_by);
        let others = others.chain(self.connections.due()).chain(self.link.due());
        let others = others.chain(self.answering.due(self.owed()));
        let others = others.chain(self.outage.as_ref().and_then(Outage::due));
        others.fold(self.standstill.due(), Instant::min)
    }
}

#[cfg(test)]
mod tests;
