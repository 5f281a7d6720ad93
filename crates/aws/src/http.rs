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
use http::header::DATE;
use http::header::HOST;
use http_body_util::Limited;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ssm_session::Connection;
use ssm_session::Connector;
use tokio::time::timeout;

use crate::clock::Clock;

/// Time from a request to the header of its answer, where the SDK names none.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of an answer. None that is of use here has more than some kilobytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// The other end is there, or is not, and says nothing.
#[derive(Debug, thiserror::Error)]
#[error("there was no answer within {} s", .0.as_secs_f32())]
pub(crate) struct NoAnswer(Duration);

/// Makes a connection per request, plain or over TLS as the endpoint says. The few requests of a
/// session do not pay for a pool.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    connector: Connector,
    clock: Clock,
    connect_limit: Option<Duration>,
    read_limit: Duration,
}

impl Http {
    pub(crate) fn new(connector: Connector, clock: Clock) -> Self {
        Self {
            connector,
            clock,
            connect_limit: None,
            read_limit: READ_LIMIT,
        }
    }

    /// The clock that learns from the answers.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
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
            .map_err(|_| ConnectorError::timeout(NoAnswer(self.read_limit).into()))?
            .map_err(|error| io(error.into()))?;
        if let Some(date) = answer
            .headers()
            .get(DATE)
            .and_then(|date| date.to_str().ok())
        {
            self.clock.learn(date);
        }
        let answer = answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_ANSWER)));
        HttpResponse::try_from(answer).map_err(user)
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
                .map_err(|_| ConnectorError::timeout(NoAnswer(limit).into()).never_connected())?,
            None => connecting.await,
        };
        connected.map_err(|error| {
            let failure = if error.is_timeout() {
                ConnectorError::timeout(error.into())
            } else {
                io(error.into())
            };
            failure.never_connected()
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
            clock: self.clock.clone(),
            connect_limit: settings.connect_timeout(),
            read_limit: settings.read_timeout().unwrap_or(READ_LIMIT),
        })
    }
}
