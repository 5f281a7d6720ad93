//! The listener: control plane and data channels on one port.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::ORIGIN;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::control;
use crate::gateway;
use crate::service::Service;

/// Takes connections until the emulator stops.
pub(crate) async fn listen(service: Arc<Service>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = service.stopped() => return,
        };
        match accepted {
            Ok((stream, _)) => service
                .tasks
                .spawn(connection(Arc::clone(&service), stream)),
            Err(error) => {
                // Such as too many open files: a connection that ends makes room.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(service: Arc<Service>, stream: TcpStream) {
    // Keystrokes and their echoes are small and must not wait for one another.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection ended at once");
        return;
    }
    let answers = service_fn(|request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(route(&service, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), answers)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = service.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

async fn route(service: &Arc<Service>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.headers().contains_key(ORIGIN) {
        return control::unknown_operation(
            StatusCode::FORBIDDEN,
            "The emulator gives out shells, so it answers no requests of web pages.",
        );
    }
    let path = request.uri().path();
    let session_id = path.strip_prefix(DATA_CHANNEL).map(str::to_owned);
    match (request.method(), session_id) {
        (&Method::GET, Some(session_id)) => {
            match control::admit_channel(service, &request, &session_id) {
                Ok(()) => gateway::open(service, request, &session_id),
                Err(refused) => *refused,
            }
        }
        (&Method::POST, None) if path == "/" => control::answer(service, request).await,
        _ => control::unknown_operation(
            StatusCode::NOT_FOUND,
            "The emulator takes operations by POST at / and data channels by GET at /v1/data-channel/.",
        ),
    }
}

const DATA_CHANNEL: &str = "/v1/data-channel/";
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
