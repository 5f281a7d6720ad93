//! Where a proxy is and how it is spoken to.

use std::fmt;

use ssm_session_proto::Secret;

use crate::authority::Authority;
use crate::authority::AuthorityError;

/// Longest user name and password SOCKS5 can carry, in bytes (RFC 1929, 2).
const MAX_SOCKS_FIELD: usize = 255;

/// A proxy. `Debug` and `Display` show neither user nor password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) speech: Speech,
    /// A name or an IP address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
}

/// What a proxy understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Http,
    /// HTTP over TLS.
    Https,
    Socks5,
}

/// What a proxy may ask for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: Secret,
    pub(crate) password: Secret,
}

/// Why the value of a variable names no proxy. The value is not repeated, for it may hold a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The scheme is another.
    #[error("{variable} must begin with http://, https://, socks5:// or socks5h://")]
    Scheme {
        /// The variable's name.
        variable: String,
    },
    /// Not a host name or an IP address.
    #[error(
        "{variable} has no valid host name; special characters in its user name and password must \
         be percent-encoded"
    )]
    Host {
        /// The variable's name.
        variable: String,
    },
    /// Not a number from 1 to 65535.
    #[error(
        "the port in {variable} is not a number from 1 to 65535; special characters in its user \
         name and password must be percent-encoded"
    )]
    Port {
        /// The variable's name.
        variable: String,
    },
    /// Something follows host and port.
    #[error(
        "{variable} must end with the proxy's host and port; special characters in its user name \
         and password must be percent-encoded"
    )]
    Path {
        /// The variable's name.
        variable: String,
    },
    /// User name or password are not UTF-8 once decoded, or too long.
    #[error(
        "the user name or the password in {variable} cannot be used: each must be UTF-8, and for \
         SOCKS5 at most 255 bytes long"
    )]
    Credentials {
        /// The variable's name.
        variable: String,
    },
}

impl Proxy {
    /// From the value of the variable `variable`, which is not empty.
    pub(super) fn parse(variable: &str, value: &str) -> Result<Self, ProxyError> {
        let variable = || variable.to_owned();
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        let (speech, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Speech::Http, 80),
            "https" => (Speech::Https, 443),
            "socks5" | "socks5h" => (Speech::Socks5, 1080),
            _ => {
                return Err(ProxyError::Scheme {
                    variable: variable(),
                });
            }
        };
        // The last @, for some passwords have one that was not encoded.
        let (user_info, rest) = match rest.rsplit_once('@') {
            Some((user_info, rest)) => (Some(user_info), rest),
            None => (None, rest),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/") || user_info.is_some_and(|text| text.contains('/')) {
            return Err(ProxyError::Path {
                variable: variable(),
            });
        }
        let authority = Authority::parse(authority).map_err(|error| match error {
            AuthorityError::Host => ProxyError::Host {
                variable: variable(),
            },
            AuthorityError::Port => ProxyError::Port {
                variable: variable(),
            },
        })?;
        let credentials = user_info.map(|user_info| {
            Credentials::parse(user_info)
                .filter(|credentials| speech != Speech::Socks5 || credentials.fit_socks())
                .ok_or_else(|| ProxyError::Credentials {
                    variable: variable(),
                })
        });
        Ok(Self {
            speech,
            host: authority.host,
            port: authority.port.unwrap_or(default_port),
            credentials: credentials.transpose()?,
        })
    }

    /// Host and port, for errors.
    pub(crate) fn address(&self) -> String {
        let authority = Authority {
            host: self.host.clone(),
            port: Some(self.port),
        };
        authority.to_string()
    }
}

impl Credentials {
    /// From `user` or `user:password`; `None` if they are not UTF-8.
    fn parse(user_info: &str) -> Option<Self> {
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        Some(Self {
            user: Secret::new(percent_decoded(user)?),
            password: Secret::new(percent_decoded(password)?),
        })
    }

    fn fit_socks(&self) -> bool {
        [&self.user, &self.password]
            .iter()
            .all(|field| field.expose().len() <= MAX_SOCKS_FIELD)
    }
}

/// `text` decoded. A `%` that begins no code stands for itself.
fn percent_decoded(text: &str) -> Option<String> {
    let digit = |byte: Option<&u8>| match *byte? {
        byte @ b'0'..=b'9' => Some(byte - b'0'),
        byte @ b'a'..=b'f' => Some(byte - b'a' + 10),
        byte @ b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        let code = match (digit(after.first()), digit(after.get(1))) {
            (Some(high), Some(low)) if *first == b'%' => Some(high << 4 | low),
            _ => None,
        };
        decoded.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(decoded).ok()
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.speech {
            Speech::Http => "http",
            Speech::Https => "https",
            Speech::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}", self.address())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<Proxy, ProxyError> {
        Proxy::parse("HTTPS_PROXY", value)
    }

    fn credentials(value: &str) -> (String, String) {
        let credentials = parse(value).unwrap().credentials.unwrap();
        (
            credentials.user.expose().to_owned(),
            credentials.password.expose().to_owned(),
        )
    }

    #[test]
    fn every_scheme_has_its_default_port() {
        for (value, expected) in [
            ("cache.corp.example", "http://cache.corp.example:80"),
            ("cache.corp.example:1234", "http://cache.corp.example:1234"),
            ("localhost", "http://localhost:80"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("[fd00::1]:8080", "http://[fd00::1]:8080"),
            ("http://a", "http://a:80"),
            ("HTTP://a:3128/", "http://a:3128"),
            ("https://a", "https://a:443"),
            ("https://127.0.0.1:8080", "https://127.0.0.1:8080"),
            ("socks5://127.0.0.1", "socks5://127.0.0.1:1080"),
            ("socks5h://a:1", "socks5://a:1"),
        ] {
            let proxy = parse(value).unwrap();
            assert_eq!(proxy.to_string(), expected, "{value}");
            assert!(proxy.credentials.is_none(), "{value}");
        }
    }

    #[test]
    fn user_and_password_are_decoded() {
        for (value, user, password) in [
            ("http://u:p@a:1", "u", "p"),
            ("u:p@a:1", "u", "p"),
            ("http://u@a", "u", ""),
            ("http://u:@a", "u", ""),
            ("socks5://d%5cu:p%40%3A%2f%C3%A9@a", "d\\u", "p@:/é"),
            ("http://u:p:q@a", "u", "p:q"),
            ("http://u:p@q@a", "u", "p@q"),
            ("http://u:100%@a", "u", "100%"),
            ("http://u:%4@a", "u", "%4"),
            ("http://u:%zz%41@a", "u", "%zzA"),
            ("http://u:%é@a", "u", "%é"),
        ] {
            assert_eq!(
                credentials(value),
                (user.to_owned(), password.to_owned()),
                "{value}"
            );
        }
    }

    #[test]
    fn neither_is_ever_shown() {
        let proxy = parse("http://someone:hunter2@a:1").unwrap();
        assert_eq!(format!("{proxy} {proxy:?}"), "http://a:1 Proxy(http://a:1)");
    }

    #[test]
    fn an_unusable_value_is_refused_by_its_variable_and_not_repeated() {
        let variable = || "HTTPS_PROXY".to_owned();
        let long = format!("socks5://{}:p@a", "x".repeat(256));
        let scheme = ProxyError::Scheme {
            variable: variable(),
        };
        let host = ProxyError::Host {
            variable: variable(),
        };
        let port = ProxyError::Port {
            variable: variable(),
        };
        let path = ProxyError::Path {
            variable: variable(),
        };
        let credentials = ProxyError::Credentials {
            variable: variable(),
        };
        for (values, expected) in [
            (&["foo://hunter2", "socks4://a", "://a"][..], scheme),
            (&["http://", "http://hunter2@", "http://a b"], host),
            (&["http://a:hunter2", "http://a:0"], port),
            (&["http://a:1/proxy.pac", "http://u:hunt/er2@a:1"], path),
            (&["http://u:%ff@a", &long], credentials),
        ] {
            for value in values {
                let error = parse(value).unwrap_err();
                assert_eq!(error, expected, "{value}");
                let shown = format!("{error} {error:?}");
                assert!(shown.contains("HTTPS_PROXY"), "{shown}");
                assert!(!shown.contains("hunter2"), "{shown}");
            }
        }
    }

    #[test]
    fn http_takes_longer_credentials_than_socks() {
        let value = format!("http://u:{}@a", "x".repeat(2000));
        assert_eq!(credentials(&value).1.len(), 2000);
    }
}
