//! The emulator's operations for a client in the same process.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use ssm_session::ApiErrorKind;
use ssm_session::ControlPlane as _;
use ssm_session::DataKeyRequest;
use ssm_session::Secret;
use ssm_session::StartRequest;
use ssm_session::UpgradeRequest;
use ssm_session_emulator::Credentials;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::Target;
use ssm_session_proto::MessageType;
use tokio_websockets::ClientBuilder;
use tokio_websockets::Message;

use crate::signer::credentials;
use crate::signer::parts;
use crate::support::Channel;
use crate::support::ask;
use crate::support::emulator;
use crate::support::open_frame;
use crate::support::plan;
use crate::support::run;

#[test]
fn a_session_is_started_described_resumed_and_terminated() {
    run(async {
        let emulator = emulator().await;
        let api = emulator.control_plane();
        let started = api.start_session(start()).await.unwrap();
        let id = started.session_id.as_str();
        let description = api.describe_session(id).await.unwrap();
        assert_eq!(description.target, Target::default().id());

        let resumed = api.resume_session(id).await.unwrap();
        assert_eq!(resumed.session_id, id);
        assert_ne!(resumed.token, started.token);
        let mut channel = Channel::connect(resumed.stream_url.expose()).await;
        let frame = open_frame(resumed.token.expose());
        channel.send(Message::text(frame)).await;
        channel.receive(MessageType::START_PUBLICATION).await;

        for _ in 0..2 {
            api.terminate_session(id).await.unwrap();
        }
        channel.receive(MessageType::CHANNEL_CLOSED).await;
        for session_id in [id, "emulator-0"] {
            let resumed = api.resume_session(session_id).await.unwrap_err();
            assert_eq!(resumed.kind(), ApiErrorKind::Gone, "{resumed}");
            let described = api.describe_session(session_id).await.unwrap_err();
            assert_eq!(described.kind(), ApiErrorKind::Gone, "{described}");
        }
        api.terminate_session("emulator-0").await.unwrap();
    });
}

#[test]
fn what_the_service_refuses_is_refused_here() {
    run(async {
        let emulator = emulator().await;
        let api = emulator.control_plane();
        let request = StartRequest {
            target: "i-00000009".to_owned(),
            ..start()
        };
        let error = api.start_session(request).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Refused);
        assert!(error.to_string().contains("i-00000009 is not connected"));
        let request = DataKeyRequest {
            key_id: "alias/none".to_owned(),
            encryption_context: BTreeMap::new(),
        };
        let error = api.data_key(request).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Refused);
        assert!(error.to_string().contains("NotFoundException"), "{error}");
    });
}

#[test]
fn refusals_of_the_plan_concern_clients_in_the_process_too() {
    run(async {
        let refusals = [
            "StartSession=AccessDeniedException*1",
            "ResumeSession=ThrottlingException*1",
            "TerminateSession=InternalServerError*1",
            "DescribeSessions=ExpiredTokenException*1",
            "GenerateDataKey=AccessDeniedException*1",
        ];
        let emulator = Emulator::start(Plan {
            refusals: refusals.map(|text| text.parse().unwrap()).to_vec(),
            ..plan()
        })
        .await
        .unwrap();
        let api = emulator.control_plane();
        let error = api.start_session(start()).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Refused);
        assert!(error.to_string().contains("ssm:StartSession"), "{error}");
        let started = api.start_session(start()).await.unwrap();
        let id = started.session_id.as_str();
        let error = api.resume_session(id).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Transient);
        api.resume_session(id).await.unwrap();
        let error = api.describe_session(id).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Transient);
        api.describe_session(id).await.unwrap();
        let error = api.terminate_session(id).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Transient);
        api.terminate_session(id).await.unwrap();
        let error = api.data_key(data_key()).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Refused);
        assert!(error.to_string().contains("kms:GenerateDataKey"), "{error}");
        api.data_key(data_key()).await.unwrap();
    });
}

#[test]
fn a_data_key_can_be_opened_by_the_agents_side() {
    run(async {
        let emulator = emulator().await;
        let key = emulator.control_plane().data_key(data_key()).await.unwrap();
        assert_eq!(key.plaintext.len(), 64);
        let request = json!({
            "CiphertextBlob": STANDARD.encode(&key.ciphertext),
            "EncryptionContext": {"aws:ssm:SessionId": "s"},
        });
        let opened = ask(&emulator, "TrentService.Decrypt", request).await;
        assert_eq!(opened["Plaintext"], STANDARD.encode(&key.plaintext));
    });
}

#[test]
fn the_opening_of_a_channel_is_signed_with_the_first_credentials() {
    run(async {
        for credentials in credentials().into_iter().take(2) {
            let emulator = guarded(vec![credentials]).await;
            let api = emulator.control_plane();
            let started = api.start_session(start()).await.unwrap();
            let url = started.stream_url.expose();
            let (host, path, query) = parts(url);
            let request = UpgradeRequest {
                host: host.to_owned(),
                path_and_query: Secret::new(format!("{path}?{query}")),
            };
            let mut builder = ClientBuilder::new().uri(url).unwrap();
            for field in api.sign(request).await.unwrap() {
                let name = field.name.parse().unwrap();
                let value = field.value.expose().parse().unwrap();
                builder = builder.add_header(name, value).unwrap();
            }
            let mut channel = Channel(builder.connect().await.unwrap().0);
            let frame = open_frame(started.token.expose());
            channel.send(Message::text(frame)).await;
            channel.receive(MessageType::START_PUBLICATION).await;
        }
    });
}

#[test]
fn without_credentials_nothing_is_signed() {
    run(async {
        let emulator = emulator().await;
        let request = UpgradeRequest {
            host: "localhost".to_owned(),
            path_and_query: Secret::new("/"),
        };
        let fields = emulator.control_plane().sign(request).await.unwrap();
        assert!(fields.is_empty(), "{fields:?}");
    });
}

#[test]
fn what_is_started_after_the_emulator_ends_at_once() {
    run(async {
        let emulator = emulator().await;
        let api = emulator.control_plane();
        emulator.shutdown().await;
        let started = api.start_session(start()).await.unwrap();
        while api.describe_session(&started.session_id).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn it_shows_no_secret() {
    run(async {
        let emulator = guarded(credentials()).await;
        let api = emulator.control_plane();
        let request = UpgradeRequest {
            host: "localhost".to_owned(),
            path_and_query: Secret::new("/?secret"),
        };
        let signed = api.sign(request).await.unwrap();
        let text = format!("{api:?} {emulator:?} {signed:?}");
        for secret in [
            credentials()[0].secret_access_key.expose(),
            crate::signer::TOKEN,
            "Signature=",
        ] {
            assert!(!text.contains(secret), "{text}");
        }
    });
}

async fn guarded(credentials: Vec<Credentials>) -> Emulator {
    Emulator::start(Plan {
        credentials,
        signed_channels: true,
        ..plan()
    })
    .await
    .unwrap()
}

fn start() -> StartRequest {
    StartRequest {
        target: Target::default().id().to_owned(),
        ..StartRequest::default()
    }
}

fn data_key() -> DataKeyRequest {
    DataKeyRequest {
        key_id: "alias/emulator-session".to_owned(),
        encryption_context: BTreeMap::from([("aws:ssm:SessionId".to_owned(), "s".to_owned())]),
    }
}
