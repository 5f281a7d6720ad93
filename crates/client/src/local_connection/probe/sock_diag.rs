//! Linux's table of sockets, asked over netlink: sock_diag(7).

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;

use rustix::net::AddressFamily;
use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::netlink;

use super::PeerState;

// linux/netlink.h: a header of 16 bytes in the byte order of the machine, then the message.
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
// linux/sock_diag.h, linux/inet_diag.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NO_COOKIE: [u8; 8] = [0xff; 8];
/// `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// `struct inet_diag_msg`: the state, and the inode by which some program holds the socket.
const STATE: usize = HEADER + 1;
const INODE: usize = HEADER + 68;
const REPLY: usize = HEADER + 72;
// Numbers of the system's headers that are the same on every architecture.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const ENOENT: i32 = 2;

/// The state of the TCP socket at `local` that is connected to `remote`.
///
/// # Errors
///
/// If the kernel does not answer: it may be built without, or a sandbox may forbid to ask.
pub(super) fn look_up(local: SocketAddr, remote: SocketAddr) -> io::Result<PeerState> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(netlink::SOCK_DIAG),
    )?;
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(
        &socket,
        &request(local, remote),
        SendFlags::empty(),
        &kernel,
    )?;
    // The kernel answers before it returns from the sending.
    let mut answer = [0; 512];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    parse(&answer[..length])
}

fn request(local: SocketAddr, remote: SocketAddr) -> [u8; HEADER + REQUEST] {
    let (local_ip, remote_ip) = (local.ip().to_canonical(), remote.ip().to_canonical());
    let family = if local_ip.is_ipv4() {
        AF_INET
    } else {
        AF_INET6
    };
    let mut message = [0; HEADER + REQUEST];
    let mut rest = &mut message[..];
    // Length, type, flags, sequence number, port id.
    put(&mut rest, &u32::to_ne_bytes(72));
    put(&mut rest, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(&mut rest, &NLM_F_REQUEST.to_ne_bytes());
    put(&mut rest, &[0; 8]);
    // Family, protocol, no extensions, padding, every state.
    put(&mut rest, &[family, IPPROTO_TCP, 0, 0]);
    put(&mut rest, &u32::MAX.to_ne_bytes());
    // The socket: ports and addresses in network order, any interface.
    put(&mut rest, &local.port().to_be_bytes());
    put(&mut rest, &remote.port().to_be_bytes());
    put(&mut rest, &address(local_ip));
    put(&mut rest, &address(remote_ip));
    put(&mut rest, &[0; 4]);
    put(&mut rest, &NO_COOKIE);
    message
}

fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (field, after) = std::mem::take(rest).split_at_mut(bytes.len());
    field.copy_from_slice(bytes);
    *rest = after;
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut address = [0; 16];
            address[..4].copy_from_slice(&ip.octets());
            address
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn parse(answer: &[u8]) -> io::Result<PeerState> {
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is odd");
    let field = |at: usize| -> Option<[u8; 4]> { answer.get(at..at + 4)?.try_into().ok() };
    let kind = answer.get(4..6).ok_or_else(odd)?;
    if kind == NLMSG_ERROR.to_ne_bytes() {
        let code = i32::from_ne_bytes(field(HEADER).ok_or_else(odd)?);
        return match -code {
            ENOENT => Ok(PeerState::NotFound),
            code => Err(io::Error::from_raw_os_error(code)),
        };
    }
    if kind != SOCK_DIAG_BY_FAMILY.to_ne_bytes() || answer.len() < REPLY {
        return Err(odd());
    }
    let held = u32::from_ne_bytes(field(INODE).ok_or_else(odd)?) != 0;
    // net/tcp_states.h
    Ok(match answer[STATE] {
        // The lookup falls back to a socket that listens at the local address.
        10 => PeerState::NotFound,
        // Closed, or about to be.
        6 | 7 => PeerState::Gone,
        _ if !held => PeerState::Gone,
        _ => PeerState::Held,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_not_taken_for_a_connected_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(look_up(address, nobody).unwrap(), PeerState::NotFound);
        assert_eq!(look_up(nobody, address).unwrap(), PeerState::NotFound);
    }

    #[test]
    fn an_odd_answer_is_an_error_and_no_panic() {
        for length in 0..REPLY {
            assert!(parse(&vec![0; length]).is_err());
        }
        let mut cut = [0; REPLY - 1];
        cut[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        assert!(parse(&cut).is_err());
    }
}
