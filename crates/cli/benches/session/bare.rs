//! A bare WebSocket over loopback: what the machine gives before any protocol of ours.

use std::time::Duration;
use std::time::Instant;

use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_websockets::ClientBuilder;
use tokio_websockets::Message;
use tokio_websockets::ServerBuilder;
use tokio_websockets::WebSocketStream;

/// A header and one key.
const KEY_FRAME: usize = 121;
/// A header and the agent's usual payload.
const OUTPUT_FRAME: usize = 120 + 1024;

/// One connection to a server that returns every message.
pub(crate) struct Echo {
    runtime: Runtime,
    socket: WebSocketStream<TcpStream>,
}

impl Echo {
    pub(crate) fn connect() -> Self {
        let runtime = runtime();
        let socket = runtime.block_on(connect(async |mut socket| {
            while let Some(Ok(message)) = socket.next().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        }));
        Self { runtime, socket }
    }

    pub(crate) fn round_trip(&mut self) {
        let Self { runtime, socket } = self;
        runtime.block_on(async {
            socket
                .send(Message::binary(vec![7; KEY_FRAME]))
                .await
                .expect("the server takes it");
            socket
                .next()
                .await
                .expect("the server answers")
                .expect("a message");
        });
    }
}

/// How long it takes to receive this many payload bytes.
pub(crate) fn download(bytes: usize) -> Duration {
    let frames = bytes / 1024;
    let runtime = runtime();
    runtime.block_on(async {
        let mut socket = connect(async move |mut socket| {
            let payload = bytes::Bytes::from(vec![7; OUTPUT_FRAME]);
            for _ in 0..frames {
                if socket.feed(Message::binary(payload.clone())).await.is_err() {
                    return;
                }
            }
            // The client may be gone by the time the last batch is out.
            drop(socket.flush().await);
        })
        .await;
        let start = Instant::now();
        for _ in 0..frames {
            socket
                .next()
                .await
                .expect("the server sends")
                .expect("a message");
        }
        start.elapsed()
    })
}

/// Serves one connection on a thread of its own and connects to it.
async fn connect<F>(serve: F) -> WebSocketStream<TcpStream>
where
    F: AsyncFnOnce(WebSocketStream<TcpStream>) + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        runtime().block_on(async {
            listener.set_nonblocking(true).expect("a listener");
            let listener = TcpListener::from_std(listener).expect("a listener");
            let (stream, _) = listener.accept().await.expect("a client");
            stream.set_nodelay(true).expect("a socket");
            serve(ServerBuilder::new().serve(stream)).await;
        });
    });
    let stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    stream.set_nodelay(true).expect("a socket");
    ClientBuilder::new().take_over(stream)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
