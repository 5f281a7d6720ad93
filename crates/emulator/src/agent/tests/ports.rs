//! What a port session leaves behind.

use serde_json::Value;
use serde_json::json;
use ssm_session_proto::SessionType;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::super::Outcome;
use super::rig::Rig;
use crate::documents::Inputs;
use crate::documents::ResolvedDocument;

#[tokio::test]
async fn the_end_of_a_port_session_is_not_announced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let session = Rig::start(port_document(&json!({"portNumber": port.to_string()})));
    let serve = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.write_all(b"last words").await.unwrap();
    };
    let (seen, ()) = tokio::join!(session.end(), serve);
    assert_eq!(seen.text(), "last words");
    assert_eq!(seen.states, ["Connected"]);
    assert_eq!(seen.outcome, Some(Outcome::success()));
}

#[tokio::test]
async fn port_sessions_are_never_encrypted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut document = port_document(&json!({"portNumber": port.to_string()}));
    document.inputs.kms_key_id = Some("alias/emulator-session".to_owned());
    let mut session = Rig::start(document);
    session.until(|seen| seen.established.is_some()).await;
    let established = session.seen.established.as_ref().unwrap();
    assert!(!established.encrypted);
}

#[tokio::test]
async fn properties_that_make_no_sense_fail_the_session() {
    let seen = Rig::start(port_document(&json!({"portNumber": 22})))
        .end()
        .await;
    assert_eq!(
        seen.outcome,
        Some(Outcome::failed(
            "Unable to remarshal session properties. json: cannot unmarshal number into Go struct field \
             PortParameters.portNumber of type string"
                .to_owned()
        ))
    );
    assert_eq!(seen.states, ["Connected"]);
}

fn port_document(properties: &Value) -> ResolvedDocument {
    ResolvedDocument {
        session_type: SessionType::PORT,
        properties: properties.clone(),
        inputs: Inputs::default(),
    }
}
