//! Opening a data channel: the HTTP upgrade, then the first frame with the token (`docs/PROTOCOL.md` 2).

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use ssm_session_proto::MAX_FRAME;
use ssm_session_proto::Secret;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::SendError;
use tokio_websockets::CloseCode;
use tokio_websockets::Config;
use tokio_websockets::Limits;
use tokio_websockets::ServerBuilder;

use super::Order;
use super::client;
use super::client::Socket;
use crate::plan::ConnectStep;
use crate::plan::Failure;
use crate::service::Service;
use crate::sessions::Admission;
use crate::sessions::Existence;

/// Answers a request for a session's data channel; what follows the upgrade runs in a task of its own.
pub(crate) fn open(
    service: &Arc<Service>,
    mut request: Request<Incoming>,
    session_id: &str,
) -> Response<Full<Bytes>> {
    match service.sessions.existence(session_id) {
        Existence::Running => {}
        Existence::Unknown => {
            return plain(
                StatusCode::NOT_FOUND,
                "There is no such session in this emulator.",
            );
        }
        Existence::Over => return plain(StatusCode::FORBIDDEN, "Session is already terminated."),
    }
    let Some(accept) = accept_key(request.headers()) else {
        return upgrade_required();
    };
    let opening = Opening {
        service: Arc::clone(service),
        session_id: session_id.to_owned(),
    };
    let opening = opening.run(hyper::upgrade::on(&mut request));
    service.strangers.enter(service.tasks.spawn(opening));
    switching_protocols(accept)
}

/// A socket between its upgrade and its first frame.
struct Opening {
    service: Arc<Service>,
    session_id: String,
}

impl Opening {
    async fn run(self, upgrade: OnUpgrade) {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(session_id = self.session_id, %error, "the upgrade came to nothing");
                return;
            }
        };
        let mut socket = ServerBuilder::new()
            .config(Config::default().flush_threshold(WRITTEN_AT_ONCE))
            .limits(Limits::default().max_payload_len(Some(MAX_FIRST_FRAME)))
            .serve(TokioIo::new(upgraded));
        let first = tokio::select! {
            first = tokio::time::timeout(self.service.plan.open_limit, first_frame(&mut socket)) => first,
            () = self.service.stopped() => return,
        };
        let refusal = match first {
            Ok(Some(frame)) => match self.admit(&frame) {
                Ok(Admission::Granted(orders)) => {
                    match self.service.connect_faults.strike(ConnectStep::Open) {
                        Some(Failure::Stall) => return self.hold(socket, &orders).await,
                        Some(Failure::Cut) => return,
                        None => {}
                    }
                    *socket.limits_mut() = Limits::default().max_payload_len(Some(MAX_FRAME));
                    match orders.send(Order::Attach(Box::new(socket))).await {
                        Ok(()) => return,
                        // The session has ended since its token was looked at.
                        Err(SendError(Order::Attach(returned))) => {
                            socket = *returned;
                            Refusal::Gone
                        }
                        Err(SendError(_)) => return,
                    }
                }
                Ok(Admission::WrongToken) => Refusal::WrongToken,
                Ok(Admission::ExpiredToken) => Refusal::ExpiredToken,
                Ok(Admission::Gone) => Refusal::Gone,
                Err(refusal) => refusal,
            },
            Ok(None) => return,
            Err(_) => Refusal::Late,
        };
        let text = refusal.text(&self.session_id);
        tracing::info!(session_id = self.session_id, text, "data channel refused");
        client::close(socket, refusal.code(), &text).await;
    }

    /// Keeps a socket open and does nothing with it while there is a session.
    async fn hold(&self, socket: Socket, orders: &Sender<Order>) {
        tokio::select! {
            () = orders.closed() => {}
            () = self.service.stopped() => {}
        }
        drop(socket);
    }

    fn admit(&self, frame: &[u8]) -> Result<Admission, Refusal> {
        let request: OpenRequest = serde_json::from_slice(frame).map_err(|_| Refusal::NoToken)?;
        match request.token_value {
            Some(token) if !token.expose().trim().is_empty() => {
                let limit = self.service.plan.limits.token;
                Ok(self.service.sessions.admit(&self.session_id, &token, limit))
            }
            _ => Err(Refusal::NoToken),
        }
    }
}

/// All the service needs of the first frame; other clients leave the rest out (`docs/PROTOCOL.md` 2.2).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OpenRequest {
    token_value: Option<Secret>,
}

/// Why a socket is closed before it becomes a data channel.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    NoToken,
    WrongToken,
    ExpiredToken,
    Gone,
    Late,
}

impl Refusal {
    fn code(self) -> CloseCode {
        match self {
            Self::NoToken => CloseCode::UNSUPPORTED_DATA,
            Self::WrongToken | Self::ExpiredToken | Self::Gone | Self::Late => {
                CloseCode::POLICY_VIOLATION
            }
        }
    }

    fn text(self, session_id: &str) -> String {
        let reason = match self {
            Self::NoToken => "request to open data channel does not contain token.",
            Self::WrongToken => "the token does not open this data channel.",
            Self::ExpiredToken => "the token has expired; resume the session for a new one.",
            Self::Gone => "the session is already terminated.",
            Self::Late => "no request to open the data channel came in time.",
        };
        format!("Channel {session_id}: {reason}")
    }
}

/// Nothing from a client that has left, or says too much else first: each ping leaves a pong in the socket.
async fn first_frame(socket: &mut Socket) -> Option<Bytes> {
    for _ in 0..MAX_PINGS {
        let message = socket.next().await?.ok()?;
        if message.is_text() || message.is_binary() {
            return Some(message.into_payload().into());
        }
    }
    None
}

/// The answer to the client's key, if the headers ask for a WebSocket of the one version there is.
fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let lists = |name: HeaderName, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(wanted))
    };
    let asks = lists(header::CONNECTION, "upgrade")
        && lists(header::UPGRADE, "websocket")
        && lists(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks)?;
    let mut digest = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key.as_bytes());
    digest.update(WEBSOCKET_GUID);
    let accept = STANDARD.encode(digest.finish());
    Some(HeaderValue::from_str(&accept).expect("base64 is plain ASCII"))
}

fn switching_protocols(accept: HeaderValue) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn upgrade_required() -> Response<Full<Bytes>> {
    let mut response = plain(
        StatusCode::UPGRADE_REQUIRED,
        "A data channel is a WebSocket: ask for an upgrade, version 13.",
    );
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let text_plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, text_plain);
    response
}

/// Bytes queued in a socket before they are written; less is written when nothing more is ready.
const WRITTEN_AT_ONCE: usize = 128 * 1024;

/// Bytes of a first frame, which is a token and little else.
const MAX_FIRST_FRAME: usize = 64 * 1024;
/// Pings and the like before the first frame.
const MAX_PINGS: usize = 100;

/// RFC 6455, section 1.3.
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_standard_is_answered_as_in_the_standard() {
        let headers = upgrade_headers();
        assert_eq!(
            accept_key(&headers).unwrap(),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn a_request_that_asks_for_no_websocket_is_not_answered() {
        for name in [
            header::CONNECTION,
            header::UPGRADE,
            header::SEC_WEBSOCKET_VERSION,
            header::SEC_WEBSOCKET_KEY,
        ] {
            let mut headers = upgrade_headers();
            headers.remove(&name);
            assert_eq!(accept_key(&headers), None, "without {name}");
        }
        let mut headers = upgrade_headers();
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8"));
        assert_eq!(accept_key(&headers), None);
    }

    #[test]
    fn every_refusal_fits_a_close_frame() {
        let session_id = format!("emulator-{}", "f".repeat(17));
        for refusal in [
            Refusal::NoToken,
            Refusal::WrongToken,
            Refusal::ExpiredToken,
            Refusal::Gone,
            Refusal::Late,
        ] {
            assert!(refusal.text(&session_id).len() <= 123);
        }
    }

    fn upgrade_headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONNECTION,
            HeaderValue::from_static("keep-alive, Upgrade"),
        );
        headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        headers.insert(
            header::SEC_WEBSOCKET_KEY,
            HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="),
        );
        headers
    }
}
