//! The client's end of a port session, on the state machines of the protocol crate.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;
use std::time::SystemTime;

use bytes::Buf as _;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use serde_json::Value;
use ssm_session::ControlPlane as _;
use ssm_session_emulator::EmulatedControlPlane;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::StartedSession;
use ssm_session_proto::ClientConfig;
use ssm_session_proto::ClientSession;
use ssm_session_proto::CloseReason;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::LocalEnd;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;
use ssm_session_proto::WallClock;
use tokio_websockets::Message;
use uuid::Uuid;

use crate::support::Channel;
use crate::support::Upgraded;

/// A session and its socket.
pub(crate) struct Peer {
    pub(crate) id: String,
    /// None between two connections.
    socket: Option<Upgraded>,
    control_plane: EmulatedControlPlane,
    pub(crate) session: ClientSession,
    outgoing: VecDeque<Message>,
    /// For stdio and basic sessions.
    typed: Bytes,
    pub(crate) output: Vec<u8>,
    pub(crate) streams: BTreeMap<StreamId, Stream>,
    pub(crate) established: bool,
    properties: Value,
    pub(crate) refusals: usize,
    pub(crate) disconnections: usize,
    pub(crate) exit_code: Option<i32>,
    pub(crate) closed: Option<CloseReason>,
    /// How often the session has waited in vain since anything came.
    pub(crate) silences: usize,
}

/// One stream of a multiplexed session.
#[derive(Default)]
pub(crate) struct Stream {
    unwritten: Bytes,
    /// FIN follows what is written.
    finish: bool,
    pub(crate) received: Vec<u8>,
    pub(crate) ended: bool,
}

impl Peer {
    /// Starts a session of `document` and waits until it is established.
    pub(crate) async fn start(
        emulator: &Emulator,
        document: &str,
        parameters: &[(&str, &str)],
    ) -> Self {
        let mut peer = Self::open(emulator, &start(emulator, document, parameters)).await;
        peer.until(|peer| peer.established || peer.closed.is_some())
            .await;
        peer
    }

    /// Attaches to a session.
    pub(crate) async fn open(emulator: &Emulator, session: &StartedSession) -> Self {
        let config = ClientConfig {
            client_id: Uuid::from_u128(1),
            session_id: session.session_id.clone(),
            target: Some(StartSession::default().target),
        };
        let clock = WallClock::new(Instant::now(), SystemTime::UNIX_EPOCH.elapsed().unwrap());
        let mut machine = ClientSession::new(config, clock, [7; 32]);
        machine.handle_connected(&session.token, Instant::now());
        Self {
            id: session.session_id.clone(),
            socket: Some(Channel::connect(&session.stream_url).await.0),
            control_plane: emulator.control_plane(),
            session: machine,
            outgoing: VecDeque::new(),
            typed: Bytes::new(),
            output: Vec::new(),
            streams: BTreeMap::new(),
            established: false,
            properties: Value::Null,
            refusals: 0,
            disconnections: 0,
            exit_code: None,
            closed: None,
            silences: 0,
        }
    }

    /// Leaves without a word.
    pub(crate) fn hang_up(&mut self) {
        self.socket = None;
        self.outgoing.clear();
        self.session.handle_disconnected(Instant::now());
    }

    /// Attaches again. A socket that is open is dropped for the new one.
    pub(crate) async fn reopen(&mut self, session: &StartedSession) {
        let socket = Channel::connect(&session.stream_url).await.0;
        self.hang_up();
        self.socket = Some(socket);
        self.session
            .handle_connected(&session.token, Instant::now());
    }

    /// Writes in a stdio or basic session.
    pub(crate) fn write(&mut self, data: impl Into<Bytes>) {
        assert!(self.typed.is_empty(), "one write at a time");
        self.typed = data.into();
    }

    /// Sends a message as it is.
    pub(crate) fn send_raw(&mut self, message: Message) {
        self.outgoing.push_back(message);
    }

    /// Writes, and waits until as much has come back.
    pub(crate) async fn exchange(&mut self, data: impl Into<Bytes>) -> Vec<u8> {
        let data = data.into();
        let length = data.len();
        self.write(data);
        self.until(|peer| peer.output.len() >= length).await;
        std::mem::take(&mut self.output)
    }

    /// Opens a stream and writes to it.
    pub(crate) fn stream(&mut self, data: impl Into<Bytes>) -> StreamId {
        let id = self.session.streams().unwrap().open().unwrap();
        let stream = Stream {
            unwritten: data.into(),
            ..Stream::default()
        };
        self.streams.insert(id, stream);
        id
    }

    pub(crate) fn send(&mut self, id: StreamId, data: impl Into<Bytes>) {
        let stream = self.streams.get_mut(&id).unwrap();
        assert!(stream.unwritten.is_empty(), "one write at a time");
        stream.unwritten = data.into();
    }

    pub(crate) fn finish(&mut self, id: StreamId) {
        self.streams.get_mut(&id).unwrap().finish = true;
    }

    pub(crate) fn received(&self, id: StreamId) -> &[u8] {
        &self.streams[&id].received
    }

    pub(crate) fn ended(&self, id: StreamId) -> bool {
        self.streams[&id].ended
    }

    /// Bytes of a stream that the session has not taken.
    pub(crate) fn unwritten(&self, id: StreamId) -> usize {
        self.streams[&id].unwritten.len()
    }

    pub(crate) fn local_end(&self) -> Option<LocalEnd> {
        LocalEnd::from_properties(&self.properties).ok()
    }

    /// The words the service closes the session with.
    pub(crate) async fn words(&mut self) -> String {
        self.until(|peer| peer.closed.is_some()).await;
        match self.closed.take() {
            Some(CloseReason::ChannelClosed { output, .. }) => output,
            other => panic!("closed by {other:?}"),
        }
    }

    /// Lets the session run until `happened`.
    pub(crate) async fn until(&mut self, happened: impl Fn(&Self) -> bool) {
        loop {
            self.settle();
            if happened(self) {
                return;
            }
            assert!(self.step().await, "the channel was closed");
        }
    }

    /// Does what needs no waiting.
    pub(crate) fn advance(&mut self) {
        self.settle();
        if let Some(Some(message)) = self.receive().now_or_never() {
            self.take(message);
        }
    }

    /// Lets the session run until `future` is ready.
    pub(crate) async fn during<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            self.settle();
            tokio::select! {
                value = future.as_mut() => return value,
                open = self.step() => assert!(open, "the channel was closed"),
            }
        }
    }

    /// Lets the session run until its socket is closed, and tells with what code, if with any.
    pub(crate) async fn until_socket_closes(&mut self) -> Option<u16> {
        loop {
            self.settle();
            match self.receive().await? {
                message if message.is_close() => {
                    return message.as_close().map(|(code, _)| code.into());
                }
                message => self.take(message),
            }
        }
    }

    /// Waits for one thing to happen; false when the socket is closed.
    async fn step(&mut self) -> bool {
        let timeout = self.session.poll_timeout();
        tokio::select! {
            message = self.receive() => match message {
                Some(message) => self.take(message),
                None => return false,
            },
            () = until(timeout) => {
                self.silences += 1;
                self.session.handle_timeout(Instant::now());
            }
        }
        true
    }

    fn take(&mut self, message: Message) {
        self.silences = 0;
        if message.is_binary() {
            let frame = Frame::Binary(message.into_payload().into());
            self.session.handle_frame(&frame, Instant::now());
        }
    }

    /// The next message; sends meanwhile. Dropping the future loses nothing.
    async fn receive(&mut self) -> Option<Message> {
        let Self {
            socket, outgoing, ..
        } = self;
        let socket = socket.as_mut()?;
        poll_fn(|cx| {
            while socket.poll_ready_unpin(cx).is_ready()
                && let Some(message) = outgoing.pop_front()
            {
                // A socket that was closed says so to the reader.
                socket.start_send_unpin(message).ok();
            }
            // Whatever comes of it, the reader learns it.
            drop(socket.poll_flush_unpin(cx));
            match socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => Poll::Ready(Some(message)),
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Does everything that needs no waiting.
    fn settle(&mut self) {
        loop {
            let taken = self.session.write(&self.typed, Instant::now());
            self.typed.advance(taken);
            self.write_streams();
            while let Some(frame) = self.session.poll_transmit(Instant::now()) {
                self.outgoing.push_back(match frame {
                    Frame::Text(text) => Message::text(text),
                    Frame::Binary(bytes) => Message::binary(bytes),
                });
            }
            let more = self.take_stream_events();
            match self.session.poll_event() {
                Some(event) => self.on_event(event),
                None if more || taken > 0 => {}
                None => return,
            }
        }
    }

    fn write_streams(&mut self) {
        let Some(mux) = self.session.streams() else {
            return;
        };
        for (id, stream) in &mut self.streams {
            if !stream.unwritten.is_empty() {
                let taken = mux.write(*id, stream.unwritten.clone());
                stream.unwritten.advance(taken);
            }
            if stream.finish && stream.unwritten.is_empty() {
                stream.finish = false;
                mux.finish(*id);
            }
        }
    }

    fn take_stream_events(&mut self) -> bool {
        let Some(mux) = self.session.streams() else {
            return false;
        };
        let mut any = false;
        while let Some(event) = mux.poll_event() {
            any = true;
            let MuxEvent::Readable(id) = event else {
                continue;
            };
            let stream = self.streams.get_mut(&id).unwrap();
            loop {
                match mux.read(id) {
                    Received::Data(data) => stream.received.extend_from_slice(&data),
                    Received::Pending => break,
                    Received::Finished => {
                        stream.ended = true;
                        // As the real client: its side is over as well.
                        mux.abandon(id);
                        break;
                    }
                    Received::Overrun => panic!("everything is read at once"),
                }
            }
        }
        any
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Established(established) => {
                self.established = true;
                self.properties = established.properties;
            }
            Event::Output { data, .. } => self.output.extend_from_slice(&data),
            Event::ConnectionRefused => self.refusals += 1,
            Event::DataKeyNeeded(request) => {
                let key = self.control_plane.data_key(request).now_or_never();
                let key = key.expect("the emulator answers at once").unwrap();
                self.session.handle_data_key(Ok(key), Instant::now());
            }
            Event::ExitCode(code) => self.exit_code = Some(code),
            Event::PortDisconnected => self.disconnections += 1,
            Event::Closed(reason) => self.closed = Some(reason),
            _ => {}
        }
    }
}

/// Starts a session without attaching to it.
pub(crate) fn start(
    emulator: &Emulator,
    document: &str,
    parameters: &[(&str, &str)],
) -> StartedSession {
    let parameters = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]));
    emulator
        .start_session(StartSession {
            document_name: Some(document.to_owned()),
            parameters: parameters.collect(),
            ..StartSession::default()
        })
        .unwrap()
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
