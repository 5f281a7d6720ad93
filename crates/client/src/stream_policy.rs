//! Where a session's stream may lead.

use crate::authority::Authority;
use crate::authority::is_host_name;
use crate::authority::is_loopback;
use crate::aws_host::AwsHost;

/// Which addresses are taken for a session's stream. Whoever can put another address into
/// StartSession's answer gets the token and all keystrokes.
///
/// Without further leave that is this machine, and over TLS the Session Manager hosts of all of
/// AWS's partitions, `ssmmessages.<region>.<suffix>`: FIPS, dual-stack and PrivateLink names too
/// (docs/PROTOCOL.md, 2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPolicy {
    plain: bool,
    hosts: Vec<Pattern>,
    replacement: Option<Authority>,
}

/// A setting of a [`StreamPolicy`] that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamPolicyError {
    /// Not a pattern of [`StreamPolicy::allow_host`].
    #[error("{0:?} is not a host name, an IP address, *.domain or * (without a port)")]
    Pattern(String),
    /// Not an argument of [`StreamPolicy::replace_host`].
    #[error("{0:?} is not a host or host:port")]
    Replacement(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Any,
    Host(String),
    /// With the leading dot.
    Below(String),
}

impl StreamPolicy {
    /// Takes `ws`, which is without TLS, for any host and not only for this machine. Tokens and
    /// keystrokes then travel readable by everyone on the way.
    #[must_use]
    pub fn allow_plain(self) -> Self {
        Self {
            plain: true,
            ..self
        }
    }

    /// Takes `wss` also for the hosts of `pattern`: one name or IP address, `*.domain` for every
    /// name below a domain but not the domain itself, `*` for every host. Case does not matter.
    ///
    /// # Errors
    ///
    /// [`StreamPolicyError::Pattern`] if it is none of these.
    pub fn allow_host(mut self, pattern: &str) -> Result<Self, StreamPolicyError> {
        let parsed = Pattern::parse(pattern)
            .ok_or_else(|| StreamPolicyError::Pattern(pattern.to_owned()))?;
        self.hosts.push(parsed);
        Ok(self)
    }

    /// Leads every stream, those to this machine included, to `host` (`host` or `host:port`)
    /// instead of the host its URL names, as private endpoints without private DNS need it. Name
    /// lookup, TLS, the Host field and the signature use the replacement; the port stays unless
    /// one is given. The replacement needs no leave of its own, except for plain streams.
    ///
    /// # Errors
    ///
    /// [`StreamPolicyError::Replacement`] if it is neither.
    pub fn replace_host(self, host: &str) -> Result<Self, StreamPolicyError> {
        let replacement =
            Authority::parse(host).map_err(|_| StreamPolicyError::Replacement(host.to_owned()))?;
        Ok(Self {
            replacement: Some(replacement),
            ..self
        })
    }

    pub(crate) fn allows_plain(&self) -> bool {
        self.plain
    }

    /// Whether a stream over TLS may lead to `host`.
    pub(crate) fn allows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        is_loopback(&host)
            || AwsHost::parse(&host).is_some_and(|host| host.is_session_manager())
            || self.hosts.iter().any(|pattern| pattern.matches(&host))
    }

    pub(crate) fn replacement(&self) -> Option<&Authority> {
        self.replacement.as_ref()
    }
}

impl Pattern {
    fn parse(pattern: &str) -> Option<Self> {
        let pattern = pattern.to_ascii_lowercase();
        if pattern == "*" {
            return Some(Self::Any);
        }
        if let Some(domain) = pattern.strip_prefix("*.") {
            return is_host_name(domain).then(|| Self::Below(format!(".{domain}")));
        }
        // An IPv6 address may stand with its brackets, as in URLs, or without.
        if let Ok(address) = pattern.parse::<std::net::Ipv6Addr>() {
            return Some(Self::Host(address.to_string()));
        }
        let authority = Authority::parse(&pattern).ok()?;
        (authority.port.is_none()).then_some(Self::Host(authority.host))
    }

    /// `host` is in lower case.
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Host(name) => host == name,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str) -> bool {
        StreamPolicy::default().allows(host)
    }

    #[test]
    fn session_manager_of_every_partition_is_allowed() {
        for host in [
            "ssmmessages.us-east-1.amazonaws.com",
            "ssmmessages-fips.us-gov-west-1.amazonaws.com",
            "SSMMessages.EU-West-1.AmazonAWS.com",
            "ssmmessages.ap-southeast-1.api.aws",
            "ssmmessages-fips.us-east-2.api.aws",
            "ssmmessages.cn-northwest-1.amazonaws.com.cn",
            "ssmmessages.cn-north-1.api.amazonwebservices.com.cn",
            "ssmmessages.eusc-de-east-1.amazonaws.eu",
            "ssmmessages.eusc-de-east-1.api.amazonwebservices.eu",
            "ssmmessages.us-iso-east-1.c2s.ic.gov",
            "ssmmessages.us-isob-east-1.sc2s.sgov.gov",
            "ssmmessages.us-isof-south-1.csp.hci.ic.gov",
            "ssmmessages.eu-isoe-west-1.cloud.adc-e.uk",
            "vpce-0a1b-2c3d.ssmmessages.us-east-1.vpce.amazonaws.com",
            "vpce-0a1b-2c3d-us-east-1a.ssmmessages.us-east-1.vpce.amazonaws.com",
            "vpce-0a1b-2c3d.ssmmessages-fips.us-east-1.vpce.amazonaws.com",
            "vpce-0a1b-2c3d.ssmmessages.cn-north-1.vpce.amazonaws.com.cn",
        ] {
            assert!(allowed(host), "{host}");
        }
    }

    #[test]
    fn this_machine_is_allowed() {
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.255.0.9",
            "::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(allowed(host), "{host}");
        }
    }

    #[test]
    fn lookalikes_are_not() {
        for host in [
            "example.com",
            "ssmmessages.evil.com",
            "ssmmessages.us-east-1.evil.com",
            "ssmmessages.amazonaws.com.evil.com",
            "ssmmessages.us-east-1.amazonaws.com.evil.com",
            "ssmmessages.us-east-1.evilamazonaws.com",
            "ssmmessages.us-east-1.amazonaws.com.",
            "ssmmessages.us-east-1.amazonaws.com..",
            "ssmmessages..us-east-1.amazonaws.com",
            "xssmmessages.us-east-1.amazonaws.com",
            "ssmmessagesx.us-east-1.amazonaws.com",
            "ssmmessages_.us-east-1.amazonaws.com",
            "ssmmessages-us-east-1.amazonaws.com",
            "us-east-1.amazonaws.com",
            "ssm.us-east-1.amazonaws.com",
            "amazonaws.com",
            "ssmmessages.amazonaws.com",
            "10.0.0.1",
            "::2",
            "localhost.",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "ssmmessages",
        ] {
            assert!(!allowed(host), "{host}");
        }
    }

    #[test]
    fn names_customers_choose_below_aws_domains_are_not() {
        for host in [
            "ssmmessages.s3.amazonaws.com",
            "ssmmessages.s3-us-west-2.amazonaws.com",
            "ssmmessages.s3.us-west-2.amazonaws.com",
            "ssmmessages-1234567890.us-east-1.elb.amazonaws.com",
            "ssmmessages.us-east-1.s3.amazonaws.com",
            "ssmmessages.execute-api.us-east-1.amazonaws.com",
        ] {
            assert!(!allowed(host), "{host}");
        }
    }

    #[test]
    fn patterns_allow_what_they_say() {
        for (pattern, yes, no) in [
            ("a.example", "A.Example", "b.a.example"),
            ("A.EXAMPLE", "a.example", "a.example."),
            ("*.example", "x.y.example", "example"),
            ("*.b.example", "x.b.example", "xb.example"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.10"),
            ("[FD00::1]", "fd00::1", "fd00::2"),
            ("fd00:0::1", "fd00::1", "fd00::2"),
        ] {
            let policy = StreamPolicy::default().allow_host(pattern).unwrap();
            assert!(policy.allows(yes), "{pattern} {yes}");
            assert!(!policy.allows(no), "{pattern} {no}");
        }
        let any = StreamPolicy::default().allow_host("*").unwrap();
        assert!(any.allows("anything.example") && any.allows("10.0.0.1"));
    }

    #[test]
    fn several_patterns_allow_what_each_does() {
        let policy = StreamPolicy::default().allow_host("a").unwrap();
        let policy = policy.allow_host("b").unwrap();
        assert!(policy.allows("a") && policy.allows("b") && !policy.allows("c"));
    }

    #[test]
    fn what_is_no_pattern_is_an_error_that_repeats_it() {
        for pattern in [
            "",
            " ",
            "**",
            "*a",
            "a.*",
            "*.",
            "*.*.a",
            ".a",
            "a:443",
            "https://a",
            "a/b",
            "u@a",
            "[::1]:443",
        ] {
            let error = StreamPolicy::default().allow_host(pattern).unwrap_err();
            assert_eq!(error, StreamPolicyError::Pattern(pattern.to_owned()));
        }
        assert_eq!(
            StreamPolicyError::Pattern("a:443".to_owned()).to_string(),
            "\"a:443\" is not a host name, an IP address, *.domain or * (without a port)"
        );
    }

    #[test]
    fn what_is_no_host_replaces_none() {
        for host in ["", "wss://a", "a:0", "a:b", "a/", "*.a", "u@a"] {
            assert_eq!(
                StreamPolicy::default().replace_host(host),
                Err(StreamPolicyError::Replacement(host.to_owned()))
            );
        }
    }
}
