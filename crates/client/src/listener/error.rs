//! Why there is no listener.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a [`Listener`](crate::Listener) could not be made: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another program listens there.
    #[error(
        "port {} is in use at {}; choose another with localPortNumber, or 0 for any that is free",
        .0.port(), .0.ip()
    )]
    PortInUse(SocketAddr),
    /// The system does not allow it, for this port or for this user.
    #[error(
        "this user may not listen on port {} at {}; ports below 1024 are often reserved, so \
         choose a higher one with localPortNumber, or 0 for any that is free",
        .0.port(), .0.ip()
    )]
    PortNotAllowed(SocketAddr),
    /// The system has neither of the loopback addresses, or no port left.
    #[error("port {} at {} cannot be listened on", .address.port(), .address.ip())]
    Port {
        /// The address that was tried last.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No port was found that is free at both loopback addresses.
    #[error(
        "no port was found that is free at both 127.0.0.1 and ::1; choose one with \
         localPortNumber"
    )]
    NoCommonPort,
    /// The path does not fit a socket address.
    #[error(
        "the path {} has {length} bytes, and the path of a Unix socket at most {limit}; choose a \
         shorter one", .path.display()
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
        /// The most this system takes.
        limit: usize,
    },
    /// The path is empty or contains a NUL.
    #[error("{:?} is no path for a Unix socket; it must not be empty or contain NUL", .0)]
    PathInvalid(PathBuf),
    /// The directory the socket was to be in is not there, or is no directory.
    #[error("the directory {} does not exist; create it, or choose another", .0.display())]
    NoDirectory(PathBuf),
    /// Another program listens on this socket.
    #[error(
        "another program listens on the Unix socket {}; end it, or choose another path",
        .0.display()
    )]
    PathInUse(PathBuf),
    /// Something else than a socket is there. It is left alone.
    #[error(
        "{} exists and is not a socket, so it is left alone; remove it, or choose another path",
        .0.display()
    )]
    NotASocket(PathBuf),
    /// The system does not allow it.
    #[error(
        "this user may not create the Unix socket {}; choose a directory of your own",
        .0.display()
    )]
    PathNotAllowed(PathBuf),
    /// Any other reason.
    #[error("the Unix socket {} cannot be created", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}
