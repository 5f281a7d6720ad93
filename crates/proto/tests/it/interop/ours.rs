//! Our end of the pipe.

use std::collections::BTreeMap;

use bytes::Buf as _;
use bytes::Bytes;
use bytes::BytesMut;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;
use tokio::io::ReadHalf;
use tokio::io::WriteHalf;

use crate::support::clock::epoch;

pub(super) struct Ours {
    pub(super) mux: Mux,
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
    incoming: BytesMut,
    outgoing: Bytes,
    /// Most bytes of a payload.
    payload: usize,
    /// What is still to be said.
    speeches: BTreeMap<StreamId, Bytes>,
    heard: BTreeMap<StreamId, Heard>,
}

#[derive(Default)]
struct Heard {
    text: Vec<u8>,
    ended: bool,
}

impl Ours {
    pub(super) fn new(mux: Mux, pipe: DuplexStream, payload: usize) -> Self {
        let (reader, writer) = tokio::io::split(pipe);
        Self {
            mux,
            reader,
            writer,
            incoming: BytesMut::new(),
            outgoing: Bytes::new(),
            payload,
            speeches: BTreeMap::new(),
            heard: BTreeMap::new(),
        }
    }

    /// Opens a stream, says a text on it and ends it.
    pub(super) fn say(&mut self, text: &[u8]) -> StreamId {
        let id = self.mux.open().unwrap();
        self.say_on(id, text);
        id
    }

    pub(super) fn say_on(&mut self, id: StreamId, text: &[u8]) {
        self.speeches.insert(id, Bytes::copy_from_slice(text));
        self.speak(id);
    }

    /// What was said on a stream that the other end has ended.
    pub(super) fn heard(&self, id: StreamId) -> Option<&Vec<u8>> {
        let heard = self.heard.get(&id).filter(|heard| heard.ended);
        heard.map(|heard| &heard.text)
    }

    /// A stream that the other end has ended, and what it said.
    pub(super) fn take_ended(&mut self) -> Option<(StreamId, Vec<u8>)> {
        let mut streams = self.heard.iter();
        let id = *streams.find(|(_, heard)| heard.ended)?.0;
        let heard = self.heard.remove(&id)?;
        Some((id, heard.text))
    }

    /// Moves bytes until it is `done`, and everything we had to say has left.
    pub(super) async fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        loop {
            self.hear();
            let done = done(self);
            if self.outgoing.is_empty() {
                self.outgoing = self.mux.poll_transmit(self.payload).unwrap_or_default();
            }
            if done && self.outgoing.is_empty() {
                return;
            }
            self.turn().await;
        }
    }

    async fn turn(&mut self) {
        tokio::select! {
            read = self.reader.read_buf(&mut self.incoming) => {
                assert_ne!(read.unwrap(), 0, "the other end gave up");
                self.mux.handle_data(self.incoming.split().freeze(), epoch());
            }
            written = self.writer.write(&self.outgoing), if !self.outgoing.is_empty() => {
                self.outgoing.advance(written.unwrap());
            }
        }
    }

    fn hear(&mut self) {
        while let Some(event) = self.mux.poll_event() {
            match event {
                MuxEvent::Opened(_) => {}
                MuxEvent::Readable(id) => self.read(id),
                MuxEvent::Writable(id) => self.speak(id),
                other => panic!("{other:?}"),
            }
        }
    }

    fn read(&mut self, id: StreamId) {
        let heard = self.heard.entry(id).or_default();
        loop {
            match self.mux.read(id) {
                Received::Data(data) => heard.text.extend(data),
                Received::Pending => return,
                Received::Finished => return heard.ended = true,
                Received::Overrun => panic!("everything is read at once"),
            }
        }
    }

    fn speak(&mut self, id: StreamId) {
        let Some(rest) = self.speeches.get_mut(&id) else {
            return;
        };
        let taken = self.mux.write(id, rest.clone());
        rest.advance(taken);
        if rest.is_empty() {
            self.speeches.remove(&id);
            self.mux.finish(id);
        }
    }
}
