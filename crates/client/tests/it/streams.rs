//! The streams of a node: each leads to a destination, as an agent's streams do.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::MuxRole;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;

/// Payloads of agents.
const PAYLOAD: usize = 1024;
/// Pieces of destinations on their way into the streams.
const ON_THEIR_WAY: usize = 64;

/// What a destination said; nothing at its end.
type Said = (StreamId, Option<Bytes>);

pub(crate) struct Streams {
    pub(crate) mux: Mux,
    /// The way to each destination. Dropping it ends both directions, as the agent does.
    to: HashMap<StreamId, mpsc::UnboundedSender<Bytes>>,
    said: mpsc::UnboundedSender<Said>,
    waiting: VecDeque<Said>,
    room: Arc<Semaphore>,
    heard: Option<mpsc::UnboundedReceiver<Said>>,
}

impl Streams {
    pub(crate) fn new() -> Self {
        let (said, heard) = mpsc::unbounded_channel();
        Self {
            mux: Mux::new(MuxRole::Agent, false, Instant::now()),
            to: HashMap::new(),
            said,
            waiting: VecDeque::new(),
            room: Arc::new(Semaphore::new(ON_THEIR_WAY)),
            heard: Some(heard),
        }
    }

    /// Where to hear what destinations say, for [`on_said`](Self::on_said).
    pub(crate) fn take_heard(&mut self) -> mpsc::UnboundedReceiver<Said> {
        self.heard.take().unwrap()
    }

    pub(crate) fn on_said(&mut self, said: Said) {
        self.waiting.push_back(said);
    }

    pub(crate) fn next_payload(&mut self) -> Option<Bytes> {
        while let Some((id, said)) = self.waiting.front_mut() {
            match said {
                Some(data) => {
                    if self.to.contains_key(id) {
                        let taken = self.mux.write(*id, data.clone());
                        drop(data.split_to(taken));
                        if !data.is_empty() {
                            break;
                        }
                    }
                    self.room.add_permits(1);
                }
                None => {
                    self.mux.finish(*id);
                }
            }
            self.waiting.pop_front();
        }
        self.mux.poll_transmit(PAYLOAD)
    }

    /// What the client sent for the streams. Answers with those it opened.
    pub(crate) fn on_input(&mut self, data: Bytes) -> Vec<StreamId> {
        self.mux.handle_data(data, Instant::now());
        let mut opened = Vec::new();
        while let Some(event) = self.mux.poll_event() {
            match event {
                MuxEvent::Opened(id) => opened.push(id),
                MuxEvent::Readable(id) => self.on_readable(id),
                MuxEvent::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
        opened
    }

    fn on_readable(&mut self, id: StreamId) {
        loop {
            match self.mux.read(id) {
                Received::Data(data) => {
                    if let Some(to) = self.to.get(&id) {
                        to.send(data).ok();
                    }
                }
                Received::Pending => return,
                Received::Finished | Received::Overrun => {
                    self.to.remove(&id);
                    return self.mux.finish(id);
                }
            }
        }
    }

    /// Joins a stream with a destination, whose other half of the pipe the caller has.
    pub(crate) fn join(&mut self, id: StreamId, pipe: DuplexStream) {
        let (mut from, mut into) = tokio::io::split(pipe);
        let (to, mut written) = mpsc::unbounded_channel::<Bytes>();
        self.to.insert(id, to);
        let (said, room) = (self.said.clone(), Arc::clone(&self.room));
        tokio::spawn(async move {
            let writing = async {
                while let Some(data) = written.recv().await {
                    if into.write_all(&data).await.is_err() {
                        // The destination reads no more; it may still write.
                        while written.recv().await.is_some() {}
                    }
                }
            };
            let reading = async {
                loop {
                    let mut data = vec![0; 16 * 1024];
                    let length = from.read(&mut data).await.unwrap_or(0);
                    data.truncate(length);
                    let data = Some(Bytes::from(data)).filter(|data| !data.is_empty());
                    let ends = data.is_none();
                    if !ends {
                        room.acquire().await.unwrap().forget();
                    }
                    if said.send((id, data)).is_err() || ends {
                        break;
                    }
                }
            };
            // The client's end ends both directions; the destination's own lets it read on.
            tokio::pin!(reading);
            tokio::select! {
                () = writing => {}
                () = &mut reading => {}
            }
        });
    }
}
