//! Encrypted sessions and where their keys come from.

use std::sync::Arc;
use std::time::Duration;

use ssm_session::ApiError;
use ssm_session::ApiErrorKind;
use ssm_session::BoxFuture;
use ssm_session::ControlPlane;
use ssm_session::DataKey;
use ssm_session::DataKeyRequest;
use ssm_session::EndedBy;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionDescription;
use ssm_session::SessionEvent;
use ssm_session::SessionType;
use ssm_session_proto::AgentEncryption;
use ssm_session_proto::AgentEvent;
use ssm_session_proto::ChallengeMode;
use tokio::task::JoinHandle;

use crate::node::Node;
use crate::node::TARGET;
use crate::node::agent_config;
use crate::node::now;
use crate::support::SESSION;
use crate::support::end;
use crate::support::output;
use crate::support::session_with;
use crate::support::within_reason;

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1";

/// A KMS whose every key is the same. The ciphertext stands for the encryption context.
struct OneKey;

fn data_key(ciphertext: Vec<u8>) -> DataKey {
    DataKey {
        plaintext: (0..64).collect::<Vec<u8>>().into(),
        ciphertext,
    }
}

impl ControlPlane for OneKey {
    fn data_key(&self, request: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        Box::pin(async move {
            assert_eq!(request.key_id, KEY);
            Ok(data_key(
                format!("{:?}", request.encryption_context).into_bytes(),
            ))
        })
    }
}

struct Refusal;

impl ControlPlane for Refusal {
    fn data_key(&self, _: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        Box::pin(async {
            Err(ApiError::new(
                ApiErrorKind::Refused,
                "access to the key is denied",
            ))
        })
    }
}

struct Silence;

impl ControlPlane for Silence {
    fn data_key(&self, _: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        Box::pin(std::future::pending())
    }
}

struct Panic;

impl ControlPlane for Panic {
    fn data_key(&self, _: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        panic!("a source with a mistake in it")
    }
}

/// A session whose agent demands encryption. The node's task ends with what the agent failed of.
async fn encrypted_session(keys: Option<Arc<dyn ControlPlane>>) -> (Session, JoinHandle<String>) {
    encrypted_session_with(Some(TARGET), keys).await
}

/// The same, by a caller that may not know the target.
async fn encrypted_session_with(
    target: Option<&str>,
    keys: Option<Arc<dyn ControlPlane>>,
) -> (Session, JoinHandle<String>) {
    let options = Options {
        target: target.map(str::to_owned),
        control_plane: keys,
        ..Options::default()
    };
    session_with(options, 64 * 1024, |socket| async move {
        let mut config = agent_config(SessionType::STANDARD_STREAM);
        config.encryption = Some(AgentEncryption {
            key_id: KEY.to_owned(),
            challenge: ChallengeMode::Required,
        });
        let mut node = Node::open_as(socket, config).await;
        let mut failure = String::new();
        while let Some(event) = node.event().await {
            match event {
                AgentEvent::DataKeyNeeded {
                    ciphertext,
                    encryption_context,
                    ..
                } => {
                    let expected = format!("{encryption_context:?}").into_bytes();
                    assert_eq!(ciphertext, expected);
                    assert_eq!(encryption_context["aws:ssm:SessionId"], SESSION);
                    assert_eq!(encryption_context["aws:ssm:TargetId"], TARGET);
                    node.agent()
                        .handle_data_key(Ok(data_key(ciphertext)), now());
                }
                AgentEvent::Started { .. } => node.agent().accept_input(),
                AgentEvent::Input(data) => node.print(&data),
                AgentEvent::Failed(text) => {
                    node.close_channel(&text);
                    failure = text;
                }
                _ => {}
            }
        }
        failure
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn an_encrypted_session_works_with_a_key_from_its_source() {
    let (mut session, _node) = encrypted_session(Some(Arc::new(OneKey))).await;
    match within_reason(session.next_event()).await {
        Some(SessionEvent::Established(established)) => assert!(established.encrypted),
        other => panic!("{other:?}"),
    }
    session.write(b"secret").await.unwrap();
    assert_eq!(output(&mut session, 6).await, b"secret");
}

/// Knows of one session, and gives keys like [`OneKey`].
struct Register(Result<&'static str, &'static str>);

impl ControlPlane for Register {
    fn describe_session(
        &self,
        session_id: &str,
    ) -> BoxFuture<'_, Result<SessionDescription, ApiError>> {
        assert_eq!(session_id, SESSION);
        let refused = |reason| ApiError::new(ApiErrorKind::Refused, reason);
        let described = self.0.map(SessionDescription::new).map_err(refused);
        Box::pin(async { described })
    }

    fn data_key(&self, request: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        OneKey.data_key(request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_the_caller_did_not_name_is_asked_for() {
    let register = Register(Ok(TARGET));
    let (mut session, _node) = encrypted_session_with(None, Some(Arc::new(register))).await;
    match within_reason(session.next_event()).await {
        Some(SessionEvent::Established(established)) => assert!(established.encrypted),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_found_out_is_told_with_the_reason() {
    let register = Register(Err("access to DescribeSessions is denied"));
    let (mut session, _node) = encrypted_session_with(None, Some(Arc::new(register))).await;
    let close = end(&mut session).await;
    let told = "its target is not known: access to DescribeSessions is denied";
    assert!(close.message.contains(told), "{}", close.message);
}

/// Both ends learn the reason: the agent in the handshake, the user from the close.
async fn assert_refused(keys: Option<Arc<dyn ControlPlane>>, reason: &str) {
    let (mut session, node) = encrypted_session(keys).await;
    let close = end(&mut session).await;
    assert!(close.message.contains(reason), "{}", close.message);
    let failure = within_reason(node).await.unwrap();
    assert!(failure.contains(reason), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_reported_to_both_ends() {
    assert_refused(Some(Arc::new(Refusal)), "access to the key is denied").await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_source_of_keys_is_explained() {
    assert_refused(None, "this program has no source of data keys").await;
}

#[tokio::test(start_paused = true)]
async fn a_source_of_keys_that_panics_fails_the_session_alone() {
    assert_refused(Some(Arc::new(Panic)), "the source of data keys failed").await;
}

#[tokio::test(start_paused = true)]
async fn a_source_of_keys_that_never_answers_is_given_up() {
    let started = tokio::time::Instant::now();
    let (mut session, _node) = encrypted_session(Some(Arc::new(Silence))).await;
    let close = end(&mut session).await;
    // The agent's own limit is the shorter one.
    assert!(started.elapsed() <= Duration::from_secs(20));
    assert!(matches!(close.by, EndedBy::Service | EndedBy::Us));
    assert!(close.message.contains("timed out"), "{}", close.message);
}
