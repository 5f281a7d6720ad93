//! Who is let in: credentials, signatures in headers and in addresses, on the control plane and on data channels.

use http_body_util::Full;
use hyper::Request;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_proto::MessageType;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_websockets::ClientBuilder;
use tokio_websockets::Message;

use crate::signer::SIGNER;
use crate::signer::Signer;
use crate::signer::TOKEN;
use crate::signer::credentials;
use crate::signer::parts;
use crate::signer::request;
use crate::support::Answer;
use crate::support::Channel;
use crate::support::call;
use crate::support::emulator;
use crate::support::open_frame;
use crate::support::plan;
use crate::support::run;
use crate::support::send;

#[test]
fn a_signed_call_of_every_service_is_let_in() {
    run(async {
        let emulator = guarded().await;
        for (service, operation, body) in calls() {
            for signer in [SIGNER, TEMPORARY] {
                let signer = Signer { service, ..signer };
                let answer = signer.call(&emulator, operation, &body).await;
                assert_eq!(answer.status, 200, "{operation}: {answer:?}");
                let answer = signer.call_presigned(&emulator, operation, &body, 60).await;
                assert_eq!(answer.status, 200, "{operation}: {answer:?}");
            }
        }
    });
}

#[test]
fn an_unsigned_call_of_every_service_is_refused() {
    run(async {
        let emulator = guarded().await;
        for (_, operation, body) in calls() {
            let answer = call(&emulator, operation, body).await;
            assert_eq!(answer.code(), "MissingAuthenticationTokenException");
            assert_eq!(answer.message(), "Missing Authentication Token");
        }
    });
}

#[test]
fn a_wrong_signature_is_refused_with_awss_own_words() {
    run(async {
        let emulator = guarded().await;
        for (signer, code, text) in [
            (
                Signer {
                    key: "AKIDUNKNOWN",
                    ..SIGNER
                },
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ),
            (
                Signer {
                    token: Some("another"),
                    ..TEMPORARY
                },
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ),
            (
                Signer {
                    token: None,
                    ..TEMPORARY
                },
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ),
            (
                EXPIRED,
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
            (
                Signer {
                    secret: "another",
                    ..SIGNER
                },
                "InvalidSignatureException",
                "The request signature we calculated does not match",
            ),
            (
                Signer {
                    region: "eu-west-1",
                    ..SIGNER
                },
                "InvalidSignatureException",
                "Credential should be scoped to a valid region, not 'eu-west-1'.",
            ),
            (
                Signer {
                    service: "kms",
                    ..SIGNER
                },
                "InvalidSignatureException",
                "Credential should be scoped to correct service: 'ssm'.",
            ),
            (
                Signer {
                    skew: -900,
                    ..SIGNER
                },
                "InvalidSignatureException",
                "Signature expired: ",
            ),
            (
                Signer {
                    skew: 900,
                    ..SIGNER
                },
                "InvalidSignatureException",
                "Signature not yet current: ",
            ),
        ] {
            let answer = signer.call(&emulator, START, &start()).await;
            assert_eq!(answer.code(), code, "{text}");
            assert!(answer.message().contains(text), "{answer:?}");
            let answer = signer.call_presigned(&emulator, START, &start(), 60).await;
            assert_eq!(answer.code(), code, "{text}");
        }
    });
}

#[test]
fn a_presigned_call_is_good_until_it_expires() {
    run(async {
        let emulator = guarded().await;
        let old = Signer {
            skew: -900,
            ..SIGNER
        };
        let answer = old.call_presigned(&emulator, START, &start(), 3600).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = old.call_presigned(&emulator, START, &start(), 600).await;
        assert_eq!(answer.code(), "InvalidSignatureException");
        assert!(answer.message().starts_with("Signature expired: "));
        let answer = old
            .call_presigned(&emulator, START, &start(), 700_000)
            .await;
        assert_eq!(answer.code(), "IncompleteSignatureException");
    });
}

#[test]
fn half_a_signature_is_incomplete() {
    run(async {
        let emulator = guarded().await;
        let request = Request::post("/")
            .header("x-amz-target", START)
            .header("authorization", "AWS4-HMAC-SHA256 Signature=hush")
            .body(Full::from(start().to_string()))
            .unwrap();
        let answer = send(&emulator, request).await;
        assert_eq!(answer.code(), "IncompleteSignatureException");
        assert!(answer.message().contains("'Credential' parameter"));
        assert!(!answer.text.contains("hush"), "{answer:?}");
    });
}

#[test]
fn without_credentials_in_the_plan_no_signature_is_looked_at() {
    run(async {
        let emulator = emulator().await;
        let answer = EXPIRED.call(&emulator, START, &start()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = emulator.start_session(StartSession::default()).unwrap();
        let headers = EXPIRED.channel_headers(&session.stream_url);
        assert_eq!(upgrade(&emulator, &session.stream_url, &headers).await, 101);
    });
}

#[test]
fn a_signed_data_channel_is_opened() {
    run(async {
        let emulator = signed_channels().await;
        for signer in [CHANNEL, TEMPORARY_CHANNEL] {
            let session = emulator.start_session(StartSession::default()).unwrap();
            let mut builder = ClientBuilder::new().uri(&session.stream_url).unwrap();
            for (name, value) in signer.channel_headers(&session.stream_url) {
                let name: HeaderName = name.parse().unwrap();
                let value = HeaderValue::from_str(&value).unwrap();
                builder = builder.add_header(name, value).unwrap();
            }
            let mut channel = Channel(builder.connect().await.unwrap().0);
            channel
                .send(Message::text(open_frame(session.token.expose())))
                .await;
            channel.receive(MessageType::START_PUBLICATION).await;
        }
    });
}

#[test]
fn a_presigned_data_channel_is_opened() {
    run(async {
        let emulator = signed_channels().await;
        for signer in [CHANNEL, TEMPORARY_CHANNEL] {
            let session = emulator.start_session(StartSession::default()).unwrap();
            let url = signer.presigned_channel(&session.stream_url, 60);
            let mut channel = Channel::connect(&url).await;
            channel
                .send(Message::text(open_frame(session.token.expose())))
                .await;
            channel.receive(MessageType::START_PUBLICATION).await;
        }
    });
}

#[test]
fn a_wrongly_signed_data_channel_is_forbidden_even_where_none_is_needed() {
    run(async {
        for emulator in [guarded().await, signed_channels().await] {
            let session = emulator.start_session(StartSession::default()).unwrap();
            let url = session.stream_url.as_str();
            for (signer, text) in [
                (SIGNER, "scoped to correct service: 'ssmmessages'"),
                (
                    Signer {
                        secret: "another",
                        ..CHANNEL
                    },
                    "does not match",
                ),
                (
                    Signer {
                        skew: -900,
                        ..CHANNEL
                    },
                    "Signature expired",
                ),
                (
                    Signer {
                        service: "ssmmessages",
                        ..EXPIRED
                    },
                    "is expired",
                ),
            ] {
                let answer = opening(&emulator, url, &signer.channel_headers(url)).await;
                assert_eq!(answer.status, 403, "{answer:?}");
                let message = answer.json()["message"].as_str().unwrap().to_owned();
                assert!(message.contains(text), "{message}");
                assert!(answer.headers.contains_key("x-amzn-errortype"));
                let presigned = signer.presigned_channel(url, 60);
                assert_eq!(upgrade(&emulator, &presigned, &[]).await, 403);
            }
            // The signature is for one address, with all of its query.
            let headers = CHANNEL.channel_headers(url);
            assert_eq!(upgrade(&emulator, &format!("{url}x"), &headers).await, 403);
            assert_eq!(upgrade(&emulator, url, &headers).await, 101);
        }
    });
}

#[test]
fn an_unsigned_data_channel_is_forbidden_only_where_signatures_are_required() {
    run(async {
        let emulator = guarded().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        assert_eq!(upgrade(&emulator, &session.stream_url, &[]).await, 101);
        let emulator = signed_channels().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let answer = opening(&emulator, &session.stream_url, &[]).await;
        assert_eq!(answer.status, 403);
        assert_eq!(
            answer.json(),
            json!({"message": "Missing Authentication Token"})
        );
        assert_eq!(
            answer.headers["x-amzn-errortype"],
            "MissingAuthenticationTokenException"
        );
    });
}

#[test]
fn the_emulators_own_operation_needs_no_signature() {
    run(async {
        let emulator = guarded().await;
        let answer = call(&emulator, "Emulator.CloseChannel", json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    });
}

#[test]
fn a_plan_whose_credentials_make_no_sense_is_refused() {
    run(async {
        let plan_without = Plan {
            signed_channels: true,
            ..plan()
        };
        let error = Emulator::start(plan_without).await.unwrap_err();
        assert!(error.to_string().contains("--credentials-file"), "{error}");
        let mut nameless = credentials();
        nameless[0].access_key_id.clear();
        let plan = Plan {
            credentials: nameless,
            ..plan()
        };
        let error = Emulator::start(plan).await.unwrap_err();
        assert!(error.to_string().contains("AccessKeyId"), "{error}");
    });
}

async fn guarded() -> Emulator {
    Emulator::start(Plan {
        credentials: credentials(),
        ..plan()
    })
    .await
    .unwrap()
}

async fn signed_channels() -> Emulator {
    Emulator::start(Plan {
        credentials: credentials(),
        signed_channels: true,
        ..plan()
    })
    .await
    .unwrap()
}

/// One call of each service that is good if it is let in.
fn calls() -> [(&'static str, &'static str, Value); 3] {
    [
        ("ssm", START, start()),
        (
            "kms",
            "TrentService.GenerateDataKey",
            json!({"KeyId": "alias/emulator-session", "NumberOfBytes": 64}),
        ),
        (
            "ecs",
            "AmazonEC2ContainerServiceV20141113.DescribeTasks",
            json!({"cluster": "emulator", "tasks": ["0123456789abcdef0123456789abcdef"]}),
        ),
    ]
}

fn start() -> Value {
    json!({"Target": StartSession::default().target})
}

/// The status of an upgrade that is not followed.
async fn upgrade(emulator: &Emulator, url: &str, headers: &[(String, String)]) -> u16 {
    let mut stream = TcpStream::connect(emulator.local_addr()).await.unwrap();
    let (_, path, query) = parts(url);
    let mut text = format!("GET {path}?{query} HTTP/1.1\r\n");
    for (name, value) in upgrade_headers(url, headers) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream
        .write_all(format!("{text}\r\n").as_bytes())
        .await
        .unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The answer to an upgrade that is refused.
async fn opening(emulator: &Emulator, url: &str, headers: &[(String, String)]) -> Answer {
    let (_, path, query) = parts(url);
    let headers = upgrade_headers(url, headers);
    let request = request("GET", &format!("{path}?{query}"), &headers, "");
    send(emulator, request).await
}

fn upgrade_headers(url: &str, more: &[(String, String)]) -> Vec<(String, String)> {
    let own = [
        ("host", parts(url).0),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    [own.as_slice(), more].concat()
}

const START: &str = "AmazonSSM.StartSession";

const TEMPORARY: Signer = Signer {
    key: "ASIATEMPORARY",
    token: Some(TOKEN),
    ..SIGNER
};

const EXPIRED: Signer = Signer {
    key: "ASIAEXPIRED",
    token: Some(TOKEN),
    ..SIGNER
};

const CHANNEL: Signer = Signer {
    service: "ssmmessages",
    ..SIGNER
};

const TEMPORARY_CHANNEL: Signer = Signer {
    service: "ssmmessages",
    ..TEMPORARY
};
