//! Destinations of port sessions.

use std::future::Future;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A server on a free port of loopback; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    _connections: JoinSet<()>,
}

impl Server {
    /// Has `serve` deal with every connection, by its number.
    pub(crate) async fn start<F>(serve: impl Fn(TcpStream, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut running = JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                running.spawn(serve(stream, number));
            }
        });
        Self {
            port,
            _connections: connections,
        }
    }

    /// Returns every byte, and the end of the stream.
    pub(crate) async fn echo() -> Self {
        Self::start(|mut stream, _| async move {
            let (mut reader, mut writer) = stream.split();
            // A connection that is reset has nothing to return.
            tokio::io::copy(&mut reader, &mut writer).await.ok();
        })
        .await
    }

    /// Sends `data` and closes.
    pub(crate) async fn sender(data: bytes::Bytes) -> Self {
        Self::start(move |mut stream, _| {
            let data = data.clone();
            async move {
                stream.write_all(&data).await.unwrap();
                stream.shutdown().await.unwrap();
                // Until the other end has it all: closing earlier would cut it off.
                stream.read_to_end(&mut Vec::new()).await.ok();
            }
        })
        .await
    }

    /// A port nobody listens on.
    pub(crate) async fn nowhere() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    }
}
