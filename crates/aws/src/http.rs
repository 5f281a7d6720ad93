//! The AWS SDK's HTTP, over the connector of the session library.

use std::error::Error;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpClient;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::HeaderValue;
use http::Request;
use http::Uri;
use http::header::HOST;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ssm_session::ConnectError;
use ssm_session::Connection;
use ssm_session::Connector;
use tokio::time::timeout;

/// Time from a request to the header of its answer, where the SDK names none.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Makes a connection per request, plain or over TLS as the endpoint says. The few requests of a
/// session do not pay for a pool.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    connector: Connector,
    connect_limit: Option<Duration>,
    read_limit: Duration,
}

impl Http {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            connect_limit: None,
            read_limit: READ_LIMIT,
        }
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = request.try_into_http1x().map_err(user)?;
        let connection = self.connect(request.uri()).await?;
        complete(&mut request)?;
        let (mut sender, driver) = http1::handshake(TokioIo::new(connection))
            .await
            .map_err(|error| io(error.into()))?;
        // Ends with the answer's body, or with whoever waits for it.
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection to AWS broke");
            }
        });
        let answer = timeout(self.read_limit, sender.send_request(request))
            .await
            .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?
            .map_err(|error| io(error.into()))?;
        HttpResponse::try_from(answer.map(SdkBody::from_body_1_x)).map_err(user)
    }

    async fn connect(&self, uri: &Uri) -> Result<Connection, ConnectorError> {
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(user("an endpoint must begin with https:// or http://")),
        };
        let host = uri
            .host()
            .ok_or_else(|| user("an endpoint must name a host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let connecting = self.connector.connect(host, port, tls);
        let connected = match self.connect_limit {
            Some(limit) => timeout(limit, connecting)
                .await
                .map_err(|elapsed| ConnectorError::timeout(elapsed.into()).never_connected())?,
            None => connecting.await,
        };
        connected.map_err(|error| match error {
            ConnectError::Timeout { .. } => ConnectorError::timeout(error.into()).never_connected(),
            other => io(other.into()).never_connected(),
        })
    }
}

/// Turns a request for a URL into one for the server that is there.
fn complete(request: &mut Request<SdkBody>) -> Result<(), ConnectorError> {
    let uri = request.uri();
    if !request.headers().contains_key(HOST)
        && let Some(authority) = uri.authority()
    {
        // The signature names the host without a port that goes without saying.
        let default = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let host = match uri.port_u16() {
            Some(port) if port != default => authority.as_str(),
            _ => authority.host(),
        };
        let host = HeaderValue::from_str(host).map_err(user)?;
        request.headers_mut().insert(HOST, host);
    }
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(user)?;
    Ok(())
}

fn user(error: impl Into<Box<dyn Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::user(error.into())
}

fn io(error: Box<dyn Error + Send + Sync>) -> ConnectorError {
    ConnectorError::io(error)
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Self {
            connector: self.connector.clone(),
            connect_limit: settings.connect_timeout(),
            read_limit: settings.read_timeout().unwrap_or(READ_LIMIT),
        })
    }
}
