//! An AWS on loopback: every service that is called here, the container's and the instance's
//! credentials. It answers as it is told, willingly otherwise, and remembers what it was asked.

use std::collections::BTreeMap;
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

/// All secrets that it hands out hold this word.
pub(crate) const SECRET: &str = "5EKRET";

pub(crate) struct Server {
    pub(crate) endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Status and body; `None` leaves the answer to the server.
pub(crate) type Answer = Option<(u16, String)>;

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The operation of the JSON protocol: service and name.
    pub(crate) fn operation(&self) -> &str {
        self.header("x-amz-target")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Who signed.
    pub(crate) fn access_key(&self) -> &str {
        let authorization = self.header("authorization");
        let (_, rest) = authorization.split_once("Credential=").unwrap_or_default();
        rest.split('/').next().unwrap()
    }

    pub(crate) fn is_for_sts(&self, action: &str) -> bool {
        self.body.contains(&format!("Action={action}&"))
    }
}

impl Server {
    pub(crate) async fn new(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(answer, None).await
    }

    /// A willing one whose clock stands still.
    pub(crate) async fn at(date: &'static str) -> Self {
        Self::start(|_| None, Some(date)).await
    }

    async fn start(
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
        date: Option<&'static str>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let (memory, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (memory, answer) = (Arc::clone(&memory), Arc::clone(&answer));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (memory, answer) = (Arc::clone(&memory), Arc::clone(&answer));
                    async move {
                        let request = remembered(request).await;
                        memory.lock().unwrap().push(request.clone());
                        let (status, body) = answer(&request).unwrap_or_else(|| willing(&request));
                        let mut builder = Response::builder()
                            .status(status)
                            // Of the answer of the instance metadata that is a token.
                            .header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
                        if let Some(date) = date {
                            builder = builder.header("date", date);
                        }
                        Ok::<_, Infallible>(builder.body(Full::new(Bytes::from(body))).unwrap())
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { endpoint, asked }
    }

    pub(crate) async fn willing() -> Self {
        Self::new(|_| None).await
    }

    /// Answers all calls of the JSON protocol with `status` and `answer`.
    pub(crate) async fn answering(status: u16, answer: Value) -> Self {
        let answer = answer.to_string();
        let answers =
            move |asked: &Asked| (!asked.operation().is_empty()).then(|| (status, answer.clone()));
        Self::new(answers).await
    }

    /// Refuses all calls of the JSON protocol as AWS services do.
    pub(crate) async fn refusing(code: &str, message: &str) -> Self {
        Self::answering(400, json!({ "__type": code, "message": message })).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The calls of the JSON protocol.
    pub(crate) fn calls(&self) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| !asked.operation().is_empty());
        asked
    }

    pub(crate) fn sts(&self, action: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.is_for_sts(action));
        asked
    }
}

async fn remembered(request: Request<Incoming>) -> Asked {
    let (parts, body) = request.into_parts();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let body = body.collect().await.unwrap().to_bytes();
    Asked {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: headers.collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// What an AWS in good order says.
fn willing(asked: &Asked) -> (u16, String) {
    let (_, operation) = asked.operation().split_once('.').unwrap_or_default();
    let json = match (operation, asked.path.split('?').next().unwrap()) {
        ("StartSession" | "ResumeSession", _) => json!({
            "SessionId": "me-0123456789abcdef0",
            "StreamUrl": "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/me-0123456789abcdef0?role=publish_subscribe",
            "TokenValue": format!("{SECRET}-of-the-session"),
        }),
        ("TerminateSession", _) => json!({ "SessionId": "me-0123456789abcdef0" }),
        ("DescribeSessions", _) => json!({ "Sessions": [
            { "SessionId": "me-0123456789abcdef0", "Target": "i-0123456789abcdef0", "Status": "Connected" },
        ] }),
        ("GetConnectionStatus", _) => {
            json!({ "Target": "i-0123456789abcdef0", "Status": "connected" })
        }
        ("GenerateDataKey", _) => {
            use base64::Engine as _;
            let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
            json!({
                "KeyId": "arn:aws:kms:eu-west-1:123456789012:key/1",
                "Plaintext": encode(&[b'5'; 64]),
                "CiphertextBlob": encode(&[8; 184]),
            })
        }
        (_, "/federation/credentials") => json!({ "roleCredentials": {
            "accessKeyId": "AKIDSSO",
            "secretAccessKey": format!("{SECRET}-of-sso"),
            "sessionToken": format!("{SECRET}-token-of-sso"),
            "expiration": 4_000_000_000_000_u64,
        } }),
        (_, "/token") => json!({
            "accessToken": format!("{SECRET}-renewed"),
            "refreshToken": format!("{SECRET}-refresh"),
            "expiresIn": 3600,
            "tokenType": "Bearer",
        }),
        (_, "/container" | "/latest/meta-data/iam/security-credentials/node") => json!({
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": if asked.path == "/container" { "AKIDCONTAINER" } else { "AKIDINSTANCE" },
            "SecretAccessKey": format!("{SECRET}-of-the-machine"),
            "Token": format!("{SECRET}-token-of-the-machine"),
            "LastUpdated": "2026-01-01T00:00:00Z",
            "Expiration": "2096-01-01T00:00:00Z",
        }),
        (_, "/latest/api/token") => return (200, format!("{SECRET}-metadata")),
        (_, "/latest/meta-data/iam/security-credentials/") => return (200, "node".to_owned()),
        (_, "/latest/meta-data/placement/region") => return (200, "ap-south-1".to_owned()),
        _ if asked.is_for_sts("AssumeRole") => return (200, assumed("AssumeRole", "AKIDROLE")),
        _ if asked.is_for_sts("AssumeRoleWithWebIdentity") => {
            return (200, assumed("AssumeRoleWithWebIdentity", "AKIDWEB"));
        }
        _ => return (404, String::new()),
    };
    (200, json.to_string())
}

/// STS's answer.
fn assumed(action: &str, access_key: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{SECRET}-of-a-role</SecretAccessKey>\
         <SessionToken>{SECRET}-token-of-a-role</SessionToken><Expiration>2096-01-01T00:00:00Z</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROA:me</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/ops/me</Arn>\
         </AssumedRoleUser></{action}Result></{action}Response>"
    )
}

/// STS's refusal.
pub(crate) fn sts_error(code: &str, message: &str) -> (u16, String) {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    );
    (403, body)
}
