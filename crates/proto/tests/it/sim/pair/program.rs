//! The program at the agent's end.

use ssm_session_proto::AgentEvent;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::ControlFlag;
use ssm_session_proto::OutputStream;

use super::Pair;
use crate::sim::faults::Side;
use crate::sim::kms::Decrypt;
use crate::sim::scenario::Kind;

impl Pair {
    pub(super) fn run_program(&mut self) {
        if !self.runs(Side::Agent) {
            return;
        }
        if self.program_starts.take_if(|at| *at <= self.now).is_some() {
            self.program_runs = true;
            self.agent.accept_input();
            if self.scenario.kind != Kind::SilentCommand {
                self.wake_program();
            }
        }
        while let Some(piece) = self.stdout_writer.piece(self.now) {
            let taken = self.agent.write(OutputStream::Stdout, &piece, self.now);
            assert!([0, piece.len()].contains(&taken));
            self.stdout_writer.wrote(taken, piece.len(), self.now);
            self.stdout.write(&piece[..taken]);
        }
        while let Some(piece) = self.stderr_writer.piece(self.now) {
            let taken = self.agent.write(OutputStream::Stderr, &piece, self.now);
            self.stderr_writer.wrote(taken, piece.len(), self.now);
            self.stderr.write(&piece[..taken]);
        }
        if self.scenario.kind == Kind::Command
            && !self.exit_code_sent
            && self.stdout_writer.is_done()
            && self.stderr_writer.is_done()
        {
            self.exit_code_sent = true;
            self.agent.exit_code(3, self.now);
        }
    }

    pub(super) fn wake_program(&mut self) {
        if !self.connections.are_dialled() {
            return;
        }
        self.stdout_writer.wake(self.now);
        self.stderr_writer.wake(self.now);
    }

    pub(super) fn program_has_written(&self) -> bool {
        self.stdout_writer.is_done()
            && self.stderr_writer.is_done()
            && (self.scenario.kind != Kind::Command || self.exit_code_sent)
    }

    pub(super) fn on_agent_event(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Started { client_version } => {
                assert!(self.program_starts.is_none() && !self.program_runs);
                let handshake = !matches!(self.scenario.kind, Kind::Shell | Kind::SilentCommand);
                assert_eq!(client_version.is_some(), handshake);
                self.program_starts = Some(self.now + self.scenario.start_up);
            }
            AgentEvent::DataKeyNeeded {
                ciphertext,
                key_id,
                encryption_context,
            } => {
                let Kind::EncryptedShell(mode) = self.scenario.kind else {
                    panic!("a key for a session in clear");
                };
                let challenge = encryption_context.contains_key("aws:ssm:RandomChallenge");
                assert_eq!(challenge, mode != ChallengeMode::Absent);
                let decrypt = Decrypt {
                    ciphertext,
                    key_id,
                    encryption_context,
                };
                self.kms.decrypting = Some((self.now + self.scenario.kms, decrypt));
            }
            AgentEvent::Input(data) => {
                assert!(self.program_runs);
                if self.scenario.kind == Kind::MULTIPLEXED {
                    return self.streams.arrive_at_agent(data, self.now);
                }
                self.input.arrive("input", &data);
                self.dial();
                let all = self.typist.is_done() && self.input.is_complete();
                if self.scenario.kind == Kind::SilentCommand && all {
                    self.wake_program();
                }
                if self.scenario.kind == Kind::Command && self.ending && all {
                    self.agent.finish(self.now); // It was interrupted.
                }
            }
            AgentEvent::Resize(size) => self.size_arrived = Some(size),
            AgentEvent::Flag(flag) => {
                if flag == ControlFlag::DISCONNECT_TO_PORT.0 {
                    return self.hang_up();
                }
                assert_eq!(flag, ControlFlag::TERMINATE_SESSION.0);
                self.agent.cancel(self.now);
            }
            AgentEvent::Writable => {
                self.wake_program();
                self.use_streams();
            }
            AgentEvent::ChannelClosed => self.agent.cancel(self.now),
            AgentEvent::Drained => {
                self.drained = true;
                if self.closed.is_none() {
                    self.close_channel(Side::Client);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}
