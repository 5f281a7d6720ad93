//! Our smux against somebody else's: a mistake that both of our ends share would not show between
//! them. The other end is `async_smux`, at the other end of a pipe.

mod ours;

use std::time::Duration;

use async_smux::MuxAcceptor;
use async_smux::MuxBuilder;
use async_smux::MuxConnector;
use async_smux::MuxStream;
use bytes::Bytes;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxRole;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;

use self::ours::Ours;
use crate::support::clock::epoch;
use crate::support::random::Random;

/// What the pipe holds in either direction.
const PIPE: usize = 64 * 1024;
/// So long a test may hang.
const LIMIT: Duration = Duration::from_secs(60);
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The least that a payload may be, that of agents, and one of several frames.
const PAYLOADS: [usize; 3] = [64, 1024, 100_000];

type Stream = MuxStream<DuplexStream>;

struct Theirs {
    connector: MuxConnector<DuplexStream>,
    acceptor: Option<MuxAcceptor<DuplexStream>>,
    /// What runs there besides the worker, which moves the bytes.
    users: JoinSet<()>,
    _worker: JoinSet<()>,
}

/// Both ends of a pipe, ours in the given role.
fn pair(role: MuxRole, payload: usize) -> (Ours, Theirs) {
    let (near, far) = tokio::io::duplex(PIPE);
    let (connector, acceptor, worker) = match role {
        MuxRole::Client => MuxBuilder::server().with_connection(far).build(),
        MuxRole::Agent => MuxBuilder::client().with_connection(far).build(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { worker.await.unwrap() });
    let ours = Ours::new(Mux::new(role, true, epoch()), near, payload);
    let theirs = Theirs {
        connector,
        acceptor: Some(acceptor),
        users: JoinSet::new(),
        _worker: tasks,
    };
    (ours, theirs)
}

impl Theirs {
    /// Has the next `count` streams used that our client opens.
    fn accept<T>(&mut self, count: usize, mut used: impl FnMut(Stream) -> T + Send + 'static)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let mut acceptor = self.acceptor.take().unwrap();
        self.users.spawn(async move {
            let mut users = JoinSet::new();
            for _ in 0..count {
                users.spawn(used(acceptor.accept().await.unwrap()));
            }
            while let Some(user) = users.join_next().await {
                user.unwrap();
            }
        });
    }

    /// Waits until all users are content and neither end has a stream left.
    async fn settle(&mut self, ours: &mut Ours) {
        loop {
            tokio::select! {
                user = self.users.join_next() => match user {
                    Some(user) => user.unwrap(),
                    None => break,
                },
                () = ours.run_until(|_| false) => {}
            }
        }
        ours.run_until(|ours| ours.mux.open_streams() == 0).await;
        while self.connector.get_num_streams() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let limited = async { tokio::time::timeout(LIMIT, test).await };
    runtime.block_on(limited).expect("it takes too long");
}

/// Texts from nothing to megabytes.
fn texts(count: usize) -> Vec<Bytes> {
    let mut random = Random::new(8);
    let sizes = [0, 1, 7, 1016, 32_768, 65_535, 65_536, 400_000];
    let sizes = sizes.into_iter().chain(std::iter::repeat(3000)).take(count);
    sizes.map(|size| random.bytes(size).into()).collect()
}

fn reversed(text: &[u8]) -> Vec<u8> {
    text.iter().rev().copied().collect()
}

/// Hears a stream to its end, then says the same backwards.
async fn answer(mut stream: Stream) {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    stream.write_all(&reversed(&text)).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// Says a text, short ones byte by byte, and hears it backwards.
async fn ask(mut stream: Stream, text: Bytes) {
    let piece = if text.len() < 5000 { 1 } else { 100_000 };
    for piece in text.chunks(piece) {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
    }
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard == reversed(&text), "{} bytes", text.len());
}

#[test]
fn our_client_asks_and_their_server_answers_on_many_streams() {
    for payload in PAYLOADS {
        run(async {
            let (mut ours, mut theirs) = pair(MuxRole::Client, payload);
            let texts = texts(60);
            theirs.accept(texts.len(), answer);
            let ids: Vec<_> = texts.iter().map(|text| ours.say(text)).collect();
            assert_eq!((ids[0].0, ids[59].0), (3, 121));
            theirs.settle(&mut ours).await;
            for (id, text) in ids.iter().zip(&texts) {
                assert!(ours.heard(*id) == Some(&reversed(text)), "stream {id}");
            }
        });
    }
}

#[test]
fn their_client_asks_and_our_agent_answers_on_many_streams() {
    for payload in PAYLOADS {
        run(async {
            let (mut ours, mut theirs) = pair(MuxRole::Agent, payload);
            let texts = texts(60);
            for text in texts.clone() {
                let stream = theirs.connector.connect().unwrap();
                theirs.users.spawn(ask(stream, text));
            }
            answer_all(&mut ours, texts.len()).await;
            theirs.settle(&mut ours).await;
        });
    }
}

/// Answers as [`answer`] does, at our end.
async fn answer_all(ours: &mut Ours, count: usize) {
    let mut answered = 0;
    ours.run_until(|ours| {
        while let Some((id, text)) = ours.take_ended() {
            ours.say_on(id, &reversed(&text));
            answered += 1;
        }
        answered == count
    })
    .await;
}

#[test]
fn their_server_may_end_a_stream_before_it_has_heard_anything() {
    run(async {
        let (mut ours, mut theirs) = pair(MuxRole::Client, 1024);
        let id = ours.mux.open().unwrap();
        theirs.accept(1, |mut stream| async move {
            stream.write_all(b"no time").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"a pity");
        });
        ours.run_until(|ours| ours.heard(id).is_some()).await;
        assert_eq!(ours.heard(id).unwrap(), b"no time");
        ours.say_on(id, b"a pity");
        theirs.settle(&mut ours).await;
    });
}

#[test]
fn a_stream_that_we_abandon_ends_at_their_side_behind_what_was_written() {
    run(async {
        let (mut ours, mut theirs) = pair(MuxRole::Client, 1024);
        let id = ours.mux.open().unwrap();
        ours.mux.write(id, Bytes::from_static(b"last words"));
        ours.mux.abandon(id);
        theirs.accept(1, |mut stream| async move {
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"last words");
            stream.write_all(b"for nobody").await.unwrap();
        });
        theirs.settle(&mut ours).await;
    });
}

#[test]
fn keepalive_frames_pass_between_data() {
    run(async {
        let (mut ours, mut theirs) = pair(MuxRole::Client, 1024);
        ours.mux.handle_timeout(epoch() + KEEPALIVE);
        theirs.accept(1, answer);
        let id = ours.say(b"hello");
        theirs.settle(&mut ours).await;
        assert_eq!(ours.heard(id).unwrap(), b"olleh");
    });
    run(async {
        let (mut ours, mut theirs) = pair(MuxRole::Agent, 1024);
        ours.mux.handle_timeout(epoch() + KEEPALIVE);
        let stream = theirs.connector.connect().unwrap();
        theirs
            .users
            .spawn(ask(stream, Bytes::from_static(b"hello")));
        answer_all(&mut ours, 1).await;
        theirs.settle(&mut ours).await;
    });
}
