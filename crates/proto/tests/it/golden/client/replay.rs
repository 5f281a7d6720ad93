//! The replay: our client among recorded messages.

use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use ssm_session_proto::ClientSession;
use ssm_session_proto::DataKeyRequest;
use ssm_session_proto::Established;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::OpenDataChannel;
use ssm_session_proto::OutputStream;
use ssm_session_proto::PayloadType;
use ssm_session_proto::SequenceNumber;

use crate::golden::opened_or_joined;
use crate::golden::plaintext;
use crate::golden::stream;
use crate::golden::streams;
use crate::golden::streams::Streams;
use crate::support::clock::MS;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::ends::Sent;
use crate::support::recording::Recording;
use crate::support::recording::Sender;
use crate::support::recording::decoded;
use crate::support::smux;

/// A replay and what came of it.
pub(super) struct Replay<'a> {
    pub(super) recording: &'a Recording,
    pub(super) client: ClientSession,
    pub(super) now: Instant,
    pub(super) connected: bool,
    /// The number of the next message of the recorded client.
    pub(super) next: i64,
    pub(super) fed: Vec<Message>,
    pub(super) sent: Sent,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) exit_codes: Vec<i32>,
    pub(super) streams: Streams,
    pub(super) refusals: usize,
    pub(super) established: Vec<Established>,
    pub(super) asked: Vec<DataKeyRequest>,
}

impl<'a> Replay<'a> {
    pub(super) fn run(recording: &'a Recording) -> Self {
        let mut replay = Self {
            recording,
            client: ends::client(&session_id(recording), [1; 32]),
            now: epoch(),
            connected: false,
            next: 0,
            fed: Vec::new(),
            sent: Sent::default(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            exit_codes: Vec::new(),
            streams: Streams::new(),
            refusals: 0,
            established: Vec::new(),
            asked: Vec::new(),
        };
        for (sender, frame) in &recording.frames {
            replay.now += MS;
            match sender {
                Sender::Agent => replay.feed(frame),
                Sender::Client => replay.act(frame),
            }
            replay.drain();
        }
        replay
    }

    /// The relay dropped what the agent sent before the client was there.
    fn feed(&mut self, frame: &Frame) {
        if let Some(message) = decoded(frame).filter(|_| self.connected) {
            self.client.handle_frame(frame, self.now);
            if message.message_type.is_stream_data() {
                self.fed.push(message);
            }
        }
    }

    /// Does what made the recorded client send this.
    fn act(&mut self, frame: &Frame) {
        let Some(message) = decoded(frame) else {
            let opening = OpenDataChannel::from_json(frame.as_bytes()).unwrap();
            self.connected = true;
            return self.client.handle_connected(&opening.token_value, self.now);
        };
        let first_time = message.sequence_number == SequenceNumber(self.next);
        if message.message_type != MessageType::INPUT_STREAM_DATA || !first_time {
            return;
        }
        self.next += 1;
        match message.payload_type {
            PayloadType::OUTPUT => {
                let input = plaintext(self.recording, Sender::Client, &message);
                if let Some(mux) = self.client.streams() {
                    for frame in smux::frames(&input) {
                        streams::act(mux, frame);
                    }
                    return;
                }
                assert_eq!(self.client.write(&input, self.now), input.len());
            }
            PayloadType::SIZE => {
                let size = serde_json::from_slice(&message.payload).unwrap();
                self.client.resize(size, self.now);
            }
            PayloadType::FLAG => self.client.terminate(self.now),
            _ => {}
        }
    }

    fn drain(&mut self) {
        self.sent.drain(&mut self.client, self.now);
        for event in ends::events(&mut self.client) {
            match event {
                Event::Established(established) => self.established.push(established),
                Event::Output { stream, data } => match stream {
                    OutputStream::Stdout => self.stdout.extend(data),
                    OutputStream::Stderr => self.stderr.extend(data),
                },
                Event::ExitCode(code) => self.exit_codes.push(code),
                Event::DataKeyNeeded(request) => {
                    self.asked.push(request);
                    let key = self.recording.data_key().unwrap();
                    self.client.handle_data_key(Ok(key), self.now);
                    self.sent.drain(&mut self.client, self.now);
                }
                Event::ConnectionRefused => self.refusals += 1,
                other => panic!("{}: {other:?}", self.recording.name),
            }
        }
        while let Some(mux) = self.client.streams()
            && let Some(event) = mux.poll_event()
        {
            let MuxEvent::Readable(id) = event else {
                panic!("{}: {event:?}", self.recording.name);
            };
            streams::read(mux, id, &mut self.streams);
        }
    }

    /// What our client sent of one kind, opened.
    pub(super) fn ours(&self, kind: PayloadType) -> Vec<Bytes> {
        opened_or_joined(self.recording, Sender::Client, &self.sent.stream, kind)
    }

    pub(super) fn recorded(&self, sender: Sender, kind: PayloadType) -> Vec<Bytes> {
        let messages = stream(self.recording, sender);
        opened_or_joined(self.recording, sender, &messages, kind)
    }
}

fn session_id(recording: &Recording) -> String {
    let messages = recording.frames.iter().filter_map(|(_, f)| decoded(f));
    let state = messages
        .filter(|m| m.message_type == MessageType::AGENT_SESSION_STATE)
        .map(|m| serde_json::from_slice::<Value>(&m.payload).unwrap())
        .next()
        .unwrap();
    state["SessionId"].as_str().unwrap().to_owned()
}
