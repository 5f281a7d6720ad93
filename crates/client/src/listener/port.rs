//! One TCP port at both loopback addresses.

use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::net::TcpSocket;

use super::BACKLOG;
use super::ListenError;

/// Free ports of one family that are tried on the other.
const ATTEMPTS: usize = 32;

/// What [`bind_both`] binds: a listener, or what a test has in its place.
pub(super) trait Bound {
    fn port(&self) -> io::Result<u16>;
}

impl Bound for TcpListener {
    fn port(&self) -> io::Result<u16> {
        Ok(self.local_addr()?.port())
    }
}

/// Listens on one port of both loopback addresses, or of the only one there is.
pub(super) fn bind_both<L: Bound>(
    port: u16,
    mut bind: impl FnMut(SocketAddr) -> io::Result<L>,
) -> Result<Vec<L>, ListenError> {
    let v4 = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let v6 = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    for _ in 0..ATTEMPTS {
        let first = match bind(v4(port)) {
            Ok(listener) => listener,
            Err(error) if is_missing_family(&error) => {
                let only = bind(v6(port)).map_err(|error| explain(v6(port), error))?;
                return Ok(vec![only]);
            }
            Err(error) => return Err(explain(v4(port), error)),
        };
        let chosen = first.port().map_err(|error| explain(v4(port), error))?;
        match bind(v6(chosen)) {
            Ok(second) => return Ok(vec![first, second]),
            Err(error) if is_missing_family(&error) => return Ok(vec![first]),
            Err(error) if port == 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(explain(v6(chosen), error)),
        }
    }
    Err(ListenError::NoCommonPort)
}

/// Listens on one address.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Without it a port stays taken for a minute after its last connection; on Windows it would
    // let others take the port from us.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    #[cfg(unix)]
    if address.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn explain(address: SocketAddr, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::PortInUse(address),
        io::ErrorKind::PermissionDenied => ListenError::PortNotAllowed(address),
        _ => ListenError::Port { address, source },
    }
}

/// Whether the machine does not have this kind of address at all.
fn is_missing_family(error: &io::Error) -> bool {
    #[cfg(unix)]
    let unsupported = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    // WSAEAFNOSUPPORT
    #[cfg(not(unix))]
    let unsupported = 10_047;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Bound for u16 {
        fn port(&self) -> io::Result<u16> {
            Ok(*self)
        }
    }

    fn in_use() -> io::Error {
        io::ErrorKind::AddrInUse.into()
    }

    #[test]
    fn a_free_port_that_the_other_family_has_taken_is_exchanged_for_another() {
        let mut next = 40_000;
        let bound = bind_both(0, |address| {
            if address.port() == 0 {
                next += 1;
                return Ok(next);
            }
            assert!(address.is_ipv6());
            if address.port() < 40_003 {
                return Err(in_use());
            }
            Ok(address.port())
        });
        assert_eq!(bound.unwrap(), [40_003, 40_003]);
    }

    #[test]
    fn the_search_for_a_common_port_ends() {
        let bound = bind_both(0, |address| match address.port() {
            0 => Ok(40_000),
            _ => Err(in_use()),
        });
        let error = bound.unwrap_err();
        assert!(matches!(error, ListenError::NoCommonPort), "{error:?}");
    }

    #[test]
    fn a_family_the_machine_does_not_have_is_left_out() {
        let missing = || io::Error::from(io::ErrorKind::AddrNotAvailable);
        let only = |wanted: fn(&SocketAddr) -> bool| {
            bind_both(40_000, |address| match wanted(&address) {
                true => Ok(address.port()),
                false => Err(missing()),
            })
        };
        assert_eq!(only(SocketAddr::is_ipv4).unwrap(), [40_000]);
        assert_eq!(only(SocketAddr::is_ipv6).unwrap(), [40_000]);
        let neither = only(|_| false).unwrap_err();
        assert!(matches!(neither, ListenError::Port { .. }), "{neither:?}");
    }

    #[test]
    fn a_port_that_is_not_allowed_is_told_with_what_to_do() {
        let bound = bind_both(80, |_| {
            Err::<u16, _>(io::ErrorKind::PermissionDenied.into())
        });
        assert_eq!(
            bound.unwrap_err().to_string(),
            "this user may not listen on port 80 at 127.0.0.1; ports below 1024 are often \
             reserved, so choose a higher one with localPortNumber, or 0 for any that is free"
        );
    }
}
