//! From a connection to an open WebSocket.

use std::time::Duration;

use ssm_session_proto::MAX_FRAME;
use tokio_websockets::ClientBuilder;
use tokio_websockets::Config;
use tokio_websockets::Limits;

use crate::connection::Connection;
use crate::connector::within;
use crate::dial::WebSocket;
use crate::error::ConnectError;
use crate::error::Step;
use crate::signature::Signature;
use crate::transport::Transport;
use crate::upgrade::upgrade;
use crate::url::StreamUrl;

/// Bytes gathered before they are written even without a flush: two full TLS records.
const FLUSH_THRESHOLD: usize = 32 * 1024;

/// Turns `connection`, which leads to the host of `url`, into a WebSocket within `limit`.
pub(crate) async fn open(
    mut connection: Connection,
    url: &StreamUrl,
    signature: &Signature,
    limit: Duration,
) -> Result<WebSocket, ConnectError> {
    let handshake = upgrade(&mut connection, url, signature);
    let read_ahead = within(limit, url.host(), Step::Upgrade, handshake).await??;
    tracing::info!(host = url.host(), "the WebSocket is open");
    Ok(ClientBuilder::new()
        .limits(Limits::default().max_payload_len(Some(MAX_FRAME)))
        .config(Config::default().flush_threshold(FLUSH_THRESHOLD))
        .take_over(Transport::new(connection, read_ahead)))
}
