//! Why a connection could not be made.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::proxy::ProxyFailure;
use crate::signature::Signing;
use crate::timeouts::TimeoutsError;
use crate::trust::TrustError;

/// The steps of making a connection, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Looking the host name up.
    Resolve,
    /// Reaching one of its addresses.
    Tcp,
    /// Agreeing on TLS.
    Tls,
    /// Turning the HTTP connection into a WebSocket.
    Upgrade,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "looking up its name",
            Self::Tcp => "the TCP connection",
            Self::Tls => "the TLS handshake",
            Self::Upgrade => "the WebSocket upgrade",
        })
    }
}

/// Why a connection could not be made: one variant per step, each naming the host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The certificate authorities could not be loaded.
    #[error("no secure connection to {host} can be made")]
    Trust {
        /// The host that was to be reached.
        host: String,
        /// What is wrong with them.
        #[source]
        source: TrustError,
    },
    /// The host name is unknown, or the name service does not answer.
    #[error("the name {host} could not be resolved")]
    Resolve {
        /// The host name.
        host: String,
        /// The resolver's answer.
        #[source]
        source: io::Error,
    },
    /// None of the host's addresses could be reached.
    #[error("{host} port {port} could not be reached")]
    Tcp {
        /// The host name.
        host: String,
        /// The TCP port.
        port: u16,
        /// The error of the address tried last.
        #[source]
        source: io::Error,
    },
    /// The proxy gave no connection to the host.
    #[error("the proxy {proxy} gave no connection to {host}")]
    Proxy {
        /// The proxy's host and port.
        proxy: String,
        /// The host that was to be reached.
        host: String,
        /// Why not.
        #[source]
        failure: ProxyFailure,
    },
    /// The host failed TLS: wrong or untrusted certificate, or no TLS at all.
    #[error("no secure connection to {host} could be made")]
    Tls {
        /// The host name.
        host: String,
        /// What rustls found; see [`ConnectError::is_untrusted_certificate`].
        #[source]
        source: io::Error,
    },
    /// The host speaks HTTP and refuses the WebSocket.
    #[error(
        "{host} refused the session's connection: {refusal}{}",
        unsigned(signing)
    )]
    Upgrade {
        /// The host name.
        host: String,
        /// What it answered.
        refusal: Refusal,
        /// Whether the connection was signed.
        signing: Signing,
    },
    /// What the host answered is no answer to a WebSocket upgrade.
    #[error("{host} does not speak WebSocket: {problem}")]
    NotWebSocket {
        /// The host name.
        host: String,
        /// What is wrong with the answer.
        problem: NotWebSocket,
    },
    /// The connection broke during the upgrade.
    #[error("the connection to {host} broke during the WebSocket upgrade")]
    UpgradeIo {
        /// The host name.
        host: String,
        /// What happened to it.
        #[source]
        source: io::Error,
    },
    /// A step took longer than its limit in [`Timeouts`](crate::Timeouts).
    #[error("{host} did not complete {step} within {} s", limit.as_secs_f64())]
    Timeout {
        /// The host name.
        host: String,
        /// The step that was under way.
        step: Step,
        /// Its limit.
        limit: Duration,
    },
    /// The time limits make no sense; nothing was tried.
    #[error(transparent)]
    Timeouts(#[from] TimeoutsError),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Randomness(#[source] io::Error),
}

impl ConnectError {
    /// What to do about it, for the line below the error: lower case, no full stop.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Trust { .. } => "check the certificate authorities this program is given",
            Self::Resolve { .. } => "check the region and the DNS settings",
            Self::Tcp { .. } | Self::Timeout { .. } => {
                "check the network, the firewall and the VPC endpoints"
            }
            Self::Proxy { failure, .. } => failure.advice(),
            Self::Tls { .. } if self.is_untrusted_certificate() => {
                "if this network inspects TLS, add its certificate authority to those trusted"
            }
            Self::Tls { .. } | Self::NotWebSocket { .. } => {
                "check the stream URL, and whether a proxy answers in place of the service"
            }
            Self::Upgrade {
                refusal, signing, ..
            } if refusal.status == 403 && *signing != Signing::Presigned => {
                "ask for the permission ssmmessages:OpenDataChannel on this session"
            }
            Self::Upgrade { .. } => "start a new session: its token may have been used or expired",
            Self::UpgradeIo { .. } => "start the session again",
            Self::Timeouts(_) | Self::Randomness(_) => return None,
        })
    }

    /// Whether a limit of [`Timeouts`](crate::Timeouts) is the cause, on the way to a proxy or
    /// beyond it too.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Proxy { failure, .. } => match failure {
                ProxyFailure::Unreachable(error) => error.is_timeout(),
                failure => matches!(failure, ProxyFailure::Timeout(_)),
            },
            _ => false,
        }
    }

    /// Whether the certificate of the server, or of the proxy before it, is the cause: not from a
    /// trusted authority, for another name, or out of date.
    pub fn is_untrusted_certificate(&self) -> bool {
        let source = match self {
            Self::Tls { source, .. } => source,
            Self::Proxy {
                failure: ProxyFailure::Unreachable(error),
                ..
            } => return error.is_untrusted_certificate(),
            _ => return false,
        };
        let cause = source
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<rustls::Error>());
        matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
    }

    /// The HTTP status of a refused upgrade.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Upgrade { refusal, .. } => Some(refusal.status),
            _ => None,
        }
    }
}

/// What a refusal has to do with the signature, as the end of a sentence.
fn unsigned(signing: &Signing) -> String {
    match signing {
        Signing::Signed | Signing::Presigned => String::new(),
        _ => format!(" ({signing})"),
    }
}

/// An HTTP answer other than 101 to the upgrade, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The reason phrase, which may be empty; control characters are removed.
    pub reason: String,
    /// The beginning of the body on one line, which may be empty: control characters are removed,
    /// and so is whatever it repeats of the stream URL's query.
    pub excerpt: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if !self.reason.is_empty() {
            write!(f, " {}", self.reason)?;
        }
        if !self.excerpt.is_empty() {
            write!(f, ": {}", self.excerpt)?;
        }
        Ok(())
    }
}

/// What is wrong with an answer to the WebSocket upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotWebSocket {
    /// The answer is no HTTP/1.1.
    NotHttp,
    /// The answer's header is longer than 16 KiB or has more than 64 fields.
    HeaderTooLong,
    /// The connection ended before the header did.
    Ended,
    /// Status 101 without `Upgrade: websocket`.
    UpgradeHeader,
    /// Status 101 without `Connection: upgrade`.
    ConnectionHeader,
    /// Status 101 with a missing or wrong `Sec-WebSocket-Accept`.
    AcceptHeader,
    /// An extension or subprotocol nobody asked for.
    UnaskedExtension,
}

impl fmt::Display for NotWebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "its answer is not HTTP/1.1",
            Self::HeaderTooLong => "the header of its answer is too long",
            Self::Ended => "it closed the connection without an answer",
            Self::UpgradeHeader => "its answer lacks the header Upgrade: websocket",
            Self::ConnectionHeader => "its answer lacks the header Connection: upgrade",
            Self::AcceptHeader => "its answer lacks the right Sec-WebSocket-Accept header",
            Self::UnaskedExtension => "it chose an extension or subprotocol that was not offered",
        })
    }
}
