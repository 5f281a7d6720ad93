//! Whether the program at the other end of a local connection is still there.
//!
//! The end of what it sends says only that it sends no more. It may have closed its socket, or
//! have shut down one direction of it and wait for the answer, and the bytes on the connection
//! do not tell the two apart.

#[cfg(target_os = "linux")]
mod sock_diag;

#[cfg(target_os = "linux")]
use std::io;

use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// What is known of the other end of a local connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerState {
    /// Some program holds it.
    #[cfg_attr(
        all(not(unix), not(test)),
        expect(dead_code, reason = "nobody can be asked here")
    )]
    Held,
    /// No program holds it: nobody will read what is written to it.
    Gone,
    /// The kernel knows of none.
    #[cfg_attr(
        all(not(target_os = "linux"), not(test)),
        expect(dead_code, reason = "only Linux has a table to ask")
    )]
    NotFound,
    /// There is no way to ask.
    Unknown,
}

/// Both directions of a Unix socket are shut down when its peer is closed.
#[cfg(unix)]
pub(super) fn of_unix(stream: &UnixStream) -> PeerState {
    use rustix::event::PollFd;
    use rustix::event::PollFlags;
    use rustix::event::Timespec;
    use rustix::event::poll;

    // Asked about writing: macOS shows the end of reading as a hang-up too.
    let mut asked = [PollFd::new(stream, PollFlags::OUT)];
    match poll(&mut asked, Some(&Timespec::default())) {
        Ok(_)
            if asked[0]
                .revents()
                .intersects(PollFlags::HUP | PollFlags::ERR) =>
        {
            PeerState::Gone
        }
        Ok(_) => PeerState::Held,
        Err(error) => {
            tracing::debug!(%error, "a Unix socket cannot be asked for its peer");
            PeerState::Unknown
        }
    }
}

/// The state of the socket at the other end of a TCP connection within this machine.
#[cfg(target_os = "linux")]
pub(super) fn of_tcp(stream: &TcpStream) -> PeerState {
    let (ours, theirs) = match (stream.local_addr(), stream.peer_addr()) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        // Its end came with a reset, which left ours without a peer.
        (Ok(_), Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
            return PeerState::Gone;
        }
        _ => return PeerState::Unknown,
    };
    // The sockets of other machines are in nobody's table here.
    let (our_ip, their_ip) = (ours.ip().to_canonical(), theirs.ip().to_canonical());
    if !their_ip.is_loopback() && their_ip != our_ip {
        return PeerState::Unknown;
    }
    sock_diag::look_up(theirs, ours).unwrap_or_else(|error| {
        tracing::debug!(%error, "the kernel does not tell the state of sockets");
        PeerState::Unknown
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of_tcp(_: &TcpStream) -> PeerState {
    PeerState::Unknown
}
