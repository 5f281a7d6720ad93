//! From a stream URL to an open WebSocket.

use tokio_websockets::WebSocketStream;

use crate::connection::Connection;
use crate::error::ConnectError;
use crate::options::Options;
use crate::signature::Signature;
use crate::transport::Transport;
use crate::url::StreamUrl;
use crate::web_socket::open;

/// The WebSocket of a session.
pub(crate) type WebSocket = WebSocketStream<Transport<Connection>>;

/// Opens a session's WebSocket. The signature is made while the connection is, and never waited
/// for longer than its own limit.
pub(crate) async fn dial(url: &StreamUrl, options: &Options) -> Result<WebSocket, ConnectError> {
    let connecting = options
        .connector
        .connect(url.host(), url.port(), url.is_tls());
    let signing = async { Ok(Signature::of(url, options).await) };
    let (connection, signature) = tokio::try_join!(connecting, signing)?;
    open(connection, url, &signature, options.timeouts.upgrade).await
}

/// Like [`dial`], over a connection that is there.
pub(crate) async fn dial_over(
    connection: Connection,
    url: &StreamUrl,
    options: &Options,
) -> Result<WebSocket, ConnectError> {
    let signature = Signature::of(url, options).await;
    open(connection, url, &signature, options.timeouts.upgrade).await
}
