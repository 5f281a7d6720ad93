//! A way to the emulator that breaks.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use ssm_session::ApiError;
use ssm_session::BoxFuture;
use ssm_session::ControlPlane;
use ssm_session::DataKey;
use ssm_session::DataKeyRequest;
use ssm_session::Secret;
use ssm_session::SessionAccess;
use ssm_session::StartRequest;
use ssm_session_emulator::EmulatedControlPlane;
use ssm_session_emulator::Emulator;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// Takes connections for an emulator and breaks the first of them, each after a number of bytes.
pub(crate) struct Relay {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    /// `breaks` are the bytes, both ways together, after which connections are cut in their order.
    pub(crate) async fn before(emulator: &Emulator, breaks: Vec<usize>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let to = emulator.local_addr();
        let connections = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            let mut breaks = breaks.into_iter();
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                let server = TcpStream::connect(to).await.unwrap();
                tokio::spawn(carry(client, server, breaks.next().unwrap_or(usize::MAX)));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// Connections taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The emulator's API, whose sessions lead through here.
    pub(crate) fn api(&self, emulator: &Emulator) -> Arc<dyn ControlPlane> {
        Arc::new(Detour {
            api: emulator.control_plane(),
            from: emulator.local_addr().to_string(),
            to: self.address.to_string(),
        })
    }
}

/// Carries bytes both ways until so many have passed, or one end is gone. Both are dropped then.
async fn carry(mut client: TcpStream, mut server: TcpStream, limit: usize) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut passed = 0;
    while passed < limit {
        let (read, to) = tokio::select! {
            read = client.read(&mut up) => (read, (&mut server, &up)),
            read = server.read(&mut down) => (read, (&mut client, &down)),
        };
        let Ok(1..) = read else { return };
        // The last piece is cut in its middle.
        let count = read.unwrap().min(limit - passed);
        passed += count;
        if to.0.write_all(&to.1[..count]).await.is_err() {
            return;
        }
    }
}

struct Detour {
    api: EmulatedControlPlane,
    from: String,
    to: String,
}

impl Detour {
    fn lead(&self, access: SessionAccess) -> SessionAccess {
        let url = access.stream_url.expose();
        assert!(url.contains(&self.from));
        SessionAccess {
            stream_url: Secret::new(url.replace(&self.from, &self.to)),
            ..access
        }
    }
}

impl ControlPlane for Detour {
    fn start_session(
        &self,
        request: StartRequest,
    ) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        Box::pin(async {
            self.api
                .start_session(request)
                .await
                .map(|it| self.lead(it))
        })
    }

    fn resume_session(&self, session_id: &str) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        let session_id = session_id.to_owned();
        Box::pin(async move {
            let resumed = self.api.resume_session(&session_id).await;
            resumed.map(|access| self.lead(access))
        })
    }

    fn terminate_session(&self, session_id: &str) -> BoxFuture<'_, Result<(), ApiError>> {
        self.api.terminate_session(session_id)
    }

    fn data_key(&self, request: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        self.api.data_key(request)
    }
}
