//! Local ends: sockets, and what cannot be opened.

use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use rustix::process::Signal;
use tokio::net::UnixStream;

use crate::destination::Destination;
use crate::destination::exchange;
use crate::destination::hostile_messages;
use crate::node::Node;
use crate::node::Started;
use crate::plugin::Finished;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::plugin::run;

const TO_SOCKET: &str = "AWS-StartPortForwardingSessionToSocket";

fn socket(node: &Node, destination: &Destination, path: &str) -> Started {
    node.port(TO_SOCKET, destination.port(), &[("localUnixSocket", path)])
}

fn assert_refused(finished: &Finished, started: &Started, reason: &str) {
    let id = started.id();
    let expected = format!(
        "\nStarting session with SessionId: {id}\nCannot perform start session: {reason}\n"
    );
    assert_eq!(finished.stdout, expected);
    assert_eq!((finished.stderr.as_str(), finished.status), ("", Some(0)));
}

#[tokio::test]
async fn a_unix_socket_takes_connections_for_this_user_alone_and_is_removed_at_the_end() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    // Left behind by a program that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let shown = path.to_str().unwrap();
    let started = socket(&node, &destination, shown);
    let mut plugin = Piped::start(command(&started.seven_words()));
    plugin.stdout.until("\nWaiting for connections...\n").await;
    let mode = std::fs::metadata(&path).unwrap();
    assert!(mode.file_type().is_socket());
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let mut connection = UnixStream::connect(&path).await.unwrap();
    for message in hostile_messages() {
        exchange(&mut connection, &message).await;
    }
    plugin.signal(Signal::INT);
    let id = started.id();
    let expected = format!(
        "\nStarting session with SessionId: {id}\n\
         Unix socket {shown} opened for sessionId {id}.\nWaiting for connections...\n\
         \nConnection accepted for session [{id}]\n\
         Terminate signal received, exiting.\n\
         \n\nExiting session with sessionId: {id}.\n\n"
    );
    assert_eq!(plugin.stdout.until_end().await, expected);
    assert_eq!(plugin.status().await.code(), Some(0));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_port_in_use_is_named_at_once_and_the_session_does_not_live_on() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let more = [("localPortNumber", port.as_str())];
    let document = "AWS-StartPortForwardingSession";
    let reason = format!(
        "port {port} is in use at 127.0.0.1; choose another with localPortNumber, or 0 for any that is free"
    );

    let started = node.port(document, destination.port(), &more);
    let finished = run(command(&started.seven_words())).await;
    assert_refused(&finished, &started, &reason);
    assert!(node.has_ended(&started));

    let started = node.port(document, destination.port(), &more);
    let (json, parameters) = (started.json(), started.parameters());
    let finished = run(command(&["connect", &json, "--parameters", &parameters])).await;
    assert_eq!(
        finished.stderr,
        format!("session-manager-plugin: {reason}\n")
    );
    assert_eq!((finished.stdout.as_str(), finished.status), ("", Some(1)));
    assert!(node.has_ended(&started));
}

#[tokio::test]
async fn a_port_in_use_that_only_the_agent_names_is_told_as_well() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let more = [("localPortNumber", port.as_str())];
    let document = "AWS-StartPortForwardingSession";
    let reason = format!(
        "port {port} is in use at 127.0.0.1; choose another with localPortNumber, or 0 for any that is free"
    );

    // Callers that give four words, as some toolkits do, hand no request on.
    let started = node.port(document, destination.port(), &more);
    let finished = run(command(&started.seven_words()[..3])).await;
    assert_refused(&finished, &started, &reason);
    assert!(node.has_ended(&started));

    let started = node.port(document, destination.port(), &more);
    let finished = run(command(&["connect", &started.json()])).await;
    assert_eq!(
        finished.stderr,
        format!("session-manager-plugin: {reason}\n")
    );
    assert_eq!((finished.stdout.as_str(), finished.status), ("", Some(1)));
    assert!(node.has_ended(&started));
}

#[tokio::test]
async fn the_local_end_that_the_agent_names_wins_over_the_requests() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let directory = tempfile::tempdir().unwrap();
    let (asked, named) = (
        directory.path().join("asked"),
        directory.path().join("named"),
    );
    let started = socket(&node, &destination, named.to_str().unwrap());
    let parameters = serde_json::json!({"localUnixSocket": [asked]}).to_string();
    let json = started.json();
    let mut plugin = Piped::start(command(&["connect", &json, "--parameters", &parameters]));
    let expected = format!("the Unix socket {} is open", named.display());
    plugin.stderr.until(&expected).await;
    assert!(!asked.exists());
    let mut connection = UnixStream::connect(&named).await.unwrap();
    exchange(&mut connection, b"hello").await;
}

#[tokio::test]
async fn a_path_that_cannot_be_a_socket_is_named() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let file = directory.path().join("file");
    std::fs::write(&file, "text").unwrap();
    let busy = directory.path().join("busy");
    let _listener = UnixListener::bind(&busy).unwrap();
    let rows = [
        (
            missing.join("socket"),
            format!(
                "the directory {} does not exist; create it, or choose another",
                missing.display()
            ),
        ),
        (
            file.clone(),
            format!(
                "{} exists and is not a socket, so it is left alone; remove it, or choose another path",
                file.display()
            ),
        ),
        (
            busy.clone(),
            format!(
                "another program listens on the Unix socket {}; end it, or choose another path",
                busy.display()
            ),
        ),
    ];
    for (path, reason) in rows {
        let started = socket(&node, &destination, path.to_str().unwrap());
        let finished = run(command(&started.seven_words())).await;
        assert_refused(&finished, &started, &reason);
        assert!(node.has_ended(&started));
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
}
