//! Whether and how the opening of a session's connection is signed.

use std::sync::Arc;

use ssm_session::ApiError;
use ssm_session::ApiErrorKind;
use ssm_session::BoxFuture;
use ssm_session::ConnectError;
use ssm_session::ControlPlane;
use ssm_session::Field;
use ssm_session::Options;
use ssm_session::Secret;
use ssm_session::Signing;
use ssm_session::UpgradeRequest;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::support::start;
use crate::support::within_reason;

/// What becomes of the wish for a signature.
#[derive(Clone, Copy)]
enum Signer {
    Signs,
    HasNoCredentials,
    Fails,
    Hangs,
}

impl ControlPlane for Signer {
    fn sign(&self, request: UpgradeRequest) -> BoxFuture<'_, Result<Vec<Field>, ApiError>> {
        Box::pin(async move {
            assert_eq!(request.host, "localhost");
            let signed = Field {
                name: "authorization",
                value: Secret::new(format!("over {}", request.path_and_query.expose())),
            };
            match self {
                Self::Signs => Ok(vec![signed]),
                Self::HasNoCredentials => Ok(Vec::new()),
                Self::Fails => Err(ApiError::new(
                    ApiErrorKind::Transient,
                    "the sign-in has expired",
                )),
                Self::Hangs => std::future::pending().await,
            }
        })
    }
}

fn with(signer: Signer) -> Options {
    Options {
        control_plane: Some(Arc::new(signer)),
        ..Options::default()
    }
}

/// The request for the WebSocket, and the error when it is refused.
async fn refused(query: &str, options: Options) -> (String, ConnectError) {
    let (ours, mut theirs) = tokio::io::duplex(4096);
    let start = start(&format!("ws://localhost/v1/x?{query}"));
    let connecting = ssm_session::connect_over(ours, start, options);
    let refusing = async {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(theirs.read_u8().await.unwrap());
        }
        theirs
            .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        String::from_utf8(request).unwrap()
    };
    let (session, request) = within_reason(async { tokio::join!(connecting, refusing) }).await;
    (request, session.unwrap_err())
}

fn signing(error: &ConnectError) -> Signing {
    match error {
        ConnectError::Upgrade { signing, .. } => signing.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_signs_the_request_is_among_its_fields() {
    let (request, error) = refused("a=b", with(Signer::Signs)).await;
    assert!(
        request.contains("\r\nauthorization: over /v1/x?a=b\r\n"),
        "{request}"
    );
    assert_eq!(signing(&error), Signing::Signed);
    let advice = error.advice().unwrap();
    assert!(advice.contains("ssmmessages:OpenDataChannel"), "{advice}");
}

#[tokio::test(start_paused = true)]
async fn a_url_that_carries_its_signature_is_left_alone() {
    let (request, error) = refused("X-Amz-Signature=00", with(Signer::Signs)).await;
    assert!(!request.contains("authorization"), "{request}");
    assert_eq!(signing(&error), Signing::Presigned);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_signed_against_the_callers_wish() {
    let unwanted = Options {
        unsigned: true,
        ..with(Signer::Signs)
    };
    let (request, error) = refused("a=b", unwanted).await;
    assert!(!request.contains("authorization"), "{request}");
    assert_eq!(signing(&error), Signing::Unwanted);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_signed_without_credentials() {
    for options in [with(Signer::HasNoCredentials), Options::default()] {
        let (request, error) = refused("a=b", options).await;
        assert!(!request.contains("authorization"), "{request}");
        assert_eq!(signing(&error), Signing::Unsigned);
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_be_used_or_take_too_long_are_no_reason_not_to_try() {
    for (signer, reason) in [
        (Signer::Fails, "the sign-in has expired"),
        (Signer::Hangs, "no AWS credentials were found within 3 s"),
    ] {
        let (request, error) = refused("a=b", with(signer)).await;
        assert!(!request.contains("authorization"), "{request}");
        assert_eq!(signing(&error), Signing::Failed(reason.to_owned()));
        let told = error.to_string();
        assert!(
            told.ends_with(&format!("(it was not signed: {reason})")),
            "{told}"
        );
    }
}
