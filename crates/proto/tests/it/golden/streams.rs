//! The streams of the recorded port sessions: what passed on each, and our end of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use ssm_session_proto::Mux;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;

use super::opened;
use super::stream;
use crate::support::recording::Recording;
use crate::support::recording::Sender;
use crate::support::smux::Command;
use crate::support::smux::SmuxFrame;
use crate::support::smux::frames;

/// What one end said on one stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) data: Vec<u8>,
    pub(super) ended: bool,
}

/// What one end said on each stream.
pub(super) type Streams = BTreeMap<StreamId, Said>;

pub(super) fn is_multiplexed(recording: &Recording) -> bool {
    recording.name.starts_with("port-mux")
}

/// What `sender` said in the recording. Empty unless the session is multiplexed.
pub(super) fn recorded(recording: &Recording, sender: Sender) -> Streams {
    let mut streams = Streams::new();
    if !is_multiplexed(recording) {
        return streams;
    }
    let messages = stream(recording, sender);
    let wire = opened(recording, sender, &messages, PayloadType::OUTPUT).concat();
    for frame in frames(&wire) {
        let said = streams.entry(StreamId(frame.stream)).or_default();
        assert!(!said.ended, "{frame:?} after the end");
        said.data.extend(frame.data);
        said.ended = frame.command == Command::Fin;
    }
    streams
}

/// Does with our streams what made the recorded end send a frame.
pub(super) fn act(mux: &mut Mux, frame: SmuxFrame) {
    let id = StreamId(frame.stream);
    match frame.command {
        Command::Syn => assert_eq!(mux.open(), Some(id)),
        Command::Push => {
            let length = frame.data.len();
            assert_eq!(mux.write(id, Bytes::from(frame.data)), length);
        }
        Command::Fin => mux.finish(id),
        Command::Nop => panic!("nobody asked for it"),
    }
}

/// Reads what there is to read.
pub(super) fn read(mux: &mut Mux, id: StreamId, streams: &mut Streams) {
    let said = streams.entry(id).or_default();
    loop {
        match mux.read(id) {
            Received::Data(data) => said.data.extend(data),
            Received::Pending => return,
            Received::Finished => {
                assert!(!std::mem::replace(&mut said.ended, true), "told twice");
                return;
            }
            Received::Overrun => panic!("everything was read"),
        }
    }
}
