//! What follows upon anything that happens: everything moves that can.

use bytes::Buf as _;
use ssm_session_proto::Event;
use tokio::time::Instant;

use super::Driver;
use super::End;
use crate::close::Close;
use crate::session::SessionEvent;

impl Driver {
    /// Moves everything that can move. Called after every input.
    pub(super) fn drain(&mut self, now: Instant) -> Option<End> {
        self.end_outage_if_over(now);
        for pass in 0.. {
            let mut quiet = pass > 0;
            while let Some(event) = self.machine.poll_event() {
                quiet = false;
                if let Some(close) = self.on_event(event, now) {
                    return Some(End::of(close));
                }
            }
            quiet &= !self.connections.take_events(&mut self.machine);
            if quiet {
                break;
            }
            self.accept_writes(now);
            // What was written before the wish goes first. Said twice, it counts once.
            if self.terminate_by.is_some() && self.writing.is_none() {
                self.machine.terminate(now.into_std());
            }
            self.serve_connections(now);
            self.transmit(now);
        }
        None
    }

    fn serve_connections(&mut self, now: Instant) {
        if self.terminate_by.is_some() && self.is_held_back() {
            // The word that confirms the end stands behind what a program does not read.
            self.connections.sever(&mut self.machine, now);
        }
        for _ in 0..self.connections.work(&mut self.machine, now) {
            tracing::warn!("a connection was ended: its program does not read");
            self.ports.events.send(SessionEvent::ConnectionOverrun);
        }
    }

    /// Whether reading is up to a program that does not read.
    pub(super) fn is_held_back(&self) -> bool {
        self.machine.is_saturated() || self.connections.is_full()
    }

    fn accept_writes(&mut self, now: Instant) {
        while let Some(write) = &mut self.writing {
            let accepted = self.machine.write(&write.rest, now.into_std());
            write.rest.advance(accepted);
            if !write.rest.is_empty() {
                return;
            }
            if let Some(write) = self.writing.take() {
                // Nobody waits for it if the writer was given up.
                write.accepted.send(()).ok();
            }
            self.writing = self.ports.writes.try_recv().ok();
        }
    }

    fn transmit(&mut self, now: Instant) {
        let Some(channel) = self.link.channel() else {
            return;
        };
        while channel.socket.has_room()
            && let Some(frame) = self.machine.poll_transmit(now.into_std())
        {
            channel.socket.queue(frame);
        }
    }

    fn on_event(&mut self, event: Event, now: Instant) -> Option<Close> {
        match event {
            Event::Established(established) => {
                tracing::info!(kind = %established.session_type, encrypted = established.encrypted, "established");
                self.connections.on_established(established.port_form());
                self.ports
                    .events
                    .send(SessionEvent::Established(established));
            }
            Event::DataKeyNeeded(request) => {
                if let Some(answer) = self.key_request.begin(request) {
                    self.machine.handle_data_key(answer, now.into_std());
                }
            }
            Event::Output { stream, data } => {
                if let Some(data) = self.connections.on_output(data) {
                    self.ports
                        .events
                        .send(SessionEvent::Output { stream, data });
                }
            }
            Event::ConnectionRefused => {
                tracing::warn!("the agent could not reach the destination");
                self.connections.on_refused(now);
                self.ports.events.send(SessionEvent::ConnectionRefused);
            }
            Event::PortDisconnected => self.connections.on_disconnected(),
            Event::ExitCode(code) => {
                self.exit_code = Some(code);
                self.ports.events.send(SessionEvent::ExitCode(code));
            }
            Event::Closed(reason) => {
                return Some(Close::from_reason(reason, self.terminate_by.is_some()));
            }
            // The next pass of `drain` tries the waiting write again.
            Event::Writable => {}
            other => tracing::debug!(?other, "ignoring an event"),
        }
        None
    }

    /// Acknowledgements and answers that the machine had left to send at its end.
    pub(super) async fn send_rest(&mut self) {
        loop {
            self.transmit(Instant::now());
            let Some(channel) = self.link.channel() else {
                return;
            };
            let complete = channel.socket.has_room();
            if let Err(error) = channel.socket.flush().await {
                return tracing::debug!(%error, "not everything could be sent");
            }
            if complete {
                return;
            }
        }
    }
}
