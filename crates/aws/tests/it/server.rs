//! A KMS that answers as it is told and remembers what it was asked.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;

pub(crate) struct Kms {
    pub(crate) endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: String,
    pub(crate) authorization: String,
    pub(crate) host: String,
    pub(crate) body: Value,
}

impl Kms {
    /// Answers everything with `status` and `answer`.
    pub(crate) async fn answering(status: u16, answer: Value) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let memory = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (memory, answer) = (Arc::clone(&memory), answer.to_string());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (memory, answer) = (Arc::clone(&memory), answer.clone());
                    async move {
                        let request = remember(request).await;
                        memory.lock().unwrap().push(request);
                        let answer = Full::new(Bytes::from(answer));
                        let builder = Response::builder().status(status);
                        let builder = builder.header("content-type", "application/x-amz-json-1.1");
                        Ok::<_, Infallible>(builder.body(answer).unwrap())
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { endpoint, asked }
    }

    /// Hands out a key of 64 bytes.
    pub(crate) async fn willing() -> Self {
        use base64::Engine as _;
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let answer = json!({
            "KeyId": "arn:aws:kms:eu-west-1:123456789012:key/1",
            "Plaintext": encode(&[7; 64]),
            "CiphertextBlob": encode(&[8; 184]),
        });
        Self::answering(200, answer).await
    }

    /// Refuses as AWS services do.
    pub(crate) async fn refusing(code: &str, message: &str) -> Self {
        Self::answering(400, json!({ "__type": code, "message": message })).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn remember(request: Request<Incoming>) -> Asked {
    let header = |name| {
        let value = request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap());
        value.unwrap_or_default().to_owned()
    };
    let (target, authorization, host) = (
        header("x-amz-target"),
        header("authorization"),
        header("host"),
    );
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Asked {
        target,
        authorization,
        host,
        body: serde_json::from_slice(&body).unwrap(),
    }
}
