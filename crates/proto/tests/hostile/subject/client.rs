//! The client's end.

use std::time::Instant;

use ssm_session_proto::ClientSession;
use ssm_session_proto::CloseReason;
use ssm_session_proto::DataKey;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::MessageType;
use ssm_session_proto::PortForm;
use ssm_session_proto::Secret;
use ssm_session_proto::StreamId;
use ssm_session_proto::TerminalSize;

use super::Subject;
use super::acknowledged;
use super::pass;
use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::recording::Recording;
use crate::support::recording::Sender;
use crate::support::seal;
use crate::support::seal::Direction;

pub(crate) struct Client {
    session: ClientSession,
    key: Option<DataKey>,
    encrypted: bool,
    arrived: Option<Vec<u8>>,
    acknowledged: Vec<i64>,
    closed: Option<CloseReason>,
}

impl Subject for Client {
    const PEER: Sender = Sender::Agent;
    const PEERS_DATA: MessageType = MessageType::OUTPUT_STREAM_DATA;

    fn new(recording: &Recording, seed: [u8; 32]) -> Self {
        let mut session = ends::client(ends::SESSION, seed);
        session.handle_connected(&Secret::new("token"), epoch());
        session.resize(TerminalSize { cols: 80, rows: 24 }, epoch());
        assert_eq!(session.write(b"ls\r", epoch()), 3);
        Self {
            session,
            key: recording.data_key(),
            encrypted: false,
            arrived: None,
            acknowledged: Vec::new(),
            closed: None,
        }
    }

    fn feed(&mut self, frame: &Frame, now: Instant) {
        pass(&mut self.session, now);
        self.session.handle_frame(frame, now);
        self.acknowledged
            .extend(acknowledged(&mut self.session, now));
        for event in ends::events(&mut self.session) {
            assert_eq!(self.closed, None, "{event:?} after the end");
            match event {
                Event::Established(established) => {
                    self.encrypted = established.encrypted;
                    // Streams hand nothing out unasked.
                    let multiplexed = established.port_form() == Some(PortForm::Multiplexed);
                    self.arrived = (!multiplexed).then(Vec::new);
                    self.open_streams();
                }
                Event::DataKeyNeeded(_) => {
                    // A damaged request may ask for a key where none was recorded.
                    let key = self.key.clone().ok_or_else(|| "no such key".to_owned());
                    self.session.handle_data_key(key, now);
                }
                Event::Output { data, .. } => self.arrived = Some(data.to_vec()),
                Event::Closed(reason) => self.closed = Some(reason),
                _ => {}
            }
        }
        self.acknowledged
            .extend(acknowledged(&mut self.session, now));
    }

    fn is_over(&self) -> bool {
        match &self.closed {
            None => false,
            Some(CloseReason::ProtocolViolation(_) | CloseReason::HandshakeFailed(_)) => true,
            Some(other) => panic!("{other:?}"),
        }
    }

    fn arrived(&self) -> Option<&[u8]> {
        // A second request, after a session was taken for one without, begins a handshake.
        let arrived = self.arrived.as_deref();
        arrived.filter(|_| self.session.is_established())
    }

    fn sealed(&self, plain: &[u8]) -> Vec<u8> {
        match &self.key {
            Some(key) if self.encrypted => seal::seal(&key.plaintext, Direction::FromAgent, plain),
            _ => plain.to_vec(),
        }
    }

    fn acknowledged(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.acknowledged)
    }
}

impl Client {
    /// Those of the recordings, which nobody reads.
    fn open_streams(&mut self) {
        if let Some(mux) = self.session.streams() {
            assert_eq!(mux.open(), Some(StreamId(3)));
            assert_eq!(mux.open(), Some(StreamId(5)));
        }
    }
}
