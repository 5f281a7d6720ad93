//! Forwards through the emulator, to servers on this machine.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use ssm_session::Listener;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session::SessionStart;
use ssm_session::StreamPolicy;
use ssm_session::StreamUrl;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Faults;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use crate::support::end;
use crate::support::pattern;
use crate::support::within_reason;

fn fast() -> Plan {
    Plan {
        pacing: Pacing::None,
        ..Plan::default()
    }
}

/// A forward to `port`, established.
async fn forward(emulator: &Emulator, port: u16) -> Session {
    let started = emulator
        .start_session(StartSession {
            document_name: Some("AWS-StartPortForwardingSession".to_owned()),
            parameters: [("portNumber".to_owned(), vec![port.to_string()])].into(),
            ..StartSession::default()
        })
        .unwrap();
    let start = SessionStart {
        session_id: started.session_id,
        stream_url: StreamUrl::parse(&started.stream_url, &StreamPolicy::default()).unwrap(),
        token: started.token,
    };
    ssm_session::connect(start, Options::default())
        .await
        .unwrap()
}

/// A server on this machine that answers each question with as many bytes, in their complement.
async fn answering_server() -> u16 {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = server.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = server.accept().await {
            tokio::spawn(answer(connection));
        }
    });
    port
}

/// A question is its length and then so many bytes.
async fn answer(mut connection: TcpStream) {
    while let Ok(length) = connection.read_u32().await {
        let mut data = vec![0; usize::try_from(length).unwrap()];
        if connection.read_exact(&mut data).await.is_err() {
            return;
        }
        for byte in &mut data {
            *byte = !*byte;
        }
        connection.write_all(&data).await.unwrap();
    }
}

async fn ask<S>(program: &mut S, data: &[u8])
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let asking = async {
        let length = u32::try_from(data.len()).unwrap();
        program.write_u32(length).await.unwrap();
        program.write_all(data).await.unwrap();
        let mut answer = vec![0; data.len()];
        program.read_exact(&mut answer).await.unwrap();
        answer
    };
    let answer = within_reason(asking).await;
    let expected: Vec<u8> = data.iter().map(|byte| !byte).collect();
    assert!(answer == expected);
}

/// Takes connections for the session for as long as the task lives.
fn serve(mut listener: Listener, session: &Session) -> tokio::task::JoinHandle<()> {
    let control = session.control();
    tokio::spawn(async move {
        while let Ok(connection) = listener.accept().await {
            if control.forward(connection).await.is_err() {
                return;
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_programs_ask_their_server_at_once() {
    let emulator = Emulator::start(fast()).await.unwrap();
    let session = forward(&emulator, answering_server().await).await;
    let listener = Listener::bind_port(0).unwrap();
    let port = listener.port().unwrap();
    let _serving = serve(listener, &session);
    let programs = (0..200).map(|number: usize| {
        tokio::spawn(async move {
            let mut program = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .unwrap();
            for round in 0..3 {
                ask(&mut program, &pattern(100 * number + round)).await;
            }
        })
    });
    for program in programs.collect::<Vec<_>>() {
        within_reason(program).await.unwrap();
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_unix_socket_leads_to_the_server_too() {
    let emulator = Emulator::start(fast()).await.unwrap();
    let session = forward(&emulator, answering_server().await).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("forward.sock");
    let _serving = serve(Listener::bind_unix(&path).unwrap(), &session);
    let mut program = UnixStream::connect(&path).await.unwrap();
    ask(&mut program, &pattern(1_000_000)).await;
    emulator.shutdown().await;
}

#[tokio::test]
async fn an_old_agent_serves_one_program_after_the_other() {
    let plan = Plan {
        agent_version: "3.0.196.0".to_owned(),
        ..fast()
    };
    let emulator = Emulator::start(plan).await.unwrap();
    let session = forward(&emulator, answering_server().await).await;
    let listener = Listener::bind_port(0).unwrap();
    let port = listener.port().unwrap();
    let _serving = serve(listener, &session);
    for round in 0..3 {
        let mut program = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        ask(&mut program, &pattern(100_000 + round)).await;
        ask(&mut program, b"\n").await;
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_refused_and_one_that_ends_is_over() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = server.local_addr().unwrap().port();
    let emulator = Emulator::start(fast()).await.unwrap();
    let mut session = forward(&emulator, port).await;
    let listener = Listener::bind_port(0).unwrap();
    let local = listener.port().unwrap();
    let _serving = serve(listener, &session);

    let mut program = TcpStream::connect((Ipv4Addr::LOCALHOST, local))
        .await
        .unwrap();
    let (mut connection, _) = within_reason(server.accept()).await.unwrap();
    connection.write_all(b"goodbye").await.unwrap();
    drop((connection, server));
    let mut said = String::new();
    within_reason(program.read_to_string(&mut said))
        .await
        .unwrap();
    assert_eq!(said, "goodbye");

    let mut refused = TcpStream::connect((Ipv4Addr::LOCALHOST, local))
        .await
        .unwrap();
    let error = within_reason(refused.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    loop {
        match within_reason(session.next_event()).await.unwrap() {
            SessionEvent::ConnectionRefused => break,
            SessionEvent::Closed(close) => panic!("{close:?}"),
            _ => {}
        }
    }
    session.terminate();
    assert!(end(&mut session).await.channel_closed);
    emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loss_duplication_and_disorder_change_no_byte() {
    let faults = Faults {
        delay: Duration::from_millis(5),
        loss: 0.01,
        duplicate: 0.01,
        reorder: 0.01,
        ..Faults::default()
    };
    let emulator = Emulator::start(Plan { faults, ..fast() }).await.unwrap();
    let session = forward(&emulator, answering_server().await).await;
    let listener = Listener::bind_port(0).unwrap();
    let port = listener.port().unwrap();
    let _serving = serve(listener, &session);
    let programs = (0..8).map(|number| {
        tokio::spawn(async move {
            let mut program = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .unwrap();
            ask(&mut program, &pattern(100_000 + number)).await;
        })
    });
    for program in programs.collect::<Vec<_>>() {
        within_reason(program).await.unwrap();
    }
    emulator.shutdown().await;
}
