//! What the ends have to say.

use ssm_session_proto::AgentEvent;
use ssm_session_proto::CloseReason;
use ssm_session_proto::ControlFlag;
use ssm_session_proto::Event;
use ssm_session_proto::OutputStream;

use super::Kind;
use super::PATIENCE;
use super::Pair;
use super::PortLink;
use super::TURNS;
use crate::sim::kms::Decrypt;
use crate::support::clock::epoch;

/// What a command is interrupted with.
const INTERRUPT: &[u8] = b"\x03";

impl Pair {
    /// The drive rule, for both ends, until neither has anything left to say.
    pub(super) fn drain(&mut self) {
        for _ in 0..TURNS {
            let mut told = self.carry();
            while let Some(event) = self.client.poll_event() {
                self.on_client_event(event);
                told = true;
            }
            while let Some(event) = self.agent.poll_event() {
                self.on_agent_event(event);
                told = true;
            }
            told |= self.hear_streams();
            if !told {
                return;
            }
        }
        panic!("the ends have no end of things to say");
    }

    /// A handshake came to nothing, for which there has to be a reason.
    fn excuse(&mut self, what: &dyn std::fmt::Debug) {
        let passed = self.now - epoch();
        assert!(!self.is_up() && passed >= PATIENCE, "{what:?}");
        self.excused = true;
    }

    pub(super) fn is_up(&self) -> bool {
        self.established && self.started
    }

    fn on_client_event(&mut self, event: Event) {
        assert_eq!(self.closed, None, "{event:?} after the end");
        match event {
            Event::Established(established) => {
                if established.agent_version.is_none() && self.kind.has_handshake() {
                    // The agent's first words were lost again and again for a second.
                    assert!(!self.started || self.established, "taken for a shell");
                    self.excused = true;
                    return;
                }
                assert!(!self.established, "established twice");
                self.established = true;
                let encrypted = matches!(self.kind, Kind::Encrypted(_));
                assert_eq!(established.encrypted, encrypted);
                assert_eq!(established.port_form().is_some(), self.kind.is_port());
            }
            Event::DataKeyNeeded(request) => self.kms.generating = Some((self.now, request)),
            Event::Output { .. } if !self.output_counts => assert_eq!(self.link, PortLink::Up),
            Event::Output { stream, data } => {
                assert_eq!(self.exit_code, None, "output after the exit code");
                match stream {
                    OutputStream::Stdout => self.stdout.flow.arrive("stdout", &data),
                    OutputStream::Stderr => self.stderr.flow.arrive("stderr", &data),
                }
            }
            Event::ExitCode(code) => assert_eq!(self.exit_code.replace(code), None),
            Event::Writable => {}
            Event::PortDisconnected => {
                assert_eq!(self.link, PortLink::HungUp, "the agent's end is still up");
                self.link = PortLink::Down;
            }
            Event::Closed(reason) => {
                if matches!(reason, CloseReason::HandshakeFailed(_)) {
                    self.excuse(&reason);
                } else {
                    assert!(self.terminating || self.drained, "{reason:?}");
                }
                self.closed = Some(reason);
            }
            other => panic!("{other:?}"),
        }
    }

    fn on_agent_event(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Started { client_version } => {
                assert_eq!(client_version.is_some(), self.kind.has_handshake());
                assert!(!std::mem::replace(&mut self.started, true));
            }
            AgentEvent::DataKeyNeeded {
                ciphertext,
                key_id,
                encryption_context,
            } => {
                let decrypt = Decrypt {
                    ciphertext,
                    key_id,
                    encryption_context,
                };
                self.kms.decrypting = Some((self.now, decrypt));
            }
            AgentEvent::Input(data) => {
                assert!(self.runs, "input before the program runs");
                assert_ne!(self.link, PortLink::HungUp, "input of no connection");
                if self.kind == Kind::Multiplexed {
                    self.streams.arrive_at_agent(data, self.now);
                } else if self.terminating && data == INTERRUPT {
                    self.agent.finish(self.now);
                } else {
                    self.input.flow.arrive("input", &data);
                }
            }
            AgentEvent::Resize(size) => self.size_arrived = Some(size),
            AgentEvent::Flag(flag) if flag == ControlFlag::DISCONNECT_TO_PORT.0 => {
                assert_eq!(self.link, PortLink::Closing, "nobody asked for it");
                assert!(self.input.flow.is_complete(), "the flag overtook input");
                self.link = PortLink::HungUp;
            }
            AgentEvent::Flag(flag) => {
                assert!(self.terminating, "nobody asked for it");
                assert_eq!(flag, ControlFlag::TERMINATE_SESSION.0);
                self.agent.cancel(self.now);
            }
            AgentEvent::Writable => {}
            AgentEvent::Drained => {
                self.drained = true;
                self.close_channel_of_client();
            }
            AgentEvent::Failed(reason) => self.excuse(&reason),
            other => panic!("{other:?}"),
        }
    }
}
