//! What is reached without a proxy: `NO_PROXY`.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::authority::is_host_name;
use crate::authority::is_loopback;

/// EC2's instance metadata and EKS's credentials over IPv6; over IPv4 they are link-local.
const ON_THE_MACHINE: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
];

/// Hosts that never take a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bypass {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// This port alone.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// A name, in lower case, and those below it.
    Domain(String),
    /// The names below a name alone.
    Below(String),
    /// The addresses that begin with as many bits of this one; an IPv4 address counts as mapped
    /// to IPv6.
    Range(Ipv6Addr, u32),
}

impl Bypass {
    /// Entries of `list` that mean nothing are skipped, as every program does.
    pub(super) fn parse(list: &str) -> Self {
        let entries = list
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter_map(Entry::parse)
            .collect();
        Self { entries }
    }

    pub(super) fn contains(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let address = host.parse::<IpAddr>().ok().map(mapped);
        is_loopback(host)
            || address.is_some_and(is_on_the_machine)
            || self
                .entries
                .iter()
                .any(|entry| entry.contains(host, address, port))
    }
}

impl Entry {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.to_ascii_lowercase();
        if let Some(range) = Hosts::range(&entry) {
            return Some(Self {
                hosts: range,
                port: None,
            });
        }
        let (host, port) = match entry.rsplit_once(':') {
            // Else the colons are those of an IPv6 address.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (entry.as_str(), None),
        };
        Some(Self {
            hosts: Hosts::parse(host)?,
            port,
        })
    }

    /// `host` is in lower case, and `address` what it stands for if it is an IP address.
    fn contains(&self, host: &str, address: Option<Ipv6Addr>, port: u16) -> bool {
        self.port.is_none_or(|only| only == port) && self.hosts.contains(host, address)
    }
}

impl Hosts {
    fn parse(host: &str) -> Option<Self> {
        if host == "*" {
            return Some(Self::All);
        }
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(address) = literal.parse::<IpAddr>() {
            return Some(Self::Range(mapped(address), 128));
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let below = host.strip_prefix('*').unwrap_or(host).strip_prefix('.');
        let name = below.unwrap_or(host);
        is_host_name(name).then(|| match below {
            Some(_) => Self::Below(name.to_owned()),
            None => Self::Domain(name.to_owned()),
        })
    }

    /// From CIDR notation.
    fn range(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        let (skipped, longest) = if address.is_ipv4() {
            (96, 32)
        } else {
            (0, 128)
        };
        (bits <= longest).then(|| Self::Range(mapped(address), skipped + bits))
    }

    fn contains(&self, host: &str, address: Option<Ipv6Addr>) -> bool {
        let is_below = |name: &str| {
            host.strip_suffix(name)
                .is_some_and(|front| front.ends_with('.'))
        };
        match (self, address) {
            (Self::All, _) => true,
            (Self::Domain(name), None) => host == name || is_below(name),
            (Self::Below(name), None) => is_below(name),
            (Self::Range(first, bits), Some(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= *bits
            }
            (Self::Domain(_) | Self::Below(_), Some(_)) | (Self::Range(..), None) => false,
        }
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// Whether another machine would take `address` for something of its own.
fn is_on_the_machine(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
        || address
            .to_ipv4_mapped()
            .is_some_and(|address: Ipv4Addr| address.is_link_local())
        || ON_THE_MACHINE.contains(&address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_entry_matches_what_it_says() {
        let list = "name.example, .below.example,*.starred.example 10.1.1.1,10.1.1.2:81,\
                    10.1.1.3:80,10.9.0.0/30, fd00::52:0:1,[fd00::52:0:2]:443,[fd00::52:0:3]:80,\
                    fd01:db8:a::45/64,[fd02::1],ported.example:80,UPPER.example,dotted.example.";
        let bypass = Bypass::parse(list);
        for (host, expected) in [
            ("name.example", true),
            ("NAME.Example.", true),
            ("www.name.example", true),
            ("a.b.name.example", true),
            ("myname.example", false),
            ("ame.example", false),
            ("name.example.org", false),
            ("example", false),
            ("below.example", false),
            ("www.below.example", true),
            ("notbelow.example", false),
            ("starred.example", false),
            ("www.starred.example", true),
            ("xstarred.example", false),
            ("10.1.1.1", true),
            ("::ffff:10.1.1.1", true),
            ("10.1.1.10", false),
            ("10.1.1.2", false),
            ("10.1.1.3", true),
            ("10.1.1.4", false),
            ("10.9.0.3", true),
            ("10.9.0.4", false),
            ("fd00::52:0:1", true),
            ("fd00:0::52:0:1", true),
            ("fd00::52:0:2", false),
            ("fd00::52:0:3", true),
            ("fd01:db8:a::123", true),
            ("fd01:db8:b::123", false),
            ("fd02::1", true),
            ("ported.example", true),
            ("upper.example", true),
            ("dotted.example", true),
        ] {
            assert_eq!(bypass.contains(host, 80), expected, "{host}");
        }
        assert!(!bypass.contains("ported.example", 443));
        assert!(bypass.contains("fd00::52:0:2", 443));
    }

    #[test]
    fn this_machine_and_its_links_never_take_a_proxy() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::2", false),
            ("localhost.example", false),
            ("local.localhost", false),
            ("169.254.169.254", true),
            ("169.254.170.2", true),
            ("169.253.0.1", false),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("fd00:ec2::23", true),
            ("fd00:ec2::1", false),
            ("ssmmessages.eu-west-1.amazonaws.com", false),
        ] {
            assert_eq!(Bypass::default().contains(host, 443), expected, "{host}");
        }
    }

    #[test]
    fn a_star_is_everything() {
        for list in ["*", "a, *", "* ,b"] {
            assert!(Bypass::parse(list).contains("x.example", 1), "{list}");
            assert!(Bypass::parse(list).contains("10.0.0.1", 1), "{list}");
        }
    }

    #[test]
    fn entries_that_mean_nothing_match_nothing() {
        let list = ":1,,.,*.,a:b,10.0.0.0/33,fd00::/129,10.0.0.0/x,[fd00::1,é.example,/8,x*y";
        assert_eq!(Bypass::parse(list), Bypass::default());
    }

    #[test]
    fn a_domain_does_not_match_the_end_of_an_address() {
        assert!(!Bypass::parse("0.1, .0.0.1").contains("10.0.0.1", 80));
    }
}
