//! What a port session connects to (`docs/PROTOCOL.md` 7.6).

use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::future::FutureExt as _;
use tokio::net::TcpStream;

use crate::agent::command::reason;

/// The addresses of a destination, which are looked up once for a session, and its port.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// Or why there can be no connection.
    addresses: Result<Arc<[SocketAddr]>, String>,
}

/// A connection being made; an error is the agent's text.
pub(super) type Dial = BoxFuture<'static, Result<TcpStream, String>>;

impl Destination {
    /// Looks up `host`, or takes the node itself. An error is the agent's text.
    pub(super) async fn resolve(host: Option<String>, port: String) -> Result<Self, String> {
        let addresses = match &host {
            None => LOOPBACK.to_vec(),
            Some(host) => addresses(host).await?,
        };
        if let Some(host) = host
            && addresses.iter().any(|address| is_forbidden(*address))
        {
            return Err(format!("Forwarding to IP address {host} is forbidden."));
        }
        let port = parse_port(&port);
        Ok(Self {
            addresses: port.map(|port| {
                let sockets = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
                sockets.collect()
            }),
        })
    }

    /// Connects to the first address that answers. An error is that of the first address.
    pub(super) fn dial(&self) -> Dial {
        let addresses = self.addresses.clone();
        async move {
            let mut failure = None;
            for address in addresses?.iter() {
                match connect(*address).await {
                    Ok(socket) => return Ok(socket),
                    Err(error) => {
                        let text = format!("dial tcp {address}: connect: {}", reason(&error));
                        failure.get_or_insert(text);
                    }
                }
            }
            Err(failure.unwrap_or_else(|| "dial tcp: no address".to_owned()))
        }
        .boxed()
    }
}

/// As the agent's runtime sets its sockets up: small pieces do not wait for one another.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// No resolver is asked for what needs none.
async fn addresses(host: &str) -> Result<Vec<IpAddr>, String> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(LOOPBACK.to_vec());
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(vec![address]);
    }
    let found = tokio::net::lookup_host((host, 0)).await;
    let mut addresses = Vec::new();
    for address in found.into_iter().flatten() {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    if addresses.is_empty() {
        return Err(format!("lookup {host}: no such host"));
    }
    Ok(addresses)
}

fn parse_port(port: &str) -> Result<u16, String> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if digits => Ok(number),
        _ if digits => Err(format!("dial tcp: address {port}: invalid port")),
        _ => Err(format!("dial tcp: lookup tcp/{port}: unknown port")),
    }
}

fn is_forbidden(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => FORBIDDEN_V4.contains(&address),
        IpAddr::V6(address) => FORBIDDEN_V6.contains(&address),
    }
}

/// The node itself, in the order of trial.
const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// Metadata, DNS, time and licence services of a cloud node. An emulated node has no VPC, whose own addresses an
/// agent refuses as well.
const FORBIDDEN_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 169, 253),
    Ipv4Addr::new(169, 254, 169, 123),
    Ipv4Addr::new(169, 254, 169, 250),
    Ipv4Addr::new(169, 254, 169, 251),
];
const FORBIDDEN_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x123),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x240),
];

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn addresses_are_tried_in_order_until_one_answers() {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in [None, Some("localhost".to_owned()), Some("[::1]".to_owned())] {
            let destination = Destination::resolve(host, port.to_string()).await.unwrap();
            let socket = destination.dial().await.unwrap();
            assert!(socket.peer_addr().unwrap().is_ipv6());
        }
    }

    #[tokio::test]
    async fn a_failure_is_that_of_the_first_address_in_the_agents_words() {
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let destination = Destination::resolve(None, port.to_string()).await.unwrap();
        assert_eq!(
            destination.dial().await.unwrap_err(),
            format!("dial tcp 127.0.0.1:{port}: connect: connection refused")
        );
    }

    #[tokio::test]
    async fn services_of_the_cloud_are_forbidden_however_they_are_written() {
        for host in [
            "169.254.169.254",
            "fd00:ec2::254",
            "FD00:0EC2:0:0::240",
            "::ffff:169.254.169.123",
        ] {
            let error = Destination::resolve(Some(host.to_owned()), "80".to_owned()).await;
            assert_eq!(
                error.unwrap_err(),
                format!("Forwarding to IP address {host} is forbidden.")
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_is_an_error_at_once() {
        let host = "nowhere.invalid".to_owned();
        let error = Destination::resolve(Some(host), "80".to_owned()).await;
        assert_eq!(error.unwrap_err(), "lookup nowhere.invalid: no such host");
    }

    #[tokio::test]
    async fn a_port_that_is_none_is_an_error_of_each_connection() {
        for (port, text) in [
            ("65536", "dial tcp: address 65536: invalid port"),
            ("ssh!", "dial tcp: lookup tcp/ssh!: unknown port"),
            ("+80", "dial tcp: lookup tcp/+80: unknown port"),
        ] {
            let destination = Destination::resolve(None, port.to_owned()).await.unwrap();
            assert_eq!(destination.dial().await.unwrap_err(), text);
        }
    }
}
