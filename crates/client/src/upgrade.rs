//! The HTTP/1.1 upgrade to a WebSocket (docs/PROTOCOL.md, 2.1), written out so that a refusal
//! keeps its reason.

use std::io;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use bytes::BytesMut;
use ssm_session_proto::Secret;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;

use crate::control_plane::Field;
use crate::error::ConnectError;
use crate::error::NotWebSocket;
use crate::error::Refusal;
use crate::signature::Signature;
use crate::text::printable;
use crate::url::StreamUrl;

/// Longest header taken, in bytes: several times what gateways and proxies send.
const MAX_HEADER: usize = 16 * 1024;
/// Most header fields taken.
const MAX_FIELDS: usize = 64;
/// Most bytes read of the body of a refusal.
const MAX_BODY: usize = 4 * 1024;
/// Longest excerpt of a body shown, in characters.
const MAX_EXCERPT: usize = 300;
/// Longest reason phrase shown, in characters.
const MAX_REASON: usize = 80;
/// A refusal is worth reporting without its body if that is not there by then.
const BODY_LIMIT: Duration = Duration::from_secs(2);
/// Key and this text, hashed, prove that the server knows WebSocket (RFC 6455, 1.3).
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Upgrades `stream`, a fresh connection to the host of `url`. The bytes returned followed the
/// header and belong to the WebSocket.
pub(crate) async fn upgrade<S>(
    stream: &mut S,
    url: &StreamUrl,
    signature: &Signature,
) -> Result<Bytes, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| ConnectError::Randomness(error.into()))?;
    let key = BASE64.encode(random);
    let failed = |failure| match failure {
        Failure::Io(source) => ConnectError::UpgradeIo {
            host: url.host().to_owned(),
            source,
        },
        Failure::Answer(problem) => ConnectError::NotWebSocket {
            host: url.host().to_owned(),
            problem,
        },
        Failure::Refused(refusal) => ConnectError::Upgrade {
            host: url.host().to_owned(),
            refusal,
            signing: signature.signing.clone(),
        },
    };
    exchange(stream, url, &signature.fields, &key)
        .await
        .map_err(failed)
}

#[derive(Debug)]
enum Failure {
    Io(io::Error),
    Answer(NotWebSocket),
    Refused(Refusal),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NotWebSocket> for Failure {
    fn from(problem: NotWebSocket) -> Self {
        Self::Answer(problem)
    }
}

async fn exchange<S>(
    stream: &mut S,
    url: &StreamUrl,
    fields: &[Field],
    key: &str,
) -> Result<Bytes, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(url, fields, key);
    stream.write_all(request.expose().as_bytes()).await?;
    stream.flush().await?;
    let mut received = BytesMut::with_capacity(2048);
    let head = loop {
        if stream.read_buf(&mut received).await? == 0 {
            return Err(NotWebSocket::Ended.into());
        }
        if let Some(head) = Head::parse(&received, key)? {
            break head;
        }
        if received.len() >= MAX_HEADER {
            return Err(NotWebSocket::HeaderTooLong.into());
        }
    };
    let rest = received.split_off(head.length);
    match head.verdict {
        Verdict::Switched(Ok(())) => Ok(rest.freeze()),
        Verdict::Switched(Err(problem)) => Err(problem.into()),
        Verdict::Refused {
            status,
            reason,
            body,
        } => {
            let body = read_body(stream, rest, body).await;
            Err(Failure::Refused(Refusal {
                status,
                reason,
                excerpt: excerpt(&body, url, fields),
            }))
        }
    }
}

fn request(url: &StreamUrl, fields: &[Field], key: &str) -> Secret {
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\
         User-Agent: ssm-session/{}\r\n",
        url.path_and_query(),
        url.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    for Field { name, value } in fields {
        request.extend([name, ": ", value.expose(), "\r\n"]);
    }
    request.push_str("\r\n");
    Secret::new(request)
}

/// The header of the answer, understood.
struct Head {
    /// In bytes, the empty line included.
    length: usize,
    verdict: Verdict,
}

enum Verdict {
    Switched(Result<(), NotWebSocket>),
    Refused {
        status: u16,
        reason: String,
        body: BodyLength,
    },
}

/// How the end of a body is told.
#[derive(Clone, Copy)]
enum BodyLength {
    Known(usize),
    Chunked,
    UntilClosed,
}

impl Head {
    /// `None` while `received` does not hold the whole header.
    fn parse(received: &[u8], key: &str) -> Result<Option<Self>, NotWebSocket> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(received) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(NotWebSocket::HeaderTooLong),
            Err(_) => return Err(NotWebSocket::NotHttp),
        };
        let (Some(status), Some(version)) = (response.code, response.version) else {
            return Err(NotWebSocket::NotHttp);
        };
        let fields = Fields(response.headers);
        let verdict = if status == 101 && version == 1 {
            Verdict::Switched(fields.check_switch(key))
        } else {
            let reason = printable(response.reason.unwrap_or_default(), MAX_REASON);
            Verdict::Refused {
                status,
                reason,
                body: fields.body_length(),
            }
        };
        Ok(Some(Self { length, verdict }))
    }
}

struct Fields<'a>(&'a [httparse::Header<'a>]);

impl Fields<'_> {
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .filter_map(|field| str::from_utf8(field.value).ok())
            .map(str::trim)
    }

    /// Whether one of the comma-separated tokens of the field is `token`.
    fn lists(&self, name: &str, token: &str) -> bool {
        self.values(name).any(|value| {
            value
                .split(',')
                .any(|item| item.trim().eq_ignore_ascii_case(token))
        })
    }

    fn check_switch(&self, key: &str) -> Result<(), NotWebSocket> {
        if !self.lists("upgrade", "websocket") {
            return Err(NotWebSocket::UpgradeHeader);
        }
        if !self.lists("connection", "upgrade") {
            return Err(NotWebSocket::ConnectionHeader);
        }
        if !self
            .values("sec-websocket-accept")
            .eq([accept_value(key).as_str()])
        {
            return Err(NotWebSocket::AcceptHeader);
        }
        let unasked = ["sec-websocket-extensions", "sec-websocket-protocol"];
        if unasked
            .iter()
            .any(|name| self.values(name).any(|value| !value.is_empty()))
        {
            return Err(NotWebSocket::UnaskedExtension);
        }
        Ok(())
    }

    fn body_length(&self) -> BodyLength {
        if self.lists("transfer-encoding", "chunked") {
            return BodyLength::Chunked;
        }
        let known = self
            .values("content-length")
            .find_map(|value| value.parse().ok());
        known.map_or(BodyLength::UntilClosed, BodyLength::Known)
    }
}

fn accept_value(key: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(ACCEPT_SUFFIX.as_bytes());
    BASE64.encode(context.finish())
}

/// What there is of a body, up to [`MAX_BODY`] bytes. Never fails: the status alone is worth
/// reporting.
async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    start: BytesMut,
    length: BodyLength,
) -> Vec<u8> {
    let mut raw = start;
    let wanted = match length {
        BodyLength::Known(length) => length.min(MAX_BODY),
        BodyLength::Chunked | BodyLength::UntilClosed => MAX_BODY,
    };
    let complete = |raw: &[u8]| {
        raw.len() >= wanted || matches!(length, BodyLength::Chunked) && raw.ends_with(b"0\r\n\r\n")
    };
    let read =
        async { while !complete(&raw) && matches!(stream.read_buf(&mut raw).await, Ok(1..)) {} };
    if tokio::time::timeout(BODY_LIMIT, read).await.is_err() {
        tracing::debug!("the body of the refusal did not arrive in time");
    }
    raw.truncate(wanted);
    if matches!(length, BodyLength::Chunked) {
        unchunk(&raw)
    } else {
        raw.to_vec()
    }
}

/// The content of as many chunks as there are.
fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(raw) {
        if size == 0 {
            break;
        }
        let after_size = raw.get(start..).unwrap_or_default();
        let size = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .min(after_size.len());
        let (chunk, after) = after_size.split_at(size);
        content.extend_from_slice(chunk);
        raw = after.strip_prefix(b"\r\n").unwrap_or_default();
    }
    content
}

/// `body` fit to be shown: on one line, short, and without what it repeats of the URL's query and
/// of the signature, as AWS does when a signature is wrong.
fn excerpt(body: &[u8], url: &StreamUrl, fields: &[Field]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    let query = url.path_and_query().split_once('?').map(|(_, query)| query);
    let parameters = query.into_iter().flat_map(|query| query.split('&'));
    let values = parameters.filter_map(|pair| pair.split_once('=').map(|(_, value)| value));
    let fields = fields.iter().map(|field| field.value.expose());
    let secrets = query.into_iter().chain(values).chain(fields);
    for secret in secrets.filter(|secret| secret.len() >= 6) {
        text = text.replace(secret, "[…]");
    }
    printable(&text, MAX_EXCERPT)
}

#[cfg(test)]
mod tests;
