//! Sessions whose client loses one connection after the other, and what a client finds that comes back.

use bytes::Bytes;
use serde_json::json;
use ssm_session_emulator::ChannelClose;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Limits;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::StartedSession;
use ssm_session_proto::MessageType;

use crate::ports::letters;
use crate::ports::noise;
use crate::ports::peer::Peer;
use crate::ports::peer::start;
use crate::ports::server::Server;
use crate::support::Channel;
use crate::support::ask;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

const SSH: &str = "AWS-StartSSHSession";
const FORWARD: &str = "AWS-StartPortForwardingSession";
const COMMAND: &str = "Emulator-SeparateOutput";
/// What goes each way.
const TOTAL: usize = 5_000_000;
/// How often the connection is lost meanwhile, and before the session is established.
const LOSSES: usize = 24;
const EARLY_LOSSES: u32 = 6;

#[test]
fn a_port_session_over_stdio_loses_and_doubles_nothing() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let port = server.port.to_string();
        let session = start(&emulator, SSH, &[("portNumber", &port)]);
        let mut user = User::of(&emulator, &session, 1).await;
        user.exchange(noise(TOTAL)).await;
    });
}

#[test]
fn a_basic_port_session_loses_and_doubles_nothing() {
    run(async {
        let server = Server::echo().await;
        let agent_version = "3.0.196.0".to_owned();
        let emulator = Emulator::start(Plan {
            agent_version,
            ..plan()
        })
        .await
        .unwrap();
        let port = server.port.to_string();
        let session = start(&emulator, FORWARD, &[("portNumber", &port)]);
        let mut user = User::of(&emulator, &session, 2).await;
        user.exchange(noise(TOTAL)).await;
    });
}

#[test]
fn a_multiplexed_port_session_loses_and_doubles_nothing() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let port = server.port.to_string();
        let session = start(&emulator, FORWARD, &[("portNumber", &port)]);
        let mut user = User::of(&emulator, &session, 3).await;
        let data = noise(TOTAL);
        let quarters: Vec<_> = (0..4)
            .map(|n| data.slice(n * TOTAL / 4..(n + 1) * TOTAL / 4))
            .collect();
        let ids: Vec<_> = quarters
            .iter()
            .map(|quarter| user.peer.stream(quarter.clone()))
            .collect();
        user.lose_connections(TOTAL, |peer| {
            ids.iter().map(|id| peer.received(*id).len()).sum()
        })
        .await;
        for (id, quarter) in ids.iter().zip(&quarters) {
            assert!(user.peer.received(*id) == quarter);
            user.peer.finish(*id);
        }
        user.peer
            .until(|peer| ids.iter().all(|id| peer.ended(*id)))
            .await;
        assert!(
            ids.iter()
                .zip(&quarters)
                .all(|(id, quarter)| user.peer.received(*id) == quarter),
            "something came behind the end"
        );
    });
}

#[test]
fn a_shell_loses_and_doubles_nothing() {
    run(async {
        let emulator = emulator().await;
        let session = emulator.start_session(StartSession::default()).unwrap();
        let mut user = User::of(&emulator, &session, 4).await;
        user.make_raw().await;
        user.exchange(letters(TOTAL)).await;
    });
}

#[test]
fn an_encrypted_shell_loses_and_doubles_nothing() {
    run(async {
        let emulator = emulator().await;
        let session = start(&emulator, "Emulator-EncryptedShell", &[]);
        let mut user = User::of(&emulator, &session, 5).await;
        user.make_raw().await;
        user.exchange(letters(TOTAL)).await;
    });
}

#[test]
fn a_command_loses_and_doubles_nothing_and_its_exit_code_comes() {
    run(async {
        let emulator = emulator().await;
        let command = "sh -c 'seq 1 700000; exit 3'";
        let session = start(&emulator, COMMAND, &[("command", command)]);
        let mut user = User::of(&emulator, &session, 6).await;
        let expected: String = (1..=700_000).map(|n| format!("{n}\n")).collect();
        user.lose_connections(expected.len(), |peer| peer.output.len())
            .await;
        assert_eq!(user.peer.words().await, "");
        assert!(user.peer.output == expected.as_bytes());
        assert_eq!(user.peer.exit_code, Some(3));
    });
}

#[test]
fn what_a_lost_client_did_not_acknowledge_comes_first_when_it_is_back() {
    run(async {
        let emulator = emulator().await;
        let command = "printf one; read line; printf two; read line";
        let session = interactive(&emulator, command);
        let mut channel = Channel::open(&session).await;
        let first = channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        assert_eq!(&first.payload[..], b"one");
        emulator.close_channels(ChannelClose::Cut, None).await;
        for _ in 0..3 {
            let mut channel = Channel::open(&resume(&emulator, &session)).await;
            let again = channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
            assert_eq!(again, first);
            emulator.close_channels(ChannelClose::Cut, None).await;
        }
    });
}

#[test]
fn a_resume_ends_the_old_token_at_once_and_the_open_channel_not_at_all() {
    run(async {
        let server = Server::echo().await;
        let emulator = emulator().await;
        let port = server.port.to_string();
        let session = start(&emulator, SSH, &[("portNumber", &port)]);
        let mut peer = Peer::open(&emulator, &session).await;
        peer.until(|peer| peer.established).await;
        let resumed = resume(&emulator, &session);
        let (code, _) = peer.during(refusal(&session)).await;
        assert_eq!(code, 1008);
        assert_eq!(peer.exchange("still here").await, b"still here");
        peer.reopen(&resumed).await;
        assert_eq!(peer.exchange("and here").await, b"and here");
    });
}

#[test]
fn a_client_that_comes_back_to_a_session_that_is_over_gets_no_token_and_no_channel() {
    run(async {
        let emulator = emulator().await;
        for end in [End::Terminated, End::CommandDone] {
            let session = interactive(&emulator, "echo ready; read line");
            let mut peer = Peer::open(&emulator, &session).await;
            peer.until(|peer| peer.output == b"ready\r\n").await;
            match end {
                End::Terminated => {
                    peer.hang_up();
                    emulator.terminate_session(&session.session_id).await;
                }
                End::CommandDone => {
                    peer.write("\r");
                    peer.until(|peer| peer.output.ends_with(b"\n\r\n")).await;
                    peer.hang_up();
                }
            }
            assert_is_over(&emulator, &session, "Terminated").await;
        }
    });
}

#[test]
fn a_client_that_comes_back_after_the_idle_limit_finds_nothing() {
    run(async {
        let limits = Limits {
            idle: Some(std::time::Duration::from_millis(20)),
            ..Limits::default()
        };
        let emulator = Emulator::start(Plan { limits, ..plan() }).await.unwrap();
        let session = interactive(&emulator, "read line");
        drop(Channel::open(&session).await);
        assert_is_over(&emulator, &session, "Terminated").await;
    });
}

#[test]
fn a_command_waits_for_a_client_that_is_away_and_no_output_is_lost() {
    run(async {
        let emulator = emulator().await;
        let command = "sh -c 'seq 1 1000000'";
        let session = start(&emulator, COMMAND, &[("command", command)]);
        let mut peer = Peer::open(&emulator, &session).await;
        peer.until(|peer| !peer.output.is_empty()).await;
        emulator.close_channels(ChannelClose::Cut, None).await;
        // Far longer than the command takes if its output is taken.
        for _ in 0..500 {
            let page = ask(
                &emulator,
                "AmazonSSM.DescribeSessions",
                json!({"State": "Active"}),
            )
            .await;
            assert_eq!(page["Sessions"][0]["Status"], "Disconnected");
        }
        peer.reopen(&resume(&emulator, &session)).await;
        assert_eq!(peer.words().await, "");
        let expected: String = (1..=1_000_000).map(|n| format!("{n}\n")).collect();
        assert!(peer.output == expected.as_bytes());
    });
}

#[test]
fn a_client_that_is_back_before_the_agent_has_given_up_gets_all_that_was_left() {
    run(async {
        let emulator = emulator().await;
        let session = start(
            &emulator,
            COMMAND,
            &[("command", "sh -c 'echo done; exit 4'")],
        );
        let mut peer = Peer::open(&emulator, &session).await;
        peer.until(|peer| peer.established).await;
        peer.reopen(&resume(&emulator, &session)).await;
        assert_eq!(peer.words().await, "");
        assert_eq!(
            (&peer.output[..], peer.exit_code),
            (&b"done\n"[..], Some(4))
        );
    });
}

#[derive(Clone, Copy)]
enum End {
    Terminated,
    CommandDone,
}

/// A client that loses its connection again and again, at moments that follow from a seed.
struct User<'a> {
    emulator: &'a Emulator,
    session: StartedSession,
    peer: Peer,
    state: u64,
}

impl<'a> User<'a> {
    /// Loses some connections before the session is established.
    async fn of(emulator: &'a Emulator, session: &StartedSession, seed: u64) -> Self {
        let mut user = Self {
            emulator,
            session: session.clone(),
            peer: Peer::open(emulator, session).await,
            state: seed,
        };
        for turns in 0..EARLY_LOSSES {
            for _ in 0..turns {
                user.peer.advance();
                tokio::task::yield_now().await;
            }
            user.lose_connection().await;
        }
        user.peer.until(|peer| peer.established).await;
        user
    }

    /// Has `data` come back while connections are lost.
    async fn exchange(&mut self, data: Bytes) {
        self.peer.write(data.clone());
        self.lose_connections(data.len(), |peer| peer.output.len())
            .await;
        assert!(self.peer.output == data);
        self.peer.output.clear();
        // Anything that came twice would come before this.
        assert_eq!(self.peer.exchange("the end").await, b"the end");
    }

    /// Turns a shell into an echo.
    async fn make_raw(&mut self) {
        self.peer.write("stty raw -echo; echo re''ady; exec cat\r");
        let ready = |peer: &Peer| peer.output.windows(6).any(|text| text == b"ready\n");
        self.peer.until(ready).await;
        assert!(self.peer.output.ends_with(b"ready\n"));
        self.peer.output.clear();
    }

    /// Runs until `total` has arrived, and loses connections on the way.
    async fn lose_connections(&mut self, total: usize, arrived: impl Fn(&Peer) -> usize) {
        let mut moments: Vec<_> = (0..LOSSES).map(|_| self.below(total)).collect();
        moments.sort_unstable();
        for moment in moments {
            self.peer.until(|peer| arrived(peer) >= moment).await;
            self.lose_connection().await;
        }
        self.peer.until(|peer| arrived(peer) >= total).await;
    }

    async fn lose_connection(&mut self) {
        let how = match self.below(5) {
            0 => Some(ChannelClose::Bye),
            1 => Some(ChannelClose::Cut),
            2 => Some(ChannelClose::Silence),
            3 => {
                self.peer.hang_up();
                None
            }
            // The new connection is there before the old one is gone.
            _ => None,
        };
        if let Some(how) = how {
            let only = Some(self.session.session_id.as_str());
            self.emulator.close_channels(how, only).await;
        }
        // The service has nobody for a while, or somebody who is not heard.
        for _ in 0..self.below(50) {
            self.peer.advance();
            tokio::task::yield_now().await;
        }
        let resumed = resume(self.emulator, &self.session);
        self.peer.reopen(&resumed).await;
    }

    /// A number below `end`, after splitmix64.
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(end).unwrap()).unwrap()
    }
}

fn interactive(emulator: &Emulator, command: &str) -> StartedSession {
    start(
        emulator,
        "AWS-StartInteractiveCommand",
        &[("command", command)],
    )
}

fn resume(emulator: &Emulator, session: &StartedSession) -> StartedSession {
    emulator
        .resume_session(&session.session_id)
        .unwrap()
        .expect("the session runs")
}

/// The code and text a session's channel is closed with before it is one.
async fn refusal(session: &StartedSession) -> (u16, String) {
    Channel::open(session).await.closed().await
}

/// Waits until a session is over, and looks at it as a client does that comes back.
async fn assert_is_over(emulator: &Emulator, session: &StartedSession, status: &str) {
    let id = &session.session_id;
    let body = json!({"SessionId": id});
    // Every question asks for a new token, while there are any.
    while emulator.resume_session(id).unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    let answer = ask(emulator, "AmazonSSM.ResumeSession", body).await;
    assert_eq!(answer, json!({"SessionId": id}));
    let filter = json!({"State": "History", "Filters": [{"key": "SessionId", "value": id}]});
    let page = ask(emulator, "AmazonSSM.DescribeSessions", filter).await;
    assert_eq!(page["Sessions"][0]["Status"], status);
}
