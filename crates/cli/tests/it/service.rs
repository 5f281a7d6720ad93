//! A service that answers as a test tells it and keeps what it was asked.

use std::net::Ipv4Addr;

use serde_json::Value;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::output::GUARD;

/// An HTTP request, as far as it matters here.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Header, request line included.
    pub(crate) header: String,
    pub(crate) body: String,
    answer: tokio::sync::oneshot::Sender<(u16, String)>,
}

impl Asked {
    /// The operation of a JSON API.
    pub(crate) fn operation(&self) -> &str {
        let line = self.header.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("x-amz-target").then_some(value)
        });
        line.and_then(|target| target.split('.').nth(1))
            .unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn answer(self, status: u16, body: &str) {
        // Who asked may have gone.
        self.answer.send((status, body.to_owned())).ok();
    }
}

/// Listens on loopback.
pub(crate) struct Service {
    endpoint: String,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, sender.clone()));
            }
        });
        Self { endpoint, asked }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The next request. Whoever sent it waits for [`Asked::answer`].
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::time::timeout(GUARD, self.asked.recv())
            .await
            .expect("something is asked")
            .unwrap()
    }

    /// Whether nothing was asked that was not taken.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.asked.try_recv().is_err()
    }
}

async fn serve(connection: TcpStream, asked: mpsc::UnboundedSender<Asked>) -> Option<()> {
    let mut connection = BufReader::new(connection);
    loop {
        let mut header = String::new();
        while !header.ends_with("\r\n\r\n") {
            if connection.read_line(&mut header).await.ok()? == 0 {
                return None;
            }
        }
        let length = header.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        connection.read_exact(&mut body).await.ok()?;
        let (answer, answered) = tokio::sync::oneshot::channel();
        let request = Asked {
            header,
            body: String::from_utf8(body).unwrap(),
            answer,
        };
        asked.send(request).ok()?;
        let (status, body) = answered.await.ok()?;
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}");
        connection.write_all(answer.as_bytes()).await.ok()?;
    }
}
