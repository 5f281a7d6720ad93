//! Sessions of many connections side by side.

use std::sync::Arc;

use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_proto::LocalEnd;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::noise;
use super::pairs;
use super::peer::Peer;
use super::peer::start;
use super::server::Server;
use super::single::status;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

const FORWARD: &str = "AWS-StartPortForwardingSession";
const TO_HOST: &str = "AWS-StartPortForwardingSessionToRemoteHost";

#[test]
fn every_byte_alone_and_in_every_pair_passes_as_it_was() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let mut peer = forward(&emulator, server.port).await;
        let pairs = pairs();
        let id = peer.stream(pairs.clone());
        peer.until(|peer| peer.received(id).len() >= pairs.len())
            .await;
        assert!(peer.received(id) == pairs);
        for byte in 0..=255_u8 {
            peer.streams.get_mut(&id).unwrap().received.clear();
            peer.send(id, vec![byte]);
            peer.until(|peer| !peer.received(id).is_empty()).await;
            assert_eq!(peer.received(id), [byte]);
        }
    });
}

#[test]
fn five_hundred_connections_at_once_keep_their_bytes_apart() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let mut peer = forward(&emulator, server.port).await;
        let data = |number: usize| noise(3000 + number).slice(number..);
        let ids: Vec<_> = (0..500).map(|number| peer.stream(data(number))).collect();
        peer.until(|peer| ids.iter().all(|id| peer.received(*id).len() >= 3000))
            .await;
        for (number, id) in ids.iter().enumerate() {
            assert!(peer.received(*id) == data(number), "{number}");
            peer.finish(*id);
        }
        peer.until(|peer| ids.iter().all(|id| peer.ended(*id)))
            .await;
        assert_eq!(peer.session.streams().unwrap().open_streams(), 0);
    });
}

#[test]
fn a_bulk_transfer_is_whole_in_both_directions() {
    run(async {
        let server = Server::echo().await;
        for agent_payload in [64, 1024, 16 * 1024] {
            let emulator = Emulator::start(Plan {
                agent_payload,
                ..plan()
            })
            .await
            .unwrap();
            let mut peer = forward(&emulator, server.port).await;
            let data = noise(1_000_000);
            let id = peer.stream(data.clone());
            peer.until(|peer| peer.received(id).len() >= data.len())
                .await;
            assert!(peer.received(id) == data, "{agent_payload}");
        }
    });
}

#[test]
fn a_refused_connection_is_told_and_ends_its_stream_alone() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let emulator = emulator().await;
        let mut peer = forward(&emulator, port).await;
        let good = peer.stream("");
        let (mut connection, _) = peer.during(listener.accept()).await.unwrap();
        drop(listener);
        let refused = [peer.stream("lost"), peer.stream("lost")];
        peer.until(|peer| refused.iter().all(|id| peer.ended(*id)))
            .await;
        assert_eq!(peer.refusals, 2);
        connection.write_all(b"still here").await.unwrap();
        peer.until(|peer| peer.received(good).len() >= 10).await;
        assert_eq!(peer.received(good), b"still here");
        assert!(!peer.ended(good));
    });
}

#[test]
fn the_end_of_a_servers_stream_comes_behind_its_last_byte() {
    run(async {
        let data = noise(300_000);
        let server = Server::sender(data.clone()).await;
        let emulator = emulator().await;
        let mut peer = forward(&emulator, server.port).await;
        let ids = [peer.stream(""), peer.stream(""), peer.stream("")];
        peer.until(|peer| ids.iter().all(|id| peer.ended(*id)))
            .await;
        for id in ids {
            assert!(peer.received(id) == data);
        }
    });
}

#[test]
fn the_clients_end_of_a_stream_ends_both_directions_behind_what_it_wrote() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let emulator = emulator().await;
        let mut peer = forward(&emulator, port).await;
        let data = noise(300_000);
        let id = peer.stream(data.clone());
        peer.finish(id);
        let (mut connection, _) = peer.during(listener.accept()).await.unwrap();
        let mut seen = Vec::new();
        peer.during(connection.read_to_end(&mut seen))
            .await
            .unwrap();
        assert!(seen == data);
        // The real agent has closed the connection by now, and the answer has nowhere to go.
        connection.write_all(b"answer").await.ok();
        peer.until(|peer| peer.ended(id)).await;
        assert_eq!(peer.received(id), b"");
    });
}

#[test]
fn a_server_that_does_not_read_stops_the_session_and_gets_every_byte_when_it_does() {
    run(async {
        let read = Arc::new(Notify::new());
        let may_read = Arc::clone(&read);
        let (told, mut counted) = tokio::sync::mpsc::unbounded_channel();
        let server = Server::start(move |mut stream, number| {
            let (may_read, told) = (Arc::clone(&may_read), told.clone());
            async move {
                if number == 0 {
                    may_read.notified().await;
                }
                let mut seen = Vec::new();
                stream.read_to_end(&mut seen).await.unwrap();
                told.send((number, seen)).unwrap();
            }
        })
        .await;
        let emulator = emulator().await;
        let mut peer = forward(&emulator, server.port).await;
        // More than sockets, agent and window can hold.
        let data = noise(32 << 20);
        let stalled = peer.stream(data.clone());
        peer.finish(stalled);
        peer.until(|peer| peer.silences >= 3).await;
        assert!(peer.unwritten(stalled) > data.len() / 4);
        // It stops every other connection too, as at the real agent.
        let other = peer.stream("meanwhile");
        peer.finish(other);
        peer.until(|peer| peer.silences >= 6).await;
        assert!(counted.try_recv().is_err());
        read.notify_one();
        let mut seen = [
            peer.during(counted.recv()).await,
            peer.during(counted.recv()).await,
        ];
        seen.sort_by_key(|seen| seen.as_ref().map(|(number, _)| *number));
        assert!(seen[0] == Some((0, data.to_vec())));
        assert!(seen[1] == Some((1, b"meanwhile".to_vec())));
    });
}

#[test]
fn a_session_whose_server_never_reads_ends_at_once() {
    run(async {
        let server = Server::start(|stream, _| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        let emulator = emulator().await;
        let mut peer = forward(&emulator, server.port).await;
        peer.stream(noise(32 << 20));
        peer.until(|peer| peer.silences >= 3).await;
        emulator.terminate_session(&peer.id).await;
        assert_eq!(peer.words().await, "");
        assert_eq!(status(&emulator).await, "Terminated");
    });
}

#[test]
fn the_flag_ends_a_session_with_connections_open() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let mut peer = forward(&emulator, server.port).await;
        let id = peer.stream("ping");
        peer.until(|peer| peer.received(id) == b"ping").await;
        peer.session.terminate(std::time::Instant::now());
        assert_eq!(peer.words().await, "");
        assert_eq!(status(&emulator).await, "Terminated");
    });
}

#[test]
fn a_forbidden_or_unknown_host_fails_the_session_with_the_agents_words() {
    run(async {
        let emulator = emulator().await;
        for (host, words) in [
            (
                "169.254.169.254",
                "Forwarding to IP address 169.254.169.254 is forbidden.",
            ),
            ("nowhere.invalid", "lookup nowhere.invalid: no such host"),
        ] {
            let mut peer = Peer::start(&emulator, TO_HOST, &[("host", host)]).await;
            assert_eq!(peer.words().await, words);
            assert_eq!(status(&emulator).await, "Failed");
        }
    });
}

#[test]
fn a_host_is_reached_by_name_and_by_address() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let port = server.port.to_string();
        for host in ["localhost", "127.0.0.1"] {
            let parameters = [("portNumber", port.as_str()), ("host", host)];
            let mut peer = Peer::start(&emulator, TO_HOST, &parameters).await;
            let id = peer.stream("ping");
            peer.until(|peer| peer.received(id) == b"ping").await;
        }
    });
}

#[test]
fn a_session_to_a_local_socket_says_so_and_forwards_like_any_other() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let document = "AWS-StartPortForwardingSessionToSocket";
        let port = server.port.to_string();
        let parameters = [
            ("portNumber", port.as_str()),
            ("localUnixSocket", "/run/db.sock"),
        ];
        let mut peer = Peer::open(&emulator, &start(&emulator, document, &parameters)).await;
        peer.until(|peer| peer.established).await;
        assert_eq!(
            peer.local_end(),
            Some(LocalEnd::UnixSocket("/run/db.sock".to_owned()))
        );
        let id = peer.stream("ping");
        peer.until(|peer| peer.received(id) == b"ping").await;
    });
}

#[test]
fn the_agents_pace_changes_nothing_but_the_pace() {
    run(async {
        let server = Server::echo().await;
        let emulator = Emulator::start(Plan {
            pacing: Pacing::Agent,
            ..plan()
        })
        .await
        .unwrap();
        let mut peer = forward(&emulator, server.port).await;
        let data = noise(50_000);
        let id = peer.stream(data.clone());
        peer.until(|peer| peer.received(id).len() >= data.len())
            .await;
        assert!(peer.received(id) == data);
    });
}

async fn forward(emulator: &Emulator, port: u16) -> Peer {
    Peer::start(emulator, FORWARD, &[("portNumber", &port.to_string())]).await
}
