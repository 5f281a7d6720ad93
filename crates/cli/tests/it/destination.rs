//! What a forward leads to, and programs that use it.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::output::GUARD;

/// A server on the node. Its connections go on when it is closed.
pub(crate) struct Destination {
    port: u16,
    listening: JoinHandle<()>,
}

impl Destination {
    /// Sends back whatever it gets.
    pub(crate) async fn echo() -> Self {
        Self::serving(|mut connection| async move {
            let (mut reader, mut writer) = connection.split();
            // A client that hangs up in the middle is not this server's mistake.
            tokio::io::copy(&mut reader, &mut writer).await.ok();
        })
        .await
    }

    pub(crate) async fn serving<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let listening = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                connection.set_nodelay(true).unwrap();
                tokio::spawn(serve(connection));
            }
        });
        Self { port, listening }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Takes no more connections.
    pub(crate) async fn close(&mut self) {
        self.listening.abort();
        (&mut self.listening).await.unwrap_err();
    }
}

/// A port of both loopback addresses that is taken, though nobody listens on it. A program that means this port can
/// still listen on it, no other gets it.
pub(crate) struct Reserved {
    port: u16,
    _sockets: [TcpSocket; 2],
}

impl Reserved {
    pub(crate) fn new() -> Self {
        loop {
            let v4 = TcpSocket::new_v4().unwrap();
            v4.set_reuseaddr(true).unwrap();
            v4.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let port = v4.local_addr().unwrap().port();
            let v6 = TcpSocket::new_v6().unwrap();
            v6.set_reuseaddr(true).unwrap();
            if v6
                .bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port)))
                .is_ok()
            {
                return Self {
                    port,
                    _sockets: [v4, v6],
                };
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// Connects as a local program does.
pub(crate) async fn connect(port: u16) -> TcpStream {
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    connection.set_nodelay(true).unwrap();
    connection
}

/// Sends something and waits until it comes back.
pub(crate) async fn exchange(connection: &mut (impl AsyncRead + AsyncWrite + Unpin), data: &[u8]) {
    connection.write_all(data).await.unwrap();
    let mut answer = vec![0; data.len()];
    tokio::time::timeout(GUARD, connection.read_exact(&mut answer))
        .await
        .expect("an answer comes")
        .unwrap();
    assert!(answer == data, "sent {data:?}, got {answer:?}");
}

/// Reads to the end of a connection; a broken one ends too.
pub(crate) async fn rest(connection: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    tokio::time::timeout(GUARD, connection.read_to_end(&mut all))
        .await
        .expect("the connection ends")
        .ok();
    all
}

/// What must pass unchanged: every byte as a message of its own, every pair that has a line end in it as well, and all
/// pairs of bytes one behind the other.
pub(crate) fn hostile_messages() -> Vec<Vec<u8>> {
    let alone = (0..=255).map(|byte| vec![byte]);
    let pairs = (0..=255).flat_map(|byte| [vec![b'\n', byte], vec![byte, b'\n']]);
    let all_pairs =
        (0..=255_u8).flat_map(|first| (0..=255).flat_map(move |second| [first, second]));
    alone.chain(pairs).chain([all_pairs.collect()]).collect()
}
