//! Small proxies, for which every name leads to one port of this machine.

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::server::serve;

/// A proxy that runs, and the targets it is asked for, as `host:port`.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) targets: mpsc::UnboundedReceiver<String>,
}

/// What a proxy does.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Where each name leads on this machine.
    target: u16,
    /// User name and password that it asks for.
    credentials: Option<(&'static str, &'static str)>,
    /// TLS before anything else.
    tls: Option<TlsAcceptor>,
    targets: mpsc::UnboundedSender<String>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Http,
    Socks,
}

impl Proxy {
    pub(crate) async fn start(
        kind: Kind,
        target: u16,
        credentials: Option<(&'static str, &'static str)>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let (sender, targets) = mpsc::unbounded_channel();
        let plan = Plan {
            target,
            credentials,
            tls,
            targets: sender,
        };
        let port = serve(move |stream| plan.clone().serve(kind, stream)).await;
        Self { port, targets }
    }
}

impl Plan {
    async fn serve(self, kind: Kind, stream: TcpStream) {
        // A client that does not trust us, or was refused, leaves early.
        match &self.tls {
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    self.speak(kind, stream).await;
                }
            }
            None => self.speak(kind, stream).await,
        }
    }

    async fn speak(&self, kind: Kind, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let opened = match kind {
            Kind::Http => self.connect_by_http(&mut stream).await,
            Kind::Socks => self.connect_by_socks(&mut stream).await,
        };
        if let Some(mut target) = opened {
            drop(copy_bidirectional(&mut stream, &mut target).await);
        }
        drop(stream.shutdown().await);
    }

    async fn reach(&self, target: String) -> Option<TcpStream> {
        drop(self.targets.send(target));
        let address = (Ipv4Addr::LOCALHOST, self.target);
        TcpStream::connect(address).await.ok()
    }

    async fn connect_by_http<S>(&self, stream: &mut S) -> Option<TcpStream>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.ok()?);
        }
        let request = String::from_utf8(request).unwrap();
        let mut lines = request.lines();
        let target = lines.next()?.strip_prefix("CONNECT ")?;
        let target = target.strip_suffix(" HTTP/1.1")?.to_owned();
        assert_eq!(lines.next().unwrap(), format!("Host: {target}"));
        let given = lines.find_map(|line| line.strip_prefix("Proxy-Authorization: "));
        let wanted = self.credentials.map(|(user, password)| {
            let pair = BASE64.encode(format!("{user}:{password}"));
            format!("Basic {pair}")
        });
        if given != wanted.as_deref() {
            let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                           Proxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(refusal.as_bytes()).await.ok()?;
            return None;
        }
        let reached = self.reach(target).await;
        let answer = match &reached {
            Some(_) => "HTTP/1.1 200 Connection established\r\n\r\n",
            None => "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
        reached
    }

    async fn connect_by_socks<S>(&self, stream: &mut S) -> Option<TcpStream>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        assert_eq!(stream.read_u8().await.ok()?, 5);
        let methods = read_counted(stream).await?;
        let method = if self.credentials.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            stream.write_all(&[5, 0xff]).await.ok()?;
            return None;
        }
        stream.write_all(&[5, method]).await.ok()?;
        if let Some((user, password)) = self.credentials {
            assert_eq!(stream.read_u8().await.ok()?, 1);
            let given = (read_counted(stream).await?, read_counted(stream).await?);
            let right = given == (user.as_bytes().to_vec(), password.as_bytes().to_vec());
            stream.write_all(&[1, u8::from(!right)]).await.ok()?;
            if !right {
                return None;
            }
        }
        let mut request = [0; 4];
        stream.read_exact(&mut request).await.ok()?;
        assert_eq!(request, [5, 1, 0, 3], "a name is sent as a name");
        let host = String::from_utf8(read_counted(stream).await?).unwrap();
        let port = stream.read_u16().await.ok()?;
        let reached = self.reach(format!("{host}:{port}")).await;
        let answer: &[u8] = match &reached {
            Some(_) => &[5, 0, 0, 3, 2, b'h', b'i', 0, 80],
            None => &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
        };
        stream.write_all(answer).await.ok()?;
        reached
    }
}

/// Bytes after their number.
async fn read_counted(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await.ok()?)];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}
