//! A connection through an HTTP proxy, by CONNECT (RFC 9110, 9.3.6).

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use ssm_session_proto::Secret;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use super::address::Credentials;
use super::address::Proxy;
use super::failure::ProxyFailure;
use crate::authority::Authority;
use crate::connection::Connection;
use crate::text::printable;

/// Longest header taken, in bytes: several times what proxies send.
const MAX_HEADER: usize = 16 * 1024;
/// Most header fields taken.
const MAX_FIELDS: usize = 64;
/// Longest reason phrase and list of authentication schemes shown, in characters.
const MAX_TEXT: usize = 80;

const HTTP: &str = "an HTTP proxy";

pub(super) async fn open(
    proxy: &Proxy,
    mut connection: Connection,
    host: &str,
    port: u16,
) -> Result<Connection, ProxyFailure> {
    let request = request(proxy.credentials.as_ref(), host, port);
    let failed = ProxyFailure::Io;
    connection
        .write_all(request.expose().as_bytes())
        .await
        .map_err(failed)?;
    connection.flush().await.map_err(failed)?;
    let mut received = BytesMut::with_capacity(1024);
    loop {
        if connection.read_buf(&mut received).await.map_err(failed)? == 0 {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(length) = header(&received, proxy.credentials.is_some())? {
            let after = received.split_off(length);
            return Ok(connection.unread(after.freeze()));
        }
        if received.len() >= MAX_HEADER {
            return Err(ProxyFailure::NotAProxy(HTTP));
        }
    }
}

fn request(credentials: Option<&Credentials>, host: &str, port: u16) -> Secret {
    let authority = Authority {
        host: host.to_owned(),
        port: Some(port),
    };
    let authorization = credentials.map_or_else(String::new, |credentials| {
        let pair = Secret::new(format!(
            "{}:{}",
            credentials.user.expose(),
            credentials.password.expose()
        ));
        let encoded = BASE64.encode(pair.expose());
        format!("Proxy-Authorization: Basic {encoded}\r\n")
    });
    let authorization = Secret::new(authorization);
    Secret::new(format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\
         User-Agent: ssm-session/{}\r\n{}\r\n",
        env!("CARGO_PKG_VERSION"),
        authorization.expose(),
    ))
}

/// The length of the answer's header, if it is there and the connection with it. `None` while
/// `received` does not hold the whole of it.
fn header(received: &[u8], with_credentials: bool) -> Result<Option<usize>, ProxyFailure> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(received) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ProxyFailure::NotAProxy(HTTP)),
    };
    let status = response.code.ok_or(ProxyFailure::NotAProxy(HTTP))?;
    if (200..300).contains(&status) {
        return Ok(Some(length));
    }
    let reason = printable(response.reason.unwrap_or_default(), MAX_TEXT);
    let answer = format!("HTTP {status} {reason}").trim_end().to_owned();
    Err(match status {
        // 401 is what tinyproxy says to a wrong password.
        401 | 407 => authentication(response.headers, with_credentials),
        403 | 405 | 451 => ProxyFailure::Forbidden(answer),
        404 | 500 | 502 | 503 | 504 => ProxyFailure::Target(answer),
        _ => ProxyFailure::Refused(answer),
    })
}

/// What a proxy that wants authentication gets from us, or what it offers instead.
fn authentication(fields: &[httparse::Header<'_>], with_credentials: bool) -> ProxyFailure {
    let schemes: Vec<_> = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("proxy-authenticate"))
        .filter_map(|field| str::from_utf8(field.value).ok())
        .filter_map(|value| value.split_whitespace().next())
        .map(|scheme| scheme.trim_end_matches(','))
        .collect();
    let is_basic = |scheme: &&str| scheme.eq_ignore_ascii_case("basic");
    if !schemes.is_empty() && !schemes.iter().any(is_basic) {
        ProxyFailure::Authentication(printable(&schemes.join(", "), MAX_TEXT))
    } else if with_credentials {
        ProxyFailure::CredentialsRefused
    } else {
        ProxyFailure::CredentialsWanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(answer: &str, with_credentials: bool) -> String {
        header(answer.as_bytes(), with_credentials)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_request_names_the_target_and_carries_the_credentials() {
        let credentials = Credentials {
            user: Secret::new("Aladdin"),
            password: Secret::new("open sesame"),
        };
        let user_agent = concat!("User-Agent: ssm-session/", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            request(Some(&credentials), "a.example", 443).expose(),
            format!(
                "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n{user_agent}\r\n\
                 Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
            )
        );
        assert_eq!(
            request(None, "fd00::1", 80).expose(),
            format!("CONNECT [fd00::1]:80 HTTP/1.1\r\nHost: [fd00::1]:80\r\n{user_agent}\r\n\r\n")
        );
    }

    #[test]
    fn success_is_any_status_of_200_and_only_its_header_is_taken() {
        for answer in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n",
            "HTTP/1.1 204\r\nContent-Length: 7\r\n\r\n",
        ] {
            let with_more = format!("{answer}more");
            let length = header(with_more.as_bytes(), false).unwrap();
            assert_eq!(length, Some(answer.len()), "{answer}");
            let cut = &answer.as_bytes()[..answer.len() - 1];
            assert_eq!(header(cut, false).unwrap(), None, "{answer}");
        }
    }

    #[test]
    fn statuses_tell_whose_fault_it_is() {
        for (answer, expected) in [
            (
                "HTTP/1.1 403 Filtered\x1b\r\n\r\n",
                "it does not answer as an HTTP proxy does",
            ),
            (
                "HTTP/1.1 403 Filtered\r\n\r\n",
                "it forbids this connection (HTTP 403 Filtered)",
            ),
            (
                "HTTP/1.1 502\r\n\r\n",
                "it could not reach that host (HTTP 502)",
            ),
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\n",
                "it could not reach that host (HTTP 503 Service Unavailable)",
            ),
            (
                "HTTP/1.1 400 Bad Request\r\n\r\n",
                "it refused (HTTP 400 Bad Request)",
            ),
            (
                "HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n",
                "it refused (HTTP 302 Found)",
            ),
            (
                "SSH-2.0-OpenSSH_9\r\n",
                "it does not answer as an HTTP proxy does",
            ),
        ] {
            assert_eq!(failure(answer, false), expected, "{answer}");
        }
    }

    #[test]
    fn a_proxy_that_wants_authentication_is_understood() {
        let basic = "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
        let several = "HTTP/1.1 407 X\r\nProxy-Authenticate: Negotiate\r\n\
                       Proxy-Authenticate: basic realm=x\r\n\r\n";
        let silent = "HTTP/1.1 407 X\r\n\r\n";
        let tinyproxy = "HTTP/1.1 401 Unauthorized\r\nServer: tinyproxy/1.11.1\r\n\r\n";
        for answer in [basic, several, silent, tinyproxy] {
            assert_eq!(
                failure(answer, false),
                "it wants a user name and a password"
            );
            assert_eq!(
                failure(answer, true),
                "it does not accept the user name and the password it was given"
            );
        }
        let others = "HTTP/1.1 407 X\r\nProxy-Authenticate: Negotiate\r\n\
                      proxy-authenticate: NTLM\r\n\r\n";
        assert_eq!(
            failure(others, true),
            "it wants authentication by Negotiate, NTLM, and only Basic is known here"
        );
    }
}
