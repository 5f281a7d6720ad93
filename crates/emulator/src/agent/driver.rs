//! The loop that joins a session's command or connections with the agent's half of the protocol.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEncryption;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::AgentSession;
use ssm_session_proto::ControlFlag;
use ssm_session_proto::DataKey;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::OutputStream;
use ssm_session_proto::Secret;
use ssm_session_proto::SessionType;
use ssm_session_proto::Version;
use ssm_session_proto::WallClock;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::AgentTask;
use super::Outcome;
use super::Relay;
use super::Status;
use super::held::HeldInput;
use super::job::End;
use super::job::Job;
use super::job::Turn;
use super::properties::Properties;
use crate::deadline::until;
use crate::kms::Kms;
use crate::plan::Pacing;
use crate::random;

/// The one owner of a session's state.
pub(super) struct Driver {
    task: AgentTask,
    machine: AgentSession,
    relay: Relay,
    kms: Arc<Kms>,
    job: Option<Job>,
    held: HeldInput,
    /// A frame the relay had no room for.
    unsent: Option<Frame>,
    /// Output the machine had no room for.
    unaccepted: Option<(OutputStream, Bytes)>,
    /// Before this moment no output is taken from the job.
    output_from: Instant,
    outcome: Outcome,
    /// Nothing is left to do but to send what is queued.
    drained: bool,
    /// The agent has broken off, and acknowledges nothing more.
    broken_off: bool,
}

/// Why the loop woke up.
enum Wake {
    /// The relay took the frame that waited.
    Sent,
    Frame(Frame),
    Job(Turn),
    Timer,
    /// Output may be taken from the job again.
    OutputDue,
    /// The service has dropped its end of the relay.
    Abandoned,
}

impl Driver {
    /// A session that has not begun.
    pub(super) fn new(task: AgentTask, relay: Relay, kms: Arc<Kms>) -> Self {
        let now = Instant::now();
        // A clock before 1970 is a mistake of this machine; the frames then say 1970.
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let clock = WallClock::new(now.into_std(), unix);
        let machine = AgentSession::new(config(&task), clock, random::bytes());
        Self {
            task,
            machine,
            relay,
            kms,
            job: None,
            held: HeldInput::default(),
            unsent: None,
            unaccepted: None,
            output_from: now,
            outcome: Outcome::success(),
            drained: false,
            broken_off: false,
        }
    }

    /// Runs the session to its end.
    pub(super) async fn run(mut self) -> Outcome {
        // The service believes an agent of its own whatever it sends.
        let token = Secret::new(random::hex(32));
        self.machine.handle_connected(&token, now());
        loop {
            self.settle();
            if self.drained && self.unsent.is_none() {
                return self.outcome;
            }
            match self.wake().await {
                Wake::Frame(frame) => self.take_frames(frame),
                Wake::Job(turn) => self.take_turn(turn),
                Wake::Timer => self.machine.handle_timeout(now()),
                Wake::Sent | Wake::OutputDue => {}
                Wake::Abandoned => {
                    tracing::debug!("the service has left the session");
                    return self.outcome;
                }
            }
        }
    }

    /// Does everything that can be done without waiting.
    fn settle(&mut self) {
        loop {
            // Before anything is sent: what an event leads to may change that.
            self.take_events();
            self.transmit();
            if !(self.offer_output() || self.release_input() || self.fetch_output()) {
                return;
            }
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            self.on_event(event);
        }
    }

    /// Takes `frame` and what came with it.
    fn take_frames(&mut self, frame: Frame) {
        self.take_frame(frame);
        for _ in 0..BATCH {
            self.take_events();
            match self.relay.from_gateway.try_recv() {
                Ok(frame) => self.take_frame(frame),
                // A relay without its other end is noticed when the loop waits for frames.
                Err(_) => return,
            }
        }
    }

    /// Shows the machine a frame, or holds it back until the command has taken the input before it.
    fn take_frame(&mut self, frame: Frame) {
        let frame = if self.takes_input() && self.held.is_empty() {
            Some(frame)
        } else {
            self.held.hold(frame)
        };
        if let Some(frame) = frame {
            self.machine.handle_frame(&frame, now());
        }
    }

    /// Shows the machine the input that was held back first, if its time has come; whether there was any.
    fn release_input(&mut self) -> bool {
        if !self.takes_input() {
            return false;
        }
        let Some(frame) = self.held.release() else {
            return false;
        };
        self.machine.handle_frame(&frame, now());
        true
    }

    fn takes_input(&self) -> bool {
        self.job.as_ref().is_none_or(Job::takes_input)
    }

    /// Hands the machine's frames to the relay while it has room.
    fn transmit(&mut self) {
        while self.unsent.is_none()
            && let Some(frame) = self.machine.poll_transmit(now())
        {
            if self.broken_off && is_acknowledgement(&frame) {
                continue;
            }
            match self.relay.to_client.try_send(frame) {
                Ok(()) => {}
                // A relay without its other end is noticed when the loop waits for room.
                Err(TrySendError::Full(frame) | TrySendError::Closed(frame)) => {
                    self.unsent = Some(frame);
                }
            }
        }
    }

    /// Offers the machine the output it refused before; whether it took it.
    fn offer_output(&mut self) -> bool {
        let Some((stream, data)) = &self.unaccepted else {
            return false;
        };
        if self.machine.write(*stream, data, now()) < data.len() {
            return false;
        }
        self.unaccepted = None;
        if self.task.pacing == Pacing::Agent
            && let Some(job) = &self.job
        {
            self.output_from = Instant::now() + job.wait_after_output();
        }
        true
    }

    /// Takes output that is there already, where nothing has to be waited for; whether there was any.
    fn fetch_output(&mut self) -> bool {
        if self.task.pacing == Pacing::Agent || self.unaccepted.is_some() {
            return false;
        }
        let output = self.job.as_mut().and_then(Job::next_output);
        self.unaccepted = output.map(|data| (OutputStream::Stdout, data));
        self.unaccepted.is_some()
    }

    fn on_event(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Started { client_version } => {
                tracing::debug!(?client_version, "the session starts");
                self.start_job(client_version.as_ref());
            }
            AgentEvent::DataKeyNeeded {
                ciphertext,
                key_id,
                encryption_context,
            } => {
                let key = self
                    .kms
                    .decrypt(&ciphertext, Some(&key_id), &encryption_context)
                    .map(|key| DataKey {
                        plaintext: key.plaintext,
                        ciphertext,
                    })
                    .map_err(|error| error.to_string());
                self.machine.handle_data_key(key, now());
            }
            AgentEvent::Input(data) => {
                if let Some(job) = &mut self.job {
                    job.input(data);
                }
            }
            AgentEvent::Resize(size) => {
                if let Some(job) = &self.job {
                    job.resize(size);
                }
            }
            AgentEvent::Failed(text) => {
                self.outcome = Outcome::failed(text);
                self.cancel();
            }
            AgentEvent::ChannelClosed => self.cancel(),
            AgentEvent::Drained => self.drained = true,
            AgentEvent::Flag(flag) => {
                let end = self
                    .job
                    .as_mut()
                    .and_then(|job| job.flag(ControlFlag(flag)));
                if let Some(end) = end {
                    self.broken_off = end.outcome.status == Status::Failed;
                    self.end(end);
                }
            }
            // Refused output is offered at every turn of the loop.
            AgentEvent::Writable => {}
            _ => tracing::debug!("an event of a newer protocol crate"),
        }
    }

    fn start_job(&mut self, client_version: Option<&Version>) {
        let job = Job::start(&self.task, client_version);
        if self.task.pacing == Pacing::Agent {
            self.output_from = Instant::now() + job.wait_before_output();
        }
        self.job = Some(job);
        self.machine.accept_input();
    }

    fn take_turn(&mut self, turn: Turn) {
        match turn {
            Turn::Output { stream, data } => self.unaccepted = Some((stream, data)),
            Turn::InputTaken => {}
            Turn::ExitCode(code) => self.machine.exit_code(code, now()),
            Turn::ConnectToPortError => self.machine.connect_to_port_error(now()),
            Turn::Ended(end) => self.end(end),
        }
    }

    /// The job has ended by itself.
    fn end(&mut self, End { announced, outcome }: End) {
        tracing::debug!(?outcome.status, "the session's job is done");
        self.job = None;
        self.outcome = outcome;
        if announced {
            self.machine.finish(now());
        } else {
            self.machine.cancel(now());
        }
    }

    /// The session is to end without its command: that is killed, and what it wrote but is not on its way is lost.
    fn cancel(&mut self) {
        self.job = None;
        self.unaccepted = None;
        self.machine.cancel(now());
    }

    /// Waits until something can be done. What it waits for may be dropped and waited for again.
    async fn wake(&mut self) -> Wake {
        let waits_for_room = self.unsent.is_some();
        let refused = self.unaccepted.is_some();
        let may_output = !refused && self.output_from <= Instant::now();
        let output_from = (!refused && !may_output).then_some(self.output_from);
        let Self {
            machine,
            relay,
            job,
            unsent,
            ..
        } = self;
        tokio::select! {
            room = relay.to_client.reserve(), if waits_for_room => match room {
                Ok(room) => {
                    if let Some(frame) = unsent.take() {
                        room.send(frame);
                    }
                    Wake::Sent
                }
                Err(_) => Wake::Abandoned,
            },
            () = relay.to_client.closed(), if !waits_for_room => Wake::Abandoned,
            frame = relay.from_gateway.recv() => match frame {
                Some(frame) => Wake::Frame(frame),
                None => Wake::Abandoned,
            },
            turn = turn_of(job.as_mut(), may_output) => Wake::Job(turn),
            () = until(machine.poll_timeout().map(Instant::from_std)) => Wake::Timer,
            () = until(output_from) => Wake::OutputDue,
        }
    }
}

/// How the machine is told about a session.
fn config(task: &AgentTask) -> AgentConfig {
    let document = &task.document;
    let separate_output = document.session_type == SessionType::NON_INTERACTIVE_COMMANDS
        && Properties::parse(&document.properties)
            .is_ok_and(|properties| matches!(properties.separate_output, Ok(Some(_))));
    AgentConfig {
        session_id: task.session_id.clone(),
        instance_id: task.instance_id.clone(),
        agent_version: task.agent_version.clone(),
        session_type: document.session_type.clone(),
        properties: document.properties.clone(),
        encryption: document
            .inputs
            .kms_key_id
            .clone()
            .map(|key_id| AgentEncryption {
                key_id,
                challenge: task.challenge,
            }),
        separate_output,
        ways: task.ways,
    }
}

fn is_acknowledgement(frame: &Frame) -> bool {
    Message::decode_undigested(frame.as_bytes())
        .is_ok_and(|message| message.message_type == MessageType::ACKNOWLEDGE)
}

pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

async fn turn_of(job: Option<&mut Job>, may_output: bool) -> Turn {
    match job {
        Some(job) => job.turn(may_output).await,
        None => std::future::pending().await,
    }
}

/// Frames taken before anything is sent, so that neither direction waits long for the other.
const BATCH: usize = 32;
