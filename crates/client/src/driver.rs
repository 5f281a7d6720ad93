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

mod connections;
mod drain;
mod key_request;
mod liveness;
mod socket;

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use ssm_session_proto::ClientSession;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio::time::timeout;
use tokio_websockets::WebSocketStream;

use self::connections::Call;
use self::connections::Connections;
use self::key_request::KeyRequest;
use self::liveness::Liveness;
use self::socket::Socket;
use self::socket::Turn;
use crate::backlog::EventSender;
use crate::close::Close;
use crate::control_plane::ControlPlane;
use crate::session::Forward;
use crate::session::SessionEvent;
use crate::session::Wishes;
use crate::session::Write;
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
pub(crate) struct Driver<S> {
    machine: ClientSession,
    socket: Socket<S>,
    ports: Ports,
    timeouts: Timeouts,
    connections: Connections,
    key_request: KeyRequest,
    /// The write that the machine has not accepted to its end.
    writing: Option<Write>,
    liveness: Liveness,
    /// When to give up on a service that was asked for the end.
    terminate_by: Option<Instant>,
    exit_code: Option<i32>,
}

/// What woke the driver.
enum Wake {
    Socket(Turn),
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
    /// Whether the peer may still take what is left.
    reachable: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// `machine` has been told that `web_socket` is connected.
    pub(crate) fn new(
        machine: ClientSession,
        web_socket: WebSocketStream<S>,
        ports: Ports,
        forwards: mpsc::Receiver<Forward>,
        control_plane: Option<Arc<dyn ControlPlane>>,
        session_id: String,
        timeouts: Timeouts,
    ) -> Self {
        Self {
            machine,
            socket: Socket::new(web_socket),
            ports,
            timeouts,
            connections: Connections::new(forwards, timeouts.half_close),
            key_request: KeyRequest::new(control_plane, session_id, timeouts.data_key),
            writing: None,
            liveness: Liveness::new(Instant::now(), &timeouts),
            terminate_by: None,
            exit_code: None,
        }
    }

    /// Drives the session to its end.
    pub(crate) async fn run(mut self) {
        let End {
            mut close,
            reachable,
        } = self.drive().await;
        self.key_request.give_up();
        self.connections.sever(&mut self.machine, Instant::now());
        if reachable
            && timeout(self.timeouts.close, self.send_rest())
                .await
                .is_err()
        {
            tracing::debug!("the other end does not take what is left");
        }
        self.connections.deliver(self.timeouts.close).await;
        close.exit_code = self.exit_code;
        tracing::info!(by = ?close.by, code = close.close_code, exit_code = close.exit_code, "closed");
        self.ports.events.send(SessionEvent::Closed(close));
        // Writers learn of the end now, not when the socket is closed.
        drop(self.ports);
        drop(self.writing);
        match timeout(self.timeouts.close, self.socket.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the socket was closed by force"),
            Err(_) => tracing::debug!("the other end does not say goodbye; the socket is closed"),
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
            if !reading {
                self.liveness.on_pause();
            }
            let due = self.due();
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            consume_budget().await;
            let wake = tokio::select! {
                turn = self.socket.turn(reading) => Wake::Socket(turn),
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
            Wake::Socket(turn) => return self.on_turn(turn, now),
            Wake::Wishes => self.on_wishes(now),
            Wake::Deserted => {
                let close = Close::asked("every handle of the session was dropped");
                return Some(End {
                    close,
                    reachable: true,
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
                self.liveness.on_frame(now);
                for frame in frames {
                    self.machine.handle_frame(&frame, now.into_std());
                }
                None
            }
            Turn::Ended(ending) => {
                let mut close = ending.into_close();
                if self.terminate_by.is_some() {
                    close = close.into_asked();
                }
                Some(End {
                    close,
                    reachable: false,
                })
            }
        }
    }

    fn on_wishes(&mut self, now: Instant) {
        let wishes = *self.ports.wishes.borrow_and_update();
        if let Some(size) = wishes.size {
            self.machine.resize(size, now.into_std());
        }
        if wishes.terminate && self.terminate_by.is_none() {
            tracing::debug!("asking for the end of the session");
            self.terminate_by = Some(now + self.timeouts.terminate);
        }
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
            return Some(End {
                close: Close::asked(message),
                reachable: true,
            });
        }
        if self.liveness.is_ping_due(now) {
            if self.socket.has_room() {
                self.socket.queue_ping(PING);
            }
            self.liveness.on_ping(now);
        }
        if self.liveness.is_dead(now) {
            // The process may have been stopped for a while: what waits in the socket counts.
            if let Some(turn) = self.socket.turn(true).now_or_never() {
                return self.on_turn(turn, now);
            }
            let silence = self.timeouts.silence.as_secs_f64();
            let message = format!(
                "the connection was lost: nothing was heard for {silence} s; check the network"
            );
            return Some(End {
                close: Close::network(message),
                reachable: false,
            });
        }
        None
    }

    /// The next time at which something is to be done unasked.
    fn due(&self) -> Instant {
        let machine = self.machine.poll_timeout().map(Instant::from_std);
        let others = machine.into_iter().chain(self.terminate_by);
        let others = others.chain(self.connections.due());
        others.fold(self.liveness.due(), Instant::min)
    }
}
