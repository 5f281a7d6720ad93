//! The listener: control plane and data channels on one port.

use std::io;
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
use tokio::io::Interest;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::connect_faults::Cut;
use crate::control;
use crate::gateway;
use crate::plan::ConnectStep;
use crate::plan::Failure;
use crate::service::Service;

/// Takes connections until the emulator stops.
pub(crate) async fn listen(service: Arc<Service>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = service.stopped() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let task = connection(Arc::clone(&service), stream);
                service.strangers.enter(service.tasks.spawn(task));
            }
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
    if service.connect_faults.wait_at(ConnectStep::Accept)
        && asks_for_channel(&service, &stream).await
        && let Some(failure) = service.connect_faults.strike(ConnectStep::Accept)
    {
        if failure == Failure::Stall {
            hold(&service, &stream).await;
        }
        return;
    }
    let answers = service_fn(|request| {
        let service = Arc::clone(&service);
        async move { route(&service, request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD)
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

/// Whether the first that has arrived is a request for a data channel, or the beginning of one. Nothing is taken.
async fn asks_for_channel(service: &Service, stream: &TcpStream) -> bool {
    let wanted = [b"GET ", DATA_CHANNEL.as_bytes()].concat();
    let mut first = vec![0; wanted.len()];
    let count = tokio::select! {
        count = tokio::time::timeout(HEAD_LIMIT, stream.peek(&mut first)) => count,
        () = service.stopped() => return false,
    };
    match count {
        Ok(Ok(count)) => count > 0 && wanted.starts_with(first.get(..count).unwrap_or_default()),
        _ => false,
    }
}

/// Leaves a connection alone until its client has closed it or the emulator ends.
async fn hold(service: &Service, stream: &TcpStream) {
    let closed = async {
        while let Ok(ready) = stream.ready(Interest::READABLE).await
            && !ready.is_read_closed()
        {
            // What has arrived stays where it is; only more of it, or the end, is news.
            let left = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            stream.try_io(Interest::READABLE, left).ok();
        }
    };
    tokio::select! {
        () = closed => {}
        () = service.stopped() => {}
    }
}

async fn route(
    service: &Arc<Service>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    if request.headers().contains_key(ORIGIN) {
        return Ok(control::unknown_operation(
            StatusCode::FORBIDDEN,
            "The emulator gives out shells, so it answers no requests of web pages.",
        ));
    }
    let path = request.uri().path();
    let session_id = path.strip_prefix(DATA_CHANNEL).map(str::to_owned);
    Ok(match (request.method(), session_id) {
        (&Method::GET, Some(session_id)) => {
            service.pass(ConnectStep::Upgrade).await?;
            match control::admit_channel(service, &request, &session_id) {
                Ok(()) => gateway::open(service, request, &session_id),
                Err(refused) => *refused,
            }
        }
        (&Method::POST, None) if path == "/" => control::answer(service, request).await?,
        _ => control::unknown_operation(
            StatusCode::NOT_FOUND,
            "The emulator takes operations by POST at / and data channels by GET at /v1/data-channel/.",
        ),
    })
}

const DATA_CHANNEL: &str = "/v1/data-channel/";
/// How long a client may take to send the head of a request, and its connection be idle before another.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of a request's head, and read ahead of its body.
const MAX_HEAD: usize = 64 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
