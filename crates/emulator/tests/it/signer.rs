//! Signature Version 4 as a client makes it: a second writing of it, so that tests do not sign with what they test.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use ssm_session_emulator::Credentials;
use ssm_session_emulator::Emulator;
use ssm_session_proto::Secret;

use crate::support::Answer;
use crate::support::send;

/// Who signs, for which scope, how many seconds from now.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) key: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) token: Option<&'static str>,
    pub(crate) region: &'static str,
    pub(crate) service: &'static str,
    pub(crate) skew: i64,
}

/// The long-lived key of these tests, for Systems Manager.
pub(crate) const SIGNER: Signer = Signer {
    key: "AKIDLONGLIVED",
    secret: "a/secret+with=signs",
    token: None,
    region: "us-east-1",
    service: "ssm",
    skew: 0,
};

pub(crate) const TOKEN: &str = "FwoGZXIvYXdzEBY/+a==";

/// A long-lived key, a temporary one and one that was good once.
pub(crate) fn credentials() -> Vec<Credentials> {
    let temporary = Credentials {
        access_key_id: "ASIATEMPORARY".to_owned(),
        session_token: Some(Secret::new(TOKEN)),
        ..long_lived()
    };
    let expired = Credentials {
        access_key_id: "ASIAEXPIRED".to_owned(),
        expiration: Some(UNIX_EPOCH),
        ..temporary.clone()
    };
    vec![long_lived(), temporary, expired]
}

fn long_lived() -> Credentials {
    Credentials {
        access_key_id: SIGNER.key.to_owned(),
        secret_access_key: Secret::new(SIGNER.secret),
        session_token: None,
        expiration: None,
    }
}

impl Signer {
    /// Calls an operation, signed in the header.
    pub(crate) async fn call(&self, emulator: &Emulator, target: &str, body: &Value) -> Answer {
        let (host, body) = (emulator.local_addr().to_string(), body.to_string());
        let mut headers = self.headers(&[("host", &host), ("x-amz-target", target)]);
        let authorization = self.authorization("POST", "/", "", &headers, body.as_bytes());
        headers.push(("authorization".to_owned(), authorization));
        send(emulator, request("POST", "/", &headers, body)).await
    }

    /// Calls an operation, signed in the query for so many seconds.
    pub(crate) async fn call_presigned(
        &self,
        emulator: &Emulator,
        target: &str,
        body: &Value,
        expires: u32,
    ) -> Answer {
        let (host, body) = (emulator.local_addr().to_string(), body.to_string());
        let headers = [("host", host.as_str()), ("x-amz-target", target)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let query = self.presigned("POST", "/", "", &headers, body.as_bytes(), expires);
        send(
            emulator,
            request("POST", &format!("/?{query}"), &headers, body),
        )
        .await
    }

    /// The headers that sign the GET of a data channel's address, besides its Host.
    pub(crate) fn channel_headers(&self, url: &str) -> Vec<(String, String)> {
        let (host, path, query) = parts(url);
        let mut headers = self.headers(&[("host", host)]);
        let authorization = self.authorization("GET", path, query, &headers, b"");
        headers.push(("authorization".to_owned(), authorization));
        headers.retain(|(name, _)| name != "host");
        headers
    }

    /// A data channel's address with its signature in it.
    pub(crate) fn presigned_channel(&self, url: &str, expires: u32) -> String {
        let (host, path, query) = parts(url);
        let headers = [("host".to_owned(), host.to_owned())];
        let query = self.presigned("GET", path, query, &headers, b"", expires);
        format!("ws://{host}{path}?{query}")
    }

    fn headers(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let date = self.date();
        let mut headers = vec![("x-amz-date", date.as_str())];
        headers.extend(self.token.map(|token| ("x-amz-security-token", token)));
        headers.extend(more);
        headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn authorization(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> String {
        let names = names(headers);
        let signature = self.signature(method, path, &sorted(query), headers, body);
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={signature}",
            self.key,
            self.scope()
        )
    }

    fn presigned(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(String, String)],
        body: &[u8],
        expires: u32,
    ) -> String {
        let mut all = format!(
            "{query}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-Expires={expires}&X-Amz-SignedHeaders={}",
            escaped(&format!("{}/{}", self.key, self.scope())),
            self.date(),
            escaped(&names(headers))
        );
        if let Some(token) = self.token {
            all.push_str(&format!("&X-Amz-Security-Token={}", escaped(token)));
        }
        let query = sorted(&all);
        let signature = self.signature(method, path, &query, headers, body);
        format!("{query}&X-Amz-Signature={signature}")
    }

    fn signature(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> String {
        let mut headers = headers.to_vec();
        headers.sort();
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let canonical = format!(
            "{method}\n{path}\n{query}\n{lines}\n{}\n{}",
            names(&headers),
            sha256(body)
        );
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{}\n{}",
            self.date(),
            self.scope(),
            sha256(canonical.as_bytes())
        );
        let scope = self.scope();
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/') {
            key = hmac_sha256(&key, part);
        }
        hex(&hmac_sha256(&key, &text))
    }

    fn scope(&self) -> String {
        let date = self.date();
        let (day, _) = date.split_once('T').unwrap();
        format!("{day}/{}/{}/aws4_request", self.region, self.service)
    }

    fn date(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seconds = i64::try_from(now.as_secs()).unwrap() + self.skew;
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }
}

/// The date of a day since 1970-01-01, counted in eras of 400 years that begin on a 1st of March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

pub(crate) fn request(
    method: &str,
    path_and_query: &str,
    headers: &[(String, String)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path_and_query);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// Host, path and query of a WebSocket's address.
pub(crate) fn parts(url: &str) -> (&str, &str, &str) {
    let rest = url.strip_prefix("ws://").unwrap();
    let (host, _) = rest.split_once('/').unwrap();
    let (path, query) = rest[host.len()..].split_once('?').unwrap();
    (host, path, query)
}

fn sorted(query: &str) -> String {
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn names(headers: &[(String, String)]) -> String {
    let mut names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.join(";")
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
