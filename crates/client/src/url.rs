//! The address of a session's WebSocket, as StartSession hands it out (docs/PROTOCOL.md, 1.2).

use std::fmt;

use ssm_session_proto::Secret;

use crate::authority::Authority;
use crate::authority::AuthorityError;
use crate::authority::is_loopback;
use crate::stream_policy::StreamPolicy;

/// Longest URL taken, in bytes: the request that carries it must fit into what servers take.
const MAX_URL: usize = 16 * 1024;
/// Longest token taken, in bytes. The API's documentation knows 300.
const MAX_TOKEN: usize = 16 * 1024;

/// A parsed stream URL. Path and query are kept, and sent, exactly as they were given.
///
/// `Debug` and `Display` show scheme, host and port: the rest may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamUrl {
    tls: bool,
    /// Host and port for the Host header, as written unless the host was replaced.
    authority: String,
    /// Without the brackets of an IPv6 literal.
    host: String,
    port: u16,
    path_and_query: Secret,
}

/// Why a stream URL, or what came with it, was refused. The URL itself is not repeated, for it may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamUrlError {
    /// It has so many bytes, more than are taken.
    #[error("the stream URL has {0} bytes, more than the {MAX_URL} that are taken")]
    Length(usize),
    /// The token that came with it has so many bytes, more than are taken.
    #[error("the session's token has {0} bytes, more than the {MAX_TOKEN} that are taken")]
    TokenLength(usize),
    /// There is nothing before `://`, or it is neither `ws` nor `wss`.
    #[error("the stream URL must begin with wss://")]
    Scheme,
    /// Not a host name or IP address.
    #[error("the stream URL has no valid host name")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port of the stream URL is not a number from 1 to 65535")]
    Port,
    /// `user@` or `user:password@` in front of the host.
    #[error("the stream URL must not contain a user name or password")]
    UserInfo,
    /// A `#`, which has no meaning in a WebSocket URL.
    #[error("the stream URL must not contain a fragment (#)")]
    Fragment,
    /// A character that does not belong in a URL, such as a blank, a line break or a letter
    /// outside ASCII.
    #[error("the stream URL contains a character that is not allowed, at byte {0}")]
    Character(usize),
    /// `ws` to another machine without the leave of [`StreamPolicy::allow_plain`].
    #[error("the stream URL leads to {0} without TLS; only wss:// may leave this machine")]
    Plain(String),
    /// A host that [`StreamPolicy`] does not allow.
    #[error(
        "the stream URL leads to {0}, which is not a Session Manager host of AWS; if it is meant \
         to, allow this host explicitly, or replace it by the one to connect to"
    )]
    Forbidden(String),
}

impl From<AuthorityError> for StreamUrlError {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Host => Self::Host,
            AuthorityError::Port => Self::Port,
        }
    }
}

/// Whether a token may be as long as this one.
pub(crate) fn check_token(token: &Secret) -> Result<(), StreamUrlError> {
    let length = token.expose().len();
    if length > MAX_TOKEN {
        return Err(StreamUrlError::TokenLength(length));
    }
    Ok(())
}

impl StreamUrl {
    /// Parses `text`, which must be `wss://host[:port][/path][?query]`, or the same with `ws`
    /// where `policy` allows it. A host that `policy` replaces is replaced here: name lookup, TLS,
    /// Host header and signature all use the replacement, while path and query stay.
    ///
    /// # Errors
    ///
    /// [`StreamUrlError`] says which part is wrong.
    pub fn parse(text: &str, policy: &StreamPolicy) -> Result<Self, StreamUrlError> {
        if text.len() > MAX_URL {
            return Err(StreamUrlError::Length(text.len()));
        }
        if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_graphic()) {
            return Err(StreamUrlError::Character(at));
        }
        let (scheme, rest) = text.split_once("://").ok_or(StreamUrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "wss" => true,
            "ws" => false,
            _ => return Err(StreamUrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(StreamUrlError::Fragment);
        }
        let (authority, path_and_query) =
            rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(StreamUrlError::UserInfo);
        }
        let given = Authority::parse(authority)?;
        let default_port = if tls { 443 } else { 80 };
        let port = given.port.unwrap_or(default_port);
        let (host, port, authority) = match policy.replacement() {
            Some(replacement) => {
                let port = replacement.port.unwrap_or(port);
                let authority = Authority {
                    host: replacement.host.clone(),
                    port: (port != default_port).then_some(port),
                };
                (authority.host.clone(), port, authority.to_string())
            }
            None => (given.host, port, authority.to_owned()),
        };
        if tls && policy.replacement().is_none() && !policy.allows(&host) {
            return Err(StreamUrlError::Forbidden(host));
        }
        if !tls && !policy.allows_plain() && !is_loopback(&host) {
            return Err(StreamUrlError::Plain(host));
        }
        let path_and_query = if path_and_query.starts_with('/') {
            path_and_query.to_owned()
        } else {
            format!("/{path_and_query}")
        };
        Ok(Self {
            tls,
            authority,
            host,
            port,
            path_and_query: Secret::new(path_and_query),
        })
    }

    /// Host name or IP address; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port, 443 for `wss` and 80 for `ws` unless the URL says otherwise.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the stream runs over TLS (`wss`).
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn path_and_query(&self) -> &str {
        self.path_and_query.expose()
    }
}

impl fmt::Display for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl fmt::Debug for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> StreamPolicy {
        StreamPolicy::default().allow_host("h").unwrap()
    }

    fn parse(text: &str) -> Result<StreamUrl, StreamUrlError> {
        StreamUrl::parse(text, &policy())
    }

    #[test]
    fn path_and_query_are_kept_as_they_were_given() {
        let url = parse(
            "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/a-0?role=publish_subscribe&cell-number=AAE%2Fx%3d//",
        )
        .unwrap();
        assert_eq!(url.host(), "ssmmessages.eu-west-1.amazonaws.com");
        assert_eq!(url.authority(), "ssmmessages.eu-west-1.amazonaws.com");
        assert_eq!(url.port(), 443);
        assert!(url.is_tls());
        assert_eq!(
            url.path_and_query(),
            "/v1/data-channel/a-0?role=publish_subscribe&cell-number=AAE%2Fx%3d//"
        );
    }

    #[test]
    fn a_missing_path_is_the_root() {
        assert_eq!(parse("wss://h").unwrap().path_and_query(), "/");
        assert_eq!(parse("WSS://h?x=/1").unwrap().path_and_query(), "/?x=/1");
    }

    #[test]
    fn ports_other_than_the_default_are_taken() {
        let url = parse("wss://h:8443/").unwrap();
        assert_eq!((url.port(), url.authority()), (8443, "h:8443"));
        for text in [
            "wss://h:/",
            "wss://h:0/",
            "wss://h:65536/",
            "wss://h:+1/",
            "wss://h:1:2/",
        ] {
            assert_eq!(parse(text), Err(StreamUrlError::Port), "{text}");
        }
    }

    #[test]
    fn ipv6_literals_are_taken_in_brackets() {
        let url = parse("ws://[::1]:9000/x").unwrap();
        assert_eq!(
            (url.host(), url.port(), url.authority()),
            ("::1", 9000, "[::1]:9000")
        );
        for text in [
            "wss://[::1/",
            "wss://[::1]x/",
            "wss://[zz]/",
            "wss://[]/",
            "wss://[127.0.0.1]/",
        ] {
            assert_eq!(parse(text), Err(StreamUrlError::Host), "{text}");
        }
        assert_eq!(parse("wss://::1/"), Err(StreamUrlError::Host));
    }

    #[test]
    fn plain_streams_stay_on_this_machine() {
        for text in [
            "ws://127.0.0.1:1/",
            "ws://127.8.9.1",
            "ws://localhost:3",
            "ws://LocalHost",
            "ws://[::1]",
            "ws://[::ffff:127.0.0.1]",
        ] {
            assert!(!parse(text).unwrap().is_tls(), "{text}");
        }
        for text in [
            "ws://10.0.0.1/",
            "ws://example.com",
            "ws://localhost.example.com",
            "ws://127.0.0.1.example.com",
            "ws://[::2]",
        ] {
            assert!(
                matches!(parse(text), Err(StreamUrlError::Plain(_))),
                "{text}"
            );
            assert!(
                StreamUrl::parse(text, &StreamPolicy::default().allow_plain()).is_ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_host_that_is_not_allowed_is_named_and_the_rest_is_not() {
        let error = parse("wss://ssmmessages.evil.example/x?secret=1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the stream URL leads to ssmmessages.evil.example, which is not a Session Manager host \
             of AWS; if it is meant to, allow this host explicitly, or replace it by the one to \
             connect to"
        );
    }

    #[test]
    fn leave_for_plain_streams_is_no_leave_for_other_hosts_over_tls() {
        let policy = StreamPolicy::default().allow_plain();
        assert_eq!(
            StreamUrl::parse("wss://example.com/", &policy),
            Err(StreamUrlError::Forbidden("example.com".to_owned()))
        );
    }

    #[test]
    fn a_replaced_host_takes_the_place_of_any_other_and_path_and_query_stay() {
        let replaced = |text: &str, by: &str| {
            let policy = StreamPolicy::default().replace_host(by).unwrap();
            let url = StreamUrl::parse(text, &policy).unwrap();
            assert_eq!(url.path_and_query(), "/v1?x=1%2F");
            (
                url.host().to_owned(),
                url.port(),
                url.authority().to_owned(),
            )
        };
        let aws = "wss://ssmmessages.eu-west-1.amazonaws.com/v1?x=1%2F";
        for (text, by, host, port, authority) in [
            (aws, "vpce.example", "vpce.example", 443, "vpce.example"),
            (aws, "vpce.example:443", "vpce.example", 443, "vpce.example"),
            (
                aws,
                "vpce.example:8443",
                "vpce.example",
                8443,
                "vpce.example:8443",
            ),
            (aws, "[fd00::1]:1", "fd00::1", 1, "[fd00::1]:1"),
            ("wss://other.example:9/v1?x=1%2F", "a", "a", 9, "a:9"),
            (
                "ws://localhost/v1?x=1%2F",
                "127.0.0.1",
                "127.0.0.1",
                80,
                "127.0.0.1",
            ),
        ] {
            let expected = (host.to_owned(), port, authority.to_owned());
            assert_eq!(replaced(text, by), expected, "{text} {by}");
        }
    }

    #[test]
    fn a_replaced_host_is_no_leave_for_plain_streams() {
        let policy = StreamPolicy::default().replace_host("example.com").unwrap();
        assert_eq!(
            StreamUrl::parse("ws://localhost/", &policy),
            Err(StreamUrlError::Plain("example.com".to_owned()))
        );
    }

    #[test]
    fn what_is_not_a_stream_url_is_refused() {
        for text in ["", "h", "https://h/", "wss:h", "://h"] {
            assert_eq!(parse(text), Err(StreamUrlError::Scheme), "{text}");
        }
        for text in [
            "wss://",
            "wss:///x",
            "wss://?x",
            "wss://h%41/",
            "wss://.h/",
            "wss://a\\b/",
            "wss://:443/",
        ] {
            assert_eq!(parse(text), Err(StreamUrlError::Host), "{text}");
        }
        assert_eq!(parse("wss://u:p@h/"), Err(StreamUrlError::UserInfo));
        assert_eq!(parse("wss://h/a#b"), Err(StreamUrlError::Fragment));
        assert_eq!(parse("wss://h/a b"), Err(StreamUrlError::Character(9)));
        assert_eq!(
            parse("wss://h/a\r\nX: y"),
            Err(StreamUrlError::Character(9))
        );
        assert_eq!(parse("wss://hé/"), Err(StreamUrlError::Character(7)));
    }

    #[test]
    fn neither_form_of_text_shows_the_query() {
        let url = parse("wss://h:1/path?X-Amz-Signature=deadbeef").unwrap();
        assert_eq!(format!("{url} {url:?}"), "wss://h:1 StreamUrl(wss://h:1)");
    }
}
