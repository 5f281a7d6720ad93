//! The local end of a forward, as a request or a session's properties name it.

use std::fmt;
use std::io;

use ssm_session::ListenError;
use ssm_session::Listener;
use ssm_session::LocalConnection;
use ssm_session_proto::LocalEnd;
use ssm_session_proto::LocalEndError;

use crate::text::sanitised;

/// The local end of a forward, taking connections.
///
/// Its [`Display`](fmt::Display) names it within a sentence: "port 5432", or "the Unix socket /run/x".
#[derive(Debug)]
pub struct LocalListener {
    end: LocalEnd,
    listener: Listener,
}

impl LocalListener {
    /// Opens a local end: a port at both loopback addresses, or a Unix socket for this user alone.
    ///
    /// # Errors
    ///
    /// [`CannotListen`]; its text names the local end and says what to do.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime that has I/O enabled.
    pub fn open(end: LocalEnd) -> Result<Self, CannotListen> {
        let listener = match &end {
            LocalEnd::Port(port) => Listener::bind_port(*port)?,
            #[cfg(unix)]
            LocalEnd::UnixSocket(path) => Listener::bind_unix(path.as_ref())?,
            #[cfg(not(unix))]
            LocalEnd::UnixSocket(path) => return Err(CannotListen::NoUnixSockets(path.clone())),
        };
        Ok(Self { end, listener })
    }

    /// What it was opened as; port 0 stays 0.
    #[must_use]
    pub fn end(&self) -> &LocalEnd {
        &self.end
    }

    /// The port, if it is one: never 0.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.listener.port()
    }

    /// The next connection. Nothing is lost when the wait is given up.
    pub(crate) async fn accept(&mut self) -> io::Result<LocalConnection> {
        self.listener.accept().await
    }
}

impl fmt::Display for LocalListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.end, self.port()) {
            (LocalEnd::UnixSocket(path), _) => {
                write!(f, "the Unix socket {}", sanitised(path))
            }
            (LocalEnd::Port(_), Some(port)) => write!(f, "port {port}"),
            (LocalEnd::Port(port), None) => write!(f, "port {port}"),
        }
    }
}

/// Why a local end takes no connections.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CannotListen {
    /// What names it makes no sense.
    #[error(transparent)]
    Senseless(#[from] LocalEndError),
    /// The system refuses it.
    #[error(transparent)]
    Refused(#[from] ListenError),
    /// A Unix socket where there are none.
    #[error(
        "the local end is to be the Unix socket {0}, which this program does not have on this system; forward a port, with localPortNumber"
    )]
    NoUnixSockets(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_free_port_is_named_by_its_number() {
        let listener = LocalListener::open(LocalEnd::Port(0)).unwrap();
        let port = listener.port().unwrap();
        assert_ne!(port, 0);
        assert_eq!(listener.end(), &LocalEnd::Port(0));
        assert_eq!(listener.to_string(), format!("port {port}"));
    }

    #[cfg(windows)]
    #[tokio::test]
    async fn a_unix_socket_is_refused_with_what_to_do_instead() {
        let end = LocalEnd::UnixSocket("C:/x.sock".to_owned());
        let error = LocalListener::open(end).unwrap_err().to_string();
        assert!(
            error.contains("C:/x.sock") && error.contains("localPortNumber"),
            "{error}"
        );
    }
}
