//! A connection through a SOCKS5 proxy (RFC 1928), with user name and password (RFC 1929).

use std::net::IpAddr;

use bytes::Buf;
use ssm_session_proto::Secret;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use super::address::Credentials;
use super::address::Proxy;
use super::failure::ProxyFailure;
use crate::connection::Connection;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
/// Of the exchange of user name and password.
const AUTHENTICATION_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

const SOCKS: &str = "a SOCKS5 proxy";

pub(super) async fn open(
    proxy: &Proxy,
    mut connection: Connection,
    host: &str,
    port: u16,
) -> Result<Connection, ProxyFailure> {
    let request = request(host, port)?;
    let credentials = proxy.credentials.as_ref();
    let greeting: &[u8] = match credentials {
        None => &[VERSION, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
    };
    send(&mut connection, greeting).await?;
    let [version, method] = receive(&mut connection).await?;
    if version != VERSION {
        return Err(ProxyFailure::NotAProxy(SOCKS));
    }
    match (method, credentials) {
        (NO_AUTHENTICATION, _) => {}
        (USER_AND_PASSWORD, Some(credentials)) => {
            authenticate(&mut connection, credentials).await?;
        }
        (NO_METHOD, None) => return Err(ProxyFailure::CredentialsWanted),
        (NO_METHOD, Some(_)) => {
            return Err(ProxyFailure::Authentication("another method".to_owned()));
        }
        _ => return Err(ProxyFailure::NotAProxy(SOCKS)),
    }
    send(&mut connection, &request).await?;
    let [version] = receive(&mut connection).await.map_err(unanswered)?;
    let [reply, _, kind] = receive(&mut connection).await?;
    if version != VERSION {
        return Err(ProxyFailure::NotAProxy(SOCKS));
    }
    // Some proxies end a refusal here, without an address.
    if reply != 0 {
        return Err(refusal(reply));
    }
    // The address on the far side, of no use here.
    match kind {
        IPV4 => drop(receive::<6>(&mut connection).await?),
        IPV6 => drop(receive::<18>(&mut connection).await?),
        NAME => {
            let [length] = receive(&mut connection).await?;
            let mut rest = vec![0; usize::from(length) + 2];
            let read = connection.read_exact(&mut rest).await;
            read.map_err(ProxyFailure::Io)?;
        }
        _ => return Err(ProxyFailure::NotAProxy(SOCKS)),
    }
    Ok(connection)
}

/// The request to connect. A name is sent as such: the proxy looks it up.
fn request(host: &str, port: u16) -> Result<Vec<u8>, ProxyFailure> {
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len()).map_err(|_| ProxyFailure::NameTooLong)?;
            request.extend([NAME, length]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

async fn authenticate(
    connection: &mut Connection,
    credentials: &Credentials,
) -> Result<(), ProxyFailure> {
    // As one write of four parts: put together, nobody would wipe them.
    let length = |field: &Secret| u8::try_from(field.expose().len()).unwrap_or(u8::MAX);
    let (user, password) = (&credentials.user, &credentials.password);
    let before = [AUTHENTICATION_VERSION, length(user)];
    let between = [length(password)];
    let message = Buf::chain(&before[..], user.expose().as_bytes());
    let mut message = Buf::chain(
        message,
        Buf::chain(&between[..], password.expose().as_bytes()),
    );
    let written = connection.write_all_buf(&mut message).await;
    written.map_err(ProxyFailure::Io)?;
    connection.flush().await.map_err(ProxyFailure::Io)?;
    // The version is not looked at: some proxies send that of the greeting.
    let [_, status] = receive(connection).await?;
    if status == 0 {
        Ok(())
    } else {
        Err(ProxyFailure::CredentialsRefused)
    }
}

/// OpenSSH hangs up where others reply that the host cannot be reached.
fn unanswered(failure: ProxyFailure) -> ProxyFailure {
    match failure {
        ProxyFailure::Io(_) => ProxyFailure::Target("it hung up instead of a reply".to_owned()),
        other => other,
    }
}

/// The reply codes of RFC 1928, 6.
fn refusal(reply: u8) -> ProxyFailure {
    let words = match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "kind of address not supported",
        _ => "unknown reason",
    };
    let answer = format!("SOCKS reply {reply}, {words}");
    match reply {
        2 => ProxyFailure::Forbidden(answer),
        1 | 3..=6 => ProxyFailure::Target(answer),
        _ => ProxyFailure::Refused(answer),
    }
}

async fn send(connection: &mut Connection, bytes: &[u8]) -> Result<(), ProxyFailure> {
    let written = connection.write_all(bytes).await;
    written.map_err(ProxyFailure::Io)?;
    connection.flush().await.map_err(ProxyFailure::Io)
}

async fn receive<const N: usize>(connection: &mut Connection) -> Result<[u8; N], ProxyFailure> {
    let mut bytes = [0; N];
    let read = connection.read_exact(&mut bytes).await;
    read.map_err(ProxyFailure::Io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_sent_as_a_name_and_an_address_as_an_address() {
        assert_eq!(
            request("a.b", 443).unwrap(),
            b"\x05\x01\x00\x03\x03a.b\x01\xbb"
        );
        assert_eq!(
            request("10.0.0.1", 80).unwrap(),
            b"\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50"
        );
        assert_eq!(
            request("fd00::1", 1).unwrap(),
            b"\x05\x01\x00\x04\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x01"
        );
    }

    #[test]
    fn a_name_too_long_for_its_length_is_refused() {
        assert!(request(&"a".repeat(255), 1).is_ok());
        let error = request(&"a".repeat(256), 1).unwrap_err();
        assert!(matches!(error, ProxyFailure::NameTooLong), "{error:?}");
    }

    #[test]
    fn replies_tell_whose_fault_it_is() {
        for (reply, expected) in [
            (
                1,
                "it could not reach that host (SOCKS reply 1, general failure)",
            ),
            (
                2,
                "it forbids this connection (SOCKS reply 2, not allowed by its rules)",
            ),
            (
                5,
                "it could not reach that host (SOCKS reply 5, connection refused)",
            ),
            (7, "it refused (SOCKS reply 7, command not supported)"),
            (99, "it refused (SOCKS reply 99, unknown reason)"),
        ] {
            assert_eq!(refusal(reply).to_string(), expected);
        }
    }
}
