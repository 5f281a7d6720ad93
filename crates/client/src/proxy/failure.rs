//! Why a proxy did not give a connection.

use std::io;
use std::time::Duration;

use crate::error::ConnectError;

/// Why a proxy did not give a connection to the host that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyFailure {
    /// No connection to the proxy itself.
    #[error("the proxy itself could not be reached")]
    Unreachable(#[source] Box<ConnectError>),
    /// It wants a user name and a password, and was given none.
    #[error("it wants a user name and a password")]
    CredentialsWanted,
    /// It does not take the user name and password it was given.
    #[error("it does not accept the user name and the password it was given")]
    CredentialsRefused,
    /// It wants to be shown who we are in a way that this library does not know.
    #[error("it wants authentication by {0}, and only Basic is known here")]
    Authentication(String),
    /// It forbids connections to this host.
    #[error("it forbids this connection ({0})")]
    Forbidden(String),
    /// It could not reach the host.
    #[error("it could not reach that host ({0})")]
    Target(String),
    /// It refused for another reason.
    #[error("it refused ({0})")]
    Refused(String),
    /// Whatever is there, it does not speak a proxy's language.
    #[error("it does not answer as {0} does")]
    NotAProxy(&'static str),
    /// The connection to the proxy broke, or ended before its answer did.
    #[error("it broke the connection off before it answered")]
    Io(#[source] io::Error),
    /// No answer within the limit `proxy` of [`Timeouts`](crate::Timeouts).
    #[error("it did not answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The name is longer than SOCKS5 can carry, 255 bytes.
    #[error("the name of that host is too long for SOCKS5")]
    NameTooLong,
}

impl ProxyFailure {
    /// What to do about it, for the line below the error: lower case, no full stop.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreachable(error) if error.is_untrusted_certificate() => {
                "add the certificate authority of the proxy to those trusted"
            }
            Self::Unreachable(_) | Self::Io(_) | Self::NotAProxy(_) => {
                "check the proxy's scheme, host and port"
            }
            Self::CredentialsWanted => {
                "put them into the proxy's URL, as in http://user:password@host:port, with special \
                 characters percent-encoded"
            }
            Self::CredentialsRefused => {
                "check them in the proxy's URL; special characters must be percent-encoded"
            }
            Self::Authentication(_) => {
                "ask for a proxy that takes Basic authentication or none, or run one here that \
                 signs in for you"
            }
            Self::Forbidden(_) | Self::Refused(_) => {
                "ask who runs the proxy to allow this host and port, or list the host in NO_PROXY \
                 if it can be reached without"
            }
            Self::Timeout(_) => {
                "check the proxy's scheme, host and port, and whether it can reach this host"
            }
            Self::Target(_) => {
                "check the region, and whether the proxy can reach this host, or list the host in \
                 NO_PROXY if it can be reached without"
            }
            Self::NameTooLong => "check the stream URL",
        }
    }
}
