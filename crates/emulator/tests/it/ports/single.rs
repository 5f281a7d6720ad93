//! Sessions of one connection, as for ssh, and of one after the other.

use bytes::Bytes;
use serde_json::json;
use ssm_session_emulator::Document;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use super::noise;
use super::pairs;
use super::peer::Peer;
use super::server::Server;
use crate::support::ask;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

const SSH: &str = "AWS-StartSSHSession";
const FORWARD: &str = "AWS-StartPortForwardingSession";

#[test]
fn every_byte_alone_and_in_every_pair_passes_as_it_was() {
    run(async {
        let server = Server::echo().await;
        let (modern, old) = (emulator().await, old_emulator().await);
        for (emulator, document) in [(&modern, SSH), (&old, FORWARD)] {
            let mut peer = ssh_like(emulator, document, server.port).await;
            for byte in 0..=255_u8 {
                assert_eq!(peer.exchange(vec![byte]).await, [byte], "{document}");
            }
            assert!(peer.exchange(pairs()).await == pairs(), "{document}");
        }
    });
}

#[test]
fn a_million_bytes_come_back_whole_whatever_the_size_of_the_agents_messages() {
    run(async {
        let server = Server::echo().await;
        for agent_payload in [64, 1024, 16 * 1024] {
            let emulator = Emulator::start(Plan {
                agent_payload,
                ..plan()
            })
            .await
            .unwrap();
            let mut peer = ssh_like(&emulator, SSH, server.port).await;
            let data = noise(1_000_000);
            assert!(peer.exchange(data.clone()).await == data, "{agent_payload}");
        }
    });
}

#[test]
fn a_session_whose_port_refuses_fails_with_the_agents_words() {
    run(async {
        let port = Server::nowhere().await;
        let (modern, old) = (emulator().await, old_emulator().await);
        for (emulator, document) in [(&modern, SSH), (&old, FORWARD)] {
            let mut peer = ssh_like(emulator, document, port).await;
            assert_eq!(
                peer.words().await,
                format!(
                    "Unable to connect to specified port: dial tcp 127.0.0.1:{port}: connect: connection refused"
                )
            );
            assert_eq!(status(emulator).await, "Failed");
        }
    });
}

#[test]
fn a_document_without_a_port_fails_with_the_agents_words() {
    run(async {
        let text = r#"{"schemaVersion":"1.0","sessionType":"Port","properties":{"type":"LocalPortForwarding"}}"#;
        let documents = vec![Document::parse("Portless", text).unwrap()];
        let emulator = Emulator::start(Plan {
            documents,
            ..plan()
        })
        .await
        .unwrap();
        let mut peer = Peer::start(&emulator, "Portless", &[]).await;
        assert_eq!(
            peer.words().await,
            "Port number is empty in session properties. map[type:LocalPortForwarding]"
        );
    });
}

#[test]
fn the_end_of_the_servers_stream_ends_an_ssh_session_behind_its_last_byte() {
    run(async {
        let data = noise(200_000);
        let server = Server::sender(data.clone()).await;
        let emulator = emulator().await;
        let mut peer = ssh_like(&emulator, SSH, server.port).await;
        assert_eq!(peer.words().await, "");
        assert!(peer.output == data);
        assert_eq!(status(&emulator).await, "Terminated");
    });
}

#[test]
fn a_server_that_resets_the_connection_fails_an_ssh_session() {
    run(async {
        let server = Server::start(|mut stream, _| async move {
            stream.read_u8().await.unwrap();
            stream.set_zero_linger().unwrap();
        })
        .await;
        let emulator = emulator().await;
        let mut peer = ssh_like(&emulator, SSH, server.port).await;
        peer.write("x");
        assert_eq!(peer.words().await, "");
        assert_eq!(status(&emulator).await, "Failed");
    });
}

#[test]
fn the_flag_ends_a_session_behind_what_was_written() {
    run(async {
        let (told, written) = tokio::sync::mpsc::unbounded_channel();
        let server = Server::start(move |mut stream, _| {
            let told = told.clone();
            async move {
                let mut data = Vec::new();
                stream.read_to_end(&mut data).await.unwrap();
                told.send(data.len()).unwrap();
            }
        })
        .await;
        let mut written = written;
        let (modern, old) = (emulator().await, old_emulator().await);
        for (emulator, document) in [(&modern, SSH), (&old, FORWARD)] {
            let mut peer = ssh_like(emulator, document, server.port).await;
            peer.write(noise(50_000));
            peer.until(|_| true).await;
            peer.session.terminate(std::time::Instant::now());
            assert_eq!(peer.words().await, "");
            assert_eq!(status(emulator).await, "Terminated");
            assert_eq!(written.recv().await, Some(50_000));
        }
    });
}

#[test]
fn a_server_that_never_reads_holds_the_client_back_and_the_session_still_ends_at_once() {
    run(async {
        let server = Server::start(|stream, _| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        let emulator = emulator().await;
        let mut peer = ssh_like(&emulator, SSH, server.port).await;
        // More than sockets, agent and window can hold.
        peer.write(noise(32 << 20));
        peer.until(|peer| peer.silences >= 3).await;
        emulator.terminate_session(&peer.id).await;
        assert_eq!(peer.words().await, "");
    });
}

#[test]
fn connections_of_an_old_agent_come_one_after_the_other() {
    run(async {
        let server = Server::start(|mut stream, number| async move {
            stream
                .write_all(format!("hello {number} ").as_bytes())
                .await
                .unwrap();
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.ok();
        })
        .await;
        let emulator = old_emulator().await;
        let mut peer = ssh_like(&emulator, FORWARD, server.port).await;
        for number in 0..3 {
            // The first connection is there before anything is written, the others are made for what is.
            peer.write(format!("data {number}"));
            let expected = format!("hello {number} data {number}");
            peer.until(|peer| peer.output.len() >= expected.len()).await;
            assert_eq!(std::mem::take(&mut peer.output), expected.as_bytes());
            peer.session.disconnect_port(std::time::Instant::now());
            peer.until(|peer| peer.disconnections == number + 1).await;
        }
    });
}

#[test]
fn an_old_agent_connects_again_for_what_is_written_after_the_server_has_closed() {
    run(async {
        let server = Server::start(|mut stream, number| async move {
            let mut data = [0; 4];
            stream.read_exact(&mut data).await.unwrap();
            stream.write_all(&data).await.unwrap();
            stream
                .write_all(number.to_string().as_bytes())
                .await
                .unwrap();
        })
        .await;
        let emulator = old_emulator().await;
        let mut peer = ssh_like(&emulator, FORWARD, server.port).await;
        for number in 0..3 {
            peer.write("ping");
            peer.until(|peer| peer.output.len() >= 5).await;
            let expected = format!("ping{number}");
            assert_eq!(std::mem::take(&mut peer.output), expected.as_bytes());
        }
    });
}

#[test]
fn an_old_agent_that_cannot_connect_again_ends_the_session_without_a_word() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let emulator = old_emulator().await;
        let mut peer = ssh_like(&emulator, FORWARD, port).await;
        let (mut connection, _) = listener.accept().await.unwrap();
        drop(listener);
        peer.write("x");
        assert_eq!(peer.during(connection.read_u8()).await.unwrap(), b'x');
        peer.session.disconnect_port(std::time::Instant::now());
        peer.until(|peer| peer.disconnections == 1).await;
        peer.write("y");
        assert_eq!(peer.words().await, "");
        assert_eq!(status(&emulator).await, "Failed");
    });
}

#[test]
fn a_session_to_a_host_reaches_it_by_name_and_by_address() {
    run(async {
        let server = Server::echo().await;
        let emulator = old_emulator().await;
        let document = "AWS-StartPortForwardingSessionToRemoteHost";
        let port = server.port.to_string();
        for host in ["localhost", "127.0.0.1"] {
            let parameters = [("portNumber", port.as_str()), ("host", host)];
            let mut peer = Peer::start(&emulator, document, &parameters).await;
            assert_eq!(peer.exchange("ping").await, b"ping", "{host}");
        }
    });
}

#[test]
fn input_is_not_lost_that_comes_before_the_connection() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let port = server.port.to_string();
        let session = super::peer::start(&emulator, SSH, &[("portNumber", &port)]);
        let mut peer = Peer::open(&emulator, &session).await;
        // The client holds it back until the handshake is over, and not a moment longer.
        peer.write(Bytes::from_static(b"early"));
        peer.until(|peer| peer.output.len() >= 5).await;
        assert_eq!(peer.output, b"early");
    });
}

async fn ssh_like(emulator: &Emulator, document: &str, port: u16) -> Peer {
    Peer::start(emulator, document, &[("portNumber", &port.to_string())]).await
}

/// With an agent that knows no smux.
async fn old_emulator() -> Emulator {
    let agent_version = "3.0.196.0".to_owned();
    Emulator::start(Plan {
        agent_version,
        ..plan()
    })
    .await
    .unwrap()
}

/// How the newest session that is over has ended.
pub(super) async fn status(emulator: &Emulator) -> String {
    let sessions = ask(
        emulator,
        "AmazonSSM.DescribeSessions",
        json!({"State": "History"}),
    )
    .await;
    sessions["Sessions"][0]["Status"]
        .as_str()
        .unwrap()
        .to_owned()
}
