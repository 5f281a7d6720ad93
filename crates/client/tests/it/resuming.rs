//! Sessions through the emulator whose connections break again and again.

mod relay;

use std::net::Ipv4Addr;

use ssm_session::Close;
use ssm_session::LocalConnection;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session::StartRequest;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::Target;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use self::relay::Relay;
use crate::support::end;
use crate::support::pattern;
use crate::support::within_reason;

/// How often a connection breaks in each test.
const BREAKS: usize = 20;

/// Numbers that follow no pattern, each up to `most` and none too small to get anything done.
fn breaks(least: usize, most: usize) -> Vec<usize> {
    let mut state = 0x2545_f491_usize;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        least + (state >> 33) % (most - least)
    };
    (0..BREAKS).map(|_| next()).collect()
}

async fn emulator() -> Emulator {
    let plan = Plan {
        pacing: Pacing::None,
        ..Plan::default()
    };
    Emulator::start(plan).await.unwrap()
}

async fn session(
    emulator: &Emulator,
    relay: &Relay,
    document: &str,
    parameters: &[(&str, String)],
) -> Session {
    let parameters = parameters.iter();
    let request = StartRequest {
        target: Target::default().id().to_owned(),
        document_name: Some(document.to_owned()),
        parameters: parameters
            .map(|(name, value)| ((*name).to_owned(), vec![value.clone()]))
            .collect(),
        reason: None,
    };
    let options = Options {
        control_plane: Some(relay.api(emulator)),
        ..Options::default()
    };
    ssm_session::start(request, options).await.unwrap()
}

/// A server that sends back what it gets.
async fn echo_server() -> String {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = server.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = server.accept().await {
            let (mut reader, mut writer) = connection.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut reader, &mut writer).await });
        }
    });
    port.to_string()
}

/// Output until `bytes` have come, and how often the connection was lost and found again.
async fn output(session: &mut Session, bytes: usize) -> (Vec<u8>, usize, usize) {
    let (mut output, mut lost, mut found) = (Vec::new(), 0, 0);
    while output.len() < bytes {
        match within_reason(session.next_event()).await.unwrap() {
            SessionEvent::Output { data, .. } => output.extend(data),
            SessionEvent::Disconnected { .. } => {
                assert_eq!(lost, found);
                lost += 1;
            }
            SessionEvent::Reconnected => {
                found += 1;
                assert_eq!(lost, found);
            }
            SessionEvent::Closed(close) => panic!("{} bytes, then {close:?}", output.len()),
            _ => {}
        }
    }
    (output, lost, found)
}

async fn ended(mut session: Session, emulator: Emulator) -> Close {
    session.terminate();
    let close = end(&mut session).await;
    emulator.shutdown().await;
    close
}

#[tokio::test]
async fn bytes_both_ways_arrive_whole_in_order_and_once_while_connections_break() {
    let emulator = emulator().await;
    let relay = Relay::before(&emulator, breaks(20_000, 400_000)).await;
    let port = [("portNumber", echo_server().await)];
    let mut session = session(&emulator, &relay, "AWS-StartSSHSession", &port).await;
    let sent = pattern(8 * 1024 * 1024);
    let (control, writing) = (session.control(), sent.clone());
    let writer = tokio::spawn(async move { control.write(&writing).await });
    let (echoed, lost, found) = output(&mut session, sent.len()).await;
    assert!(
        echoed == sent,
        "something was lost, doubled or out of order"
    );
    writer.await.unwrap().unwrap();
    assert_eq!(relay.connections(), BREAKS + 1);
    assert_eq!((lost, found), (BREAKS, BREAKS));
    let close = ended(session, emulator).await;
    assert!(!close.is_failure() && !close.may_live_on(), "{close:?}");
}

#[tokio::test]
async fn the_connections_of_a_forward_outlive_the_one_that_carries_them() {
    let emulator = emulator().await;
    let relay = Relay::before(&emulator, breaks(20_000, 400_000)).await;
    let port = [("portNumber", echo_server().await)];
    let document = "AWS-StartPortForwardingSession";
    let mut session = session(&emulator, &relay, document, &port).await;
    let mut programs = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (program, ours) = tokio::io::duplex(64 * 1024);
        let control = session.control();
        programs.spawn(async move {
            control.forward(LocalConnection::new(ours)).await.unwrap();
            let sent = pattern(1024 * 1024 + number).split_off(number);
            let (mut reader, mut writer) = tokio::io::split(program);
            let writing = async {
                writer.write_all(&sent).await.unwrap();
                writer
            };
            let mut echoed = vec![0; sent.len()];
            let (_writer, read) = tokio::join!(writing, reader.read_exact(&mut echoed));
            read.unwrap();
            assert!(echoed == sent, "connection {number} was damaged");
        });
    }
    let events = async { while session.next_event().await.is_some() {} };
    tokio::select! {
        () = events => panic!("the session ended"),
        () = within_reason(async { while let Some(done) = programs.join_next().await { done.unwrap() } }) => {}
    }
    assert_eq!(relay.connections(), BREAKS + 1);
    let close = ended(session, emulator).await;
    assert!(!close.is_failure() && !close.may_live_on(), "{close:?}");
}

#[tokio::test]
async fn every_line_typed_into_a_shell_arrives_once_while_connections_break() {
    let emulator = emulator().await;
    let relay = Relay::before(&emulator, breaks(1_500, 8_000)).await;
    let document = "AWS-StartInteractiveCommand";
    let command = [("command", "stty -echo; echo ready; cat".to_owned())];
    let mut session = session(&emulator, &relay, document, &command).await;
    output(&mut session, "ready\r\n".len()).await;
    let mut line = 0;
    while relay.connections() <= BREAKS {
        let (text, expected) = (format!("line {line}\r"), format!("line {line}\r\n"));
        session.write(text.as_bytes()).await.unwrap();
        let (echoed, ..) = output(&mut session, expected.len()).await;
        assert_eq!(String::from_utf8(echoed).unwrap(), expected);
        line += 1;
    }
    let close = ended(session, emulator).await;
    assert!(close.terminated && !close.is_failure(), "{close:?}");
}
