//! The one way to a server: name lookup, TCP, proxy and TLS, each with its own time limit.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use crate::connection::Connection;
use crate::error::ConnectError;
use crate::error::Step;
use crate::proxy::Proxies;
use crate::proxy::Proxy;
use crate::proxy::ProxyFailure;
use crate::proxy::Speech;
use crate::timeouts::Timeouts;
use crate::trust::Trust;
use crate::trust::TrustError;
use crate::trust::tls_settings;

/// Head start of one address over the next while several are tried.
const STAGGER: Duration = Duration::from_millis(250);

/// Makes connections to servers, to the gateway and to AWS's other services alike.
///
/// Certificate authorities are loaded when first needed, and then kept by this connector and its
/// clones.
#[derive(Clone)]
pub struct Connector {
    trust: Trust,
    timeouts: Timeouts,
    proxies: Proxies,
    tls: Arc<OnceCell<Arc<ClientConfig>>>,
}

impl Connector {
    /// Of `timeouts` the limits `resolve`, `tcp`, `tls` and `proxy` apply.
    pub fn new(trust: Trust, timeouts: Timeouts) -> Self {
        Self {
            trust,
            timeouts,
            proxies: Proxies::default(),
            tls: Arc::default(),
        }
    }

    /// The same connector, with these proxies in place of those it had.
    #[must_use]
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// Connects to `host`, a name or an IP address without brackets. All its addresses are tried,
    /// each a little later than the one before; the first that answers is taken. Small writes
    /// leave at once (`TCP_NODELAY`).
    ///
    /// Where a proxy is to be used, it is asked for a connection whether `tls` or not, and `host`
    /// is never looked up here. TLS is with `host` in any case.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] names the step that failed.
    pub async fn connect(
        &self,
        host: &str,
        port: u16,
        tls: bool,
    ) -> Result<Connection, ConnectError> {
        let connection = match self.proxies.choose(host, port, tls) {
            None => self.reach(host, port).await?,
            Some(proxy) => self
                .reach_through(proxy, host, port)
                .await
                .map_err(|failure| ConnectError::Proxy {
                    proxy: proxy.address(),
                    host: host.to_owned(),
                    failure,
                })?,
        };
        tracing::debug!(host, port, tls, "connected");
        if tls {
            self.secure(connection, host).await
        } else {
            Ok(connection)
        }
    }

    /// A TCP connection.
    async fn reach(&self, host: &str, port: u16) -> Result<Connection, ConnectError> {
        let addresses = self.resolve(host, port).await?;
        let tcp = within(self.timeouts.tcp, host, Step::Tcp, connect_any(addresses))
            .await?
            .map_err(|source| ConnectError::Tcp {
                host: host.to_owned(),
                port,
                source,
            })?;
        Ok(tcp.into())
    }

    async fn reach_through(
        &self,
        proxy: &Proxy,
        host: &str,
        port: u16,
    ) -> Result<Connection, ProxyFailure> {
        tracing::debug!(%proxy, host, port, "connecting through a proxy");
        let unreachable = |error| ProxyFailure::Unreachable(Box::new(error));
        let plain = self.reach(&proxy.host, proxy.port).await;
        let mut connection = plain.map_err(unreachable)?;
        if proxy.speech == Speech::Https {
            let secured = self.secure(connection, &proxy.host).await;
            connection = secured.map_err(unreachable)?;
        }
        let limit = self.timeouts.proxy;
        tokio::time::timeout(limit, proxy.open(connection, host, port))
            .await
            .map_err(|_| ProxyFailure::Timeout(limit))?
    }

    /// TLS with `host`, to which `connection` leads.
    async fn secure(&self, connection: Connection, host: &str) -> Result<Connection, ConnectError> {
        let failed = |source| ConnectError::Tls {
            host: host.to_owned(),
            source,
        };
        let connector = TlsConnector::from(self.tls_settings(host).await?);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let handshake = async {
            Ok(match connection.into_tcp() {
                Ok(tcp) => connector.connect(name, tcp).await?.into(),
                Err(other) => connector.connect(name, other).await?.into(),
            })
        };
        within(self.timeouts.tls, host, Step::Tls, handshake)
            .await?
            .map_err(failed)
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let lookup = tokio::net::lookup_host((host, port));
        let failed = |source| ConnectError::Resolve {
            host: host.to_owned(),
            source,
        };
        let addresses: Vec<_> = within(self.timeouts.resolve, host, Step::Resolve, lookup)
            .await?
            .map_err(failed)?
            .collect();
        if addresses.is_empty() {
            return Err(failed(io::Error::new(
                io::ErrorKind::NotFound,
                "the name has no address",
            )));
        }
        Ok(addresses)
    }

    async fn tls_settings(&self, host: &str) -> Result<Arc<ClientConfig>, ConnectError> {
        let load = || async {
            let trust = self.trust.clone();
            let loaded = tokio::task::spawn_blocking(move || tls_settings(&trust)).await;
            loaded.unwrap_or_else(|stopped| {
                Err(TrustError::Unavailable(rustls::Error::General(
                    stopped.to_string(),
                )))
            })
        };
        let settings = self
            .tls
            .get_or_try_init(|| async { load().await.map(Arc::new) })
            .await;
        settings.cloned().map_err(|source| ConnectError::Trust {
            host: host.to_owned(),
            source,
        })
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new(Trust::default(), Timeouts::default())
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("trust", &self.trust)
            .field("timeouts", &self.timeouts)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

/// The first connection to come about; the last error if none does.
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = io::Error::from(io::ErrorKind::NotFound);
    loop {
        match waiting.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(last_error),
            None => {}
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last_error = error,
            },
            () = tokio::time::sleep(STAGGER), if more => {}
        }
    }
}

/// `work`, or the error that says which step of reaching `host` took too long.
pub(crate) async fn within<T>(
    limit: Duration,
    host: &str,
    step: Step,
    work: impl Future<Output = T>,
) -> Result<T, ConnectError> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| ConnectError::Timeout {
            host: host.to_owned(),
            step,
            limit,
        })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    async fn refused_address() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hide_the_next() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addresses = vec![refused_address().await, listener.local_addr().unwrap()];
        let stream = connect_any(addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn the_error_is_that_of_an_address() {
        let error = connect_any(vec![refused_address().await, refused_address().await])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_looked_up_is_a_resolve_error() {
        let no_name = "a\0b";
        let error = Connector::default()
            .connect(no_name, 1, false)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ConnectError::Resolve { host, .. } if host == no_name),
            "{error:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_takes_too_long_is_named_with_its_limit() {
        let limit = Duration::from_secs(10);
        for (step, words) in [
            (Step::Resolve, "looking up its name"),
            (Step::Tcp, "the TCP connection"),
            (Step::Tls, "the TLS handshake"),
            (Step::Upgrade, "the WebSocket upgrade"),
        ] {
            let never = std::future::pending::<()>();
            let error = within(limit, "host.example", step, never)
                .await
                .unwrap_err();
            assert!(matches!(&error, ConnectError::Timeout { step: named, .. } if *named == step));
            assert_eq!(
                error.to_string(),
                format!("host.example did not complete {words} within 10 s")
            );
        }
    }
}
