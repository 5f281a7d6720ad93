//! The user of the client.

use std::time::Instant;

use ssm_session_proto::CloseReason;
use ssm_session_proto::Event;
use ssm_session_proto::OutputStream;
use ssm_session_proto::TerminalSize;

use super::Pair;
use crate::link::up_to;
use crate::sim::faults::Side;
use crate::sim::scenario::Kind;
use crate::sim::scenario::Scenario;
use crate::support::clock::epoch;
use crate::support::random::Random;

/// What the Ctrl-C key sends.
const INTERRUPT: &[u8] = b"\x03";

/// When the terminal takes which size, soonest last. The first is there from the start.
pub(super) fn sizes(scenario: &Scenario, mut random: Random) -> Vec<(Instant, TerminalSize)> {
    let mut sizes = Vec::new();
    for n in 0..scenario.resizes {
        let after = if n == 0 { 0 } else { 3000 };
        let mut side = || u32::try_from(1 + random.below(300)).unwrap();
        let (cols, rows) = (side(), side());
        let at = epoch() + up_to(&mut random, after);
        sizes.push((at, TerminalSize { cols, rows }));
    }
    sizes.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    sizes
}

impl Pair {
    /// When the terminal takes its next size.
    pub(super) fn next_size(&self) -> Option<Instant> {
        self.sizes.last().map(|(at, _)| *at)
    }

    pub(super) fn use_client(&mut self) {
        if !self.runs(Side::Client) {
            return;
        }
        while self.next_size().is_some_and(|at| at <= self.now)
            && let Some((_, size)) = self.sizes.pop()
        {
            self.size_set = Some(size);
            self.client.resize(size, self.now);
        }
        while let Some(piece) = self.typist.piece(self.now) {
            let taken = self.client.write(&piece, self.now);
            self.typist.wrote(taken, piece.len(), self.now);
            // A line feed that is typed alone is the Return key.
            if piece == b"\n" && self.scenario.kind.has_terminal() {
                self.input.write(&b"\r"[..taken]);
            } else {
                self.input.write(&piece[..taken]);
            }
        }
    }

    /// Leaves. A command without terminal gets an interrupt, a shell gets nothing.
    pub(super) fn terminate(&mut self) {
        if self.scenario.kind == Kind::Command {
            self.input.write(INTERRUPT);
        }
        self.client.terminate(self.now);
    }

    pub(super) fn on_client_event(&mut self, event: Event) {
        match event {
            Event::Established(established) => {
                assert!(self.client.is_established());
                let expected = match self.scenario.kind {
                    Kind::Command => "NonInteractiveCommands",
                    Kind::Port(_) => "Port",
                    _ => "Standard_Stream",
                };
                assert_eq!(established.session_type.as_str(), expected);
                let encrypted = matches!(self.scenario.kind, Kind::EncryptedShell(_));
                assert_eq!(established.encrypted, encrypted);
                let form = match self.scenario.kind {
                    Kind::Port(form) => Some(form),
                    _ => None,
                };
                assert_eq!(established.port_form(), form);
            }
            Event::DataKeyNeeded(request) => {
                self.kms.generating = Some((self.now + self.scenario.kms, request));
            }
            Event::Output { stream, data } => {
                assert_eq!(self.exit_code, None, "output after the exit code");
                assert!(
                    self.connections.is_up(),
                    "output of a connection that is over"
                );
                match stream {
                    OutputStream::Stdout => self.stdout.arrive("stdout", &data),
                    OutputStream::Stderr => self.stderr.arrive("stderr", &data),
                }
            }
            Event::ExitCode(code) => {
                assert_eq!(self.exit_code.replace(code), None);
                assert_eq!(code, 3);
                let complete = self.stdout.is_complete() && self.stderr.is_complete();
                assert!(complete, "the exit code overtook output");
            }
            Event::Writable => self.typist.wake(self.now),
            Event::PortDisconnected => self.connections.on_disconnected(),
            Event::Closed(reason) => {
                if reason == CloseReason::Terminated {
                    self.close_channel(Side::Agent);
                }
                self.closed = Some(reason);
            }
            other => panic!("{other:?}"),
        }
    }
}
