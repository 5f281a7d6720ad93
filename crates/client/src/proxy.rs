//! Which connections go through which proxy, by the usual environment variables.

mod address;
mod bypass;
mod failure;
mod http;
mod socks;

use std::fmt;
use std::sync::Arc;

pub use self::address::ProxyError;
pub use self::failure::ProxyFailure;

pub(crate) use self::address::Proxy;
pub(crate) use self::address::Speech;

use self::bypass::Bypass;
use crate::connection::Connection;

/// The proxies connections go through: none by default.
///
/// `Debug` shows no user name and no password.
#[derive(Clone, Default)]
pub struct Proxies {
    for_tls: Option<Arc<Proxy>>,
    for_plain: Option<Arc<Proxy>>,
    bypass: Bypass,
}

impl Proxies {
    /// Reads the variables many programs share; `variable` gives the value of one.
    ///
    /// | Connections | The proxy is |
    /// |---|---|
    /// | over TLS (`https`, `wss`) | `HTTPS_PROXY`, else `ALL_PROXY` |
    /// | plain (`http`, `ws`) | `HTTP_PROXY`, else `ALL_PROXY` |
    ///
    /// Each name is also looked for in lower case, which wins even where its value is empty. An
    /// empty value is none. `HTTP_PROXY` does not count where `REQUEST_METHOD` is set: there the
    /// client of a web server may have chosen it.
    ///
    /// A value is `[scheme://][user[:password]@]host[:port]`. Schemes are `http` (the default,
    /// port 80), `https` (TLS to the proxy, port 443), `socks5` and `socks5h` (port 1080). User
    /// and password are percent-decoded. Whatever the scheme, the proxy looks the host up.
    ///
    /// `NO_PROXY` lists, between commas or blanks, what is reached without a proxy: names with all
    /// names below them, `.domain` or `*.domain` for the names below alone, IP addresses, CIDR
    /// ranges, all but the ranges with `:port` if wanted, or `*` for everything. Entries of other
    /// forms are skipped. This machine (`localhost` and loopback addresses) never takes a proxy,
    /// nor do link-local addresses and those of EC2's services on the machine itself, which
    /// mean something else on the proxy's side.
    ///
    /// # Errors
    ///
    /// [`ProxyError`] names the variable whose value cannot be used.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let value = |names: [&'static str; 2]| {
            let (name, value) = names
                .into_iter()
                .find_map(|name| Some((name, variable(name)?)))?;
            let value = value.trim().to_owned();
            (!value.is_empty()).then_some((name, value))
        };
        let proxy = |names| {
            let Some((name, value)) = value(names) else {
                return Ok(None);
            };
            Proxy::parse(name, &value).map(|proxy| Some(Arc::new(proxy)))
        };
        let in_a_web_server = variable("REQUEST_METHOD").is_some_and(|method| !method.is_empty());
        let all = proxy(["all_proxy", "ALL_PROXY"])?;
        let https = proxy(["https_proxy", "HTTPS_PROXY"])?;
        let http = if in_a_web_server {
            None
        } else {
            proxy(["http_proxy", "HTTP_PROXY"])?
        };
        let no_proxy = value(["no_proxy", "NO_PROXY"]);
        Ok(Self {
            for_tls: https.or_else(|| all.clone()),
            for_plain: http.or(all),
            bypass: Bypass::parse(no_proxy.as_ref().map_or("", |(_, list)| list)),
        })
    }

    /// The proxy for a connection to `host`, an IPv6 address without brackets; none if the
    /// connection is to be made without.
    pub(crate) fn choose(&self, host: &str, port: u16, tls: bool) -> Option<&Arc<Proxy>> {
        let proxy = if tls { &self.for_tls } else { &self.for_plain };
        proxy.as_ref().filter(|_| !self.bypass.contains(host, port))
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("for_tls", &self.for_tls)
            .field("for_plain", &self.for_plain)
            .field("bypass", &self.bypass)
            .finish()
    }
}

impl Proxy {
    /// Asks this proxy, to which `connection` leads, for a connection to `host`.
    pub(crate) async fn open(
        &self,
        connection: Connection,
        host: &str,
        port: u16,
    ) -> Result<Connection, ProxyFailure> {
        match self.speech {
            Speech::Http | Speech::Https => http::open(self, connection, host, port).await,
            Speech::Socks5 => socks::open(self, connection, host, port).await,
        }
    }
}

#[cfg(test)]
mod tests;
