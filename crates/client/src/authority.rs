//! Host and port, as URLs and settings name them.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;

/// Longest host name there is in DNS.
const MAX_HOST: usize = 253;

/// A host with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// A name or an IP address, without the brackets of an IPv6 literal.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthorityError {
    Host,
    Port,
}

impl Authority {
    /// From `host`, `host:port`, `[IPv6]` or `[IPv6]:port`.
    pub(crate) fn parse(text: &str) -> Result<Self, AuthorityError> {
        let (host, port) = split(text)?;
        Ok(Self {
            host: host.to_owned(),
            port: port.map(parse_port).transpose()?,
        })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Whether `host` never leads off this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether `host` can be a host name or an IPv4 address.
pub(crate) fn is_host_name(host: &str) -> bool {
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty()
        && host.len() <= MAX_HOST
        && host.bytes().all(is_host_byte)
        && !host.starts_with('.')
}

/// The host without brackets and, if there is one, the text after its colon.
fn split(text: &str) -> Result<(&str, Option<&str>), AuthorityError> {
    if let Some(literal) = text.strip_prefix('[') {
        let (host, after) = literal.split_once(']').ok_or(AuthorityError::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| AuthorityError::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(AuthorityError::Host),
        };
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if is_host_name(host) {
        Ok((host, port))
    } else {
        Err(AuthorityError::Host)
    }
}

fn parse_port(digits: &str) -> Result<u16, AuthorityError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AuthorityError::Port);
    }
    match digits.parse() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(AuthorityError::Port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<u16>) {
        let authority = Authority::parse(text).unwrap();
        assert_eq!(authority.to_string(), text);
        (authority.host, authority.port)
    }

    #[test]
    fn names_and_addresses_are_taken_with_and_without_a_port() {
        assert_eq!(parsed("a.example"), ("a.example".to_owned(), None));
        assert_eq!(parsed("10.0.0.1:80"), ("10.0.0.1".to_owned(), Some(80)));
        assert_eq!(parsed("[::1]"), ("::1".to_owned(), None));
        assert_eq!(parsed("[fd00::1]:443"), ("fd00::1".to_owned(), Some(443)));
    }

    #[test]
    fn what_is_neither_is_refused_by_its_part() {
        for text in ["", ":1", "::1", ".a", "a b", "é", "[::1", "[::1]x", "[a]"] {
            assert_eq!(Authority::parse(text), Err(AuthorityError::Host), "{text}");
        }
        for text in ["a:", "a:0", "a:65536", "a:+1", "a:1:2", "a:http"] {
            assert_eq!(Authority::parse(text), Err(AuthorityError::Port), "{text}");
        }
    }
}
