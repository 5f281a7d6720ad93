//! What goes wrong between client and agent when it is asked for.

use std::time::Duration;

use ssm_session_emulator::Emulator;
use ssm_session_emulator::Faults;
use ssm_session_emulator::Plan;
use ssm_session_proto::MessageType;
use tokio_websockets::Message;

use super::noise;
use super::peer::Peer;
use super::peer::start;
use super::server::Server;
use crate::support::Channel;
use crate::support::plan;
use crate::support::run;

const SSH: &str = "AWS-StartSSHSession";
const FORWARD: &str = "AWS-StartPortForwardingSession";

#[test]
fn every_byte_arrives_through_every_fault_and_all_of_them_at_once() {
    run(async {
        let server = Server::echo().await;
        let all = Faults {
            delay: Duration::from_millis(5),
            loss: 0.02,
            duplicate: 0.02,
            reorder: 0.02,
            seed: 1,
            ..Faults::default()
        };
        for faults in [
            Faults {
                delay: Duration::from_millis(5),
                ..Faults::default()
            },
            Faults {
                rate: Some(2_000_000),
                ..Faults::default()
            },
            Faults {
                loss: 0.05,
                ..Faults::default()
            },
            Faults {
                duplicate: 0.5,
                ..Faults::default()
            },
            Faults {
                reorder: 0.5,
                ..Faults::default()
            },
            all,
        ] {
            let emulator = faulty(faults.clone()).await;
            let mut peer = forward(&emulator, server.port).await;
            let data = noise(150_000);
            let id = peer.stream(data.clone());
            peer.until(|peer| peer.received(id).len() >= data.len())
                .await;
            assert!(peer.received(id) == data, "{faults:?}");
        }
    });
}

#[test]
fn a_message_that_is_lost_is_lost_and_the_services_own_words_never_are() {
    run(async {
        let emulator = faulty(Faults {
            loss: 1.0,
            ..Faults::default()
        })
        .await;
        let session = start(&emulator, SSH, &[]);
        // The opening text arrives, or nobody would be told that publication starts.
        let mut channel = Channel::open(&session).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        emulator.terminate_session(&session.session_id).await;
        loop {
            let message = channel.next().await;
            match message.message_type {
                MessageType::CHANNEL_CLOSED => break,
                other => assert_ne!(other, MessageType::OUTPUT_STREAM_DATA),
            }
        }
    });
}

#[test]
fn a_payload_above_the_cap_closes_the_channel_and_the_session_can_be_resumed() {
    run(async {
        let server = Server::echo().await;
        let emulator = faulty(Faults {
            payload_cap: Some(1024),
            ..Faults::default()
        })
        .await;
        let port = server.port.to_string();
        let mut peer = Peer::start(&emulator, SSH, &[("portNumber", &port)]).await;
        assert_eq!(peer.exchange(noise(1024)).await, noise(1024));
        peer.send_raw(oversized());
        assert_eq!(peer.until_socket_closes().await, Some(1009));
        let resumed = emulator.resume_session(&peer.id).unwrap().unwrap();
        peer.reopen(&resumed).await;
        assert_eq!(peer.exchange(noise(1024)).await, noise(1024));
    });
}

#[test]
fn a_rate_holds_both_ends_back_and_loses_nothing() {
    run(async {
        let server = Server::echo().await;
        let emulator = faulty(Faults {
            rate: Some(1_000_000),
            ..Faults::default()
        })
        .await;
        let mut peer = forward(&emulator, server.port).await;
        let bulk = peer.stream(noise(500_000));
        peer.until(|peer| !peer.received(bulk).is_empty()).await;
        let key = peer.stream("k");
        peer.until(|peer| peer.received(key) == b"k").await;
        peer.until(|peer| peer.received(bulk).len() >= 500_000)
            .await;
        assert!(peer.received(bulk) == noise(500_000));
    });
}

#[test]
fn a_plan_with_faults_that_make_no_sense_is_refused() {
    run(async {
        for (faults, text) in [
            (
                Faults {
                    loss: 2.0,
                    ..Faults::default()
                },
                "`loss` among the faults is 2; it must be from 0 to 1",
            ),
            (
                Faults {
                    rate: Some(0),
                    ..Faults::default()
                },
                "a rate of 0 bytes",
            ),
        ] {
            let error = Emulator::start(Plan { faults, ..plan() }).await;
            let error = error.unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let agent_payload = 63;
        let error = Emulator::start(Plan {
            agent_payload,
            ..plan()
        })
        .await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("from 64 to 4194184"), "{error}");
    });
}

async fn faulty(faults: Faults) -> Emulator {
    Emulator::start(Plan { faults, ..plan() }).await.unwrap()
}

async fn forward(emulator: &Emulator, port: u16) -> Peer {
    Peer::start(emulator, FORWARD, &[("portNumber", &port.to_string())]).await
}

/// A message with one byte too many for a cap of 1024.
fn oversized() -> Message {
    Message::binary(super::old_clients::input(900, vec![0; 1025]))
}
