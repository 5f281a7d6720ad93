//! Whole sessions: our own client, the emulator, real shells.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use serde_json::json;
use ssm_session::Close;
use ssm_session::EndedBy;
use ssm_session::Options;
use ssm_session::Session;
use ssm_session::SessionEvent;
use ssm_session::SessionStart;
use ssm_session::StreamPolicy;
use ssm_session::StreamUrl;
use ssm_session_emulator::ChallengeMode;
use ssm_session_emulator::ChannelClose;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Pacing;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::StartedSession;
use ssm_session_proto::MessageType;
use ssm_session_proto::OutputStream;

use crate::ports::letters;
use crate::support::Channel;
use crate::support::ask;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

#[test]
fn a_shell_runs_what_is_typed_and_ends_with_it() {
    run(async {
        let emulator = emulator().await;
        let mut session = attach(&emulator, &shell(&emulator)).await;
        session.write(b"printf 'a%sb\\n' -; exit\r").await.unwrap();
        let transcript = Transcript::of(&mut session).await;
        assert!(transcript.stdout().contains("a-b\r\n"), "{transcript:?}");
        assert_eq!(transcript.close.by, EndedBy::Service);
        assert_eq!(
            (
                transcript.close.exit_code,
                transcript.close.message.as_str()
            ),
            (None, "")
        );
    });
}

#[test]
fn the_agents_pace_changes_nothing_but_the_pace() {
    run(async {
        let pacing = Pacing::Agent;
        let emulator = Emulator::start(Plan { pacing, ..plan() }).await.unwrap();
        let mut session = attach(
            &emulator,
            &command(&emulator, "AWS-StartInteractiveCommand", "seq 1 400"),
        )
        .await;
        let expected: String = (1..=400).map(|n| format!("{n}\r\n")).collect();
        assert_eq!(Transcript::of(&mut session).await.stdout(), expected);
    });
}

#[test]
fn an_interactive_command_has_a_terminal() {
    run(async {
        let emulator = emulator().await;
        let started = command(
            &emulator,
            "AWS-StartInteractiveCommand",
            "test -t 0 && echo go && read -r word && echo \"got $word\"",
        );
        let mut session = attach(&emulator, &started).await;
        session.write(b"something\r").await.unwrap();
        let transcript = Transcript::of(&mut session).await;
        assert!(
            transcript.stdout().ends_with("got something\r\n"),
            "{transcript:?}"
        );
    });
}

#[test]
fn a_non_interactive_command_mixes_its_streams_and_has_no_exit_code() {
    run(async {
        let emulator = emulator().await;
        let started = command(
            &emulator,
            "AWS-StartNonInteractiveCommand",
            "sh -c 'echo out; echo err >&2; exit 3'",
        );
        let transcript = Transcript::of(&mut attach(&emulator, &started).await).await;
        assert_eq!(transcript.stdout(), "out\nerr\n");
        assert_eq!(transcript.close.exit_code, None);
    });
}

#[test]
fn separate_streams_stay_apart_and_bring_the_exit_code() {
    run(async {
        let emulator = emulator().await;
        let started = command(
            &emulator,
            "Emulator-SeparateOutput",
            "sh -c 'echo out; echo err >&2; exit 3'",
        );
        let transcript = Transcript::of(&mut attach(&emulator, &started).await).await;
        assert_eq!(
            (transcript.stdout().as_str(), transcript.stderr().as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(transcript.close.exit_code, Some(3));
    });
}

#[test]
fn prefixes_mark_the_streams() {
    run(async {
        let emulator = emulator().await;
        let started = emulator
            .start_session(StartSession {
                document_name: Some("Emulator-SeparateOutputPrefixed".to_owned()),
                parameters: BTreeMap::from([
                    (
                        "command".to_owned(),
                        vec!["sh -c 'echo out; echo err >&2'".to_owned()],
                    ),
                    ("stdOutSeparatorPrefix".to_owned(), vec!["O:".to_owned()]),
                    ("stdErrSeparatorPrefix".to_owned(), vec!["E:".to_owned()]),
                ]),
                ..StartSession::default()
            })
            .unwrap();
        let transcript = Transcript::of(&mut attach(&emulator, &started).await).await;
        assert_eq!(
            (transcript.stdout().as_str(), transcript.stderr().as_str()),
            ("O:out\n", "E:err\n")
        );
    });
}

#[test]
fn an_encrypted_shell_works_with_every_kind_of_challenge() {
    for challenge in [
        ChallengeMode::Absent,
        ChallengeMode::Offered,
        ChallengeMode::Required,
    ] {
        run(async {
            let emulator = Emulator::start(Plan {
                challenge,
                ..plan()
            })
            .await
            .unwrap();
            let mut session = attach(&emulator, &encrypted(&emulator)).await;
            session.write(b"echo $((6*7)); exit\r").await.unwrap();
            let transcript = Transcript::of(&mut session).await;
            assert!(transcript.encrypted, "{challenge:?}");
            assert!(
                transcript.stdout().contains("42\r\n"),
                "{challenge:?} {transcript:?}"
            );
        });
    }
}

#[test]
fn a_key_the_kms_does_not_have_fails_the_session_with_its_reason() {
    run(async {
        let emulator = emulator().await;
        let started = emulator
            .start_session(StartSession {
                document_name: Some("Emulator-EncryptedShell".to_owned()),
                parameters: BTreeMap::from([(
                    "kmsKeyId".to_owned(),
                    vec!["alias/none".to_owned()],
                )]),
                ..StartSession::default()
            })
            .unwrap();
        let transcript = Transcript::of(&mut attach(&emulator, &started).await).await;
        assert!(
            transcript.close.message.contains("alias/none is not found"),
            "{transcript:?}"
        );
    });
}

#[test]
fn a_session_survives_the_loss_of_its_client() {
    run(async {
        let emulator = emulator().await;
        let started = sleeper(&emulator);
        let mut session = attach(&emulator, &started).await;
        let process = Process::announced(&mut session).await;
        drop(session);
        let resumed = emulator
            .resume_session(&started.session_id)
            .unwrap()
            .unwrap();
        let mut channel = Channel::open(&resumed).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        assert!(process.is_running());
    });
}

/// Our own client resumes by itself.
#[test]
fn a_shell_whose_connection_is_cut_twenty_times_gets_and_shows_every_byte_once() {
    const TOTAL: usize = 5_000_000;
    run(async {
        let emulator = emulator().await;
        let mut session = attach(&emulator, &shell(&emulator)).await;
        session
            .write(b"stty raw -echo; echo re''ady; exec cat\r")
            .await
            .unwrap();
        read_until(&mut session, "ready\n").await;
        let typed = letters(TOTAL);
        let keyboard = session.control();
        let text = typed.clone();
        let typing = tokio::spawn(async move { keyboard.write(&text).await.is_ok() });
        let (mut shown, mut cuts, mut resumed) = (Vec::new(), 0, 0);
        while shown.len() < TOTAL || resumed < cuts {
            match session.next_event().await.expect("the session runs") {
                SessionEvent::Output { data, .. } => shown.extend_from_slice(&data),
                SessionEvent::Reconnected => resumed += 1,
                SessionEvent::Disconnected { .. } => {}
                other => panic!("{other:?}"),
            }
            if cuts < 20 && cuts == resumed && shown.len() > cuts * TOTAL / 25 {
                let how = [ChannelClose::Bye, ChannelClose::Cut][cuts % 2];
                cuts += emulator.close_channels(how, None).await;
            }
        }
        assert!(typing.await.unwrap());
        assert_eq!((cuts, resumed), (20, 20));
        assert!(shown == typed);
    });
}

#[test]
fn output_from_before_the_client_came_is_not_lost() {
    run(async {
        let emulator = emulator().await;
        let started = command(&emulator, "AWS-StartInteractiveCommand", "seq 1 3000");
        // Longer than the agent needs to have sent something to nobody.
        for _ in 0..20 {
            ask(
                &emulator,
                "AmazonSSM.DescribeSessions",
                json!({"State": "Active"}),
            )
            .await;
        }
        let expected: String = (1..=3000).map(|n| format!("{n}\r\n")).collect();
        let transcript = Transcript::of(&mut attach(&emulator, &started).await).await;
        assert_eq!(transcript.stdout(), expected);
    });
}

#[test]
fn terminating_a_session_ends_its_processes() {
    run(async {
        let emulator = emulator().await;
        let started = sleeper(&emulator);
        let mut session = attach(&emulator, &started).await;
        let process = Process::announced(&mut session).await;
        emulator.terminate_session(&started.session_id).await;
        let transcript = Transcript::of(&mut session).await;
        assert_eq!(transcript.close.by, EndedBy::Service);
        process.ended().await;
    });
}

#[test]
fn shutting_down_leaves_no_process() {
    run(async {
        let emulator = emulator().await;
        let mut session = attach(&emulator, &sleeper(&emulator)).await;
        let process = Process::announced(&mut session).await;
        let (transcript, ()) = tokio::join!(Transcript::of(&mut session), emulator.shutdown());
        assert_eq!(transcript.close.by, EndedBy::Service);
        process.ended().await;
    });
}

#[test]
fn dropping_the_emulator_leaves_no_process() {
    run(async {
        let emulator = emulator().await;
        let mut session = attach(&emulator, &sleeper(&emulator)).await;
        let process = Process::announced(&mut session).await;
        drop(emulator);
        process.ended().await;
    });
}

#[test]
fn a_client_that_does_not_read_holds_up_its_own_session_alone() {
    run(async {
        let emulator = emulator().await;
        let flood = command(&emulator, "AWS-StartInteractiveCommand", "yes");
        let mut stuck = attach(&emulator, &flood).await;
        read_until(&mut stuck, "y\r\ny\r\n").await;
        // From here on nobody takes its output.
        let started = command(
            &emulator,
            "AWS-StartInteractiveCommand",
            "seq 1 20000 | tail -n 1",
        );
        let transcript = Transcript::of(&mut attach(&emulator, &started).await).await;
        assert_eq!(transcript.stdout(), "20000\r\n");
        emulator.shutdown().await;
        drop(stuck);
    });
}

fn shell(emulator: &Emulator) -> StartedSession {
    emulator.start_session(StartSession::default()).unwrap()
}

fn encrypted(emulator: &Emulator) -> StartedSession {
    let document_name = Some("Emulator-EncryptedShell".to_owned());
    emulator
        .start_session(StartSession {
            document_name,
            ..StartSession::default()
        })
        .unwrap()
}

fn command(emulator: &Emulator, document: &str, command: &str) -> StartedSession {
    emulator
        .start_session(StartSession {
            document_name: Some(document.to_owned()),
            parameters: BTreeMap::from([("command".to_owned(), vec![command.to_owned()])]),
            ..StartSession::default()
        })
        .unwrap()
}

/// A command that tells its process id and stays.
fn sleeper(emulator: &Emulator) -> StartedSession {
    command(
        emulator,
        "AWS-StartInteractiveCommand",
        "echo \"pid $$ .\"; exec sleep 100000",
    )
}

async fn attach(emulator: &Emulator, started: &StartedSession) -> Session {
    let start = SessionStart {
        session_id: started.session_id.clone(),
        stream_url: StreamUrl::parse(&started.stream_url, &StreamPolicy::default()).unwrap(),
        token: started.token.clone(),
    };
    let options = Options {
        target: Some(StartSession::default().target),
        control_plane: Some(Arc::new(emulator.control_plane())),
        ..Options::default()
    };
    ssm_session::connect(start, options).await.unwrap()
}

async fn read_until(session: &mut Session, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        match session.next_event().await {
            Some(SessionEvent::Output { data, .. }) => {
                text.push_str(&String::from_utf8_lossy(&data));
            }
            Some(SessionEvent::Established(_)) => {}
            other => panic!("{other:?} after {text:?}"),
        }
    }
    text
}

/// A session from where it stands to its end.
#[derive(Debug)]
struct Transcript {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    encrypted: bool,
    close: Close,
}

impl Transcript {
    async fn of(session: &mut Session) -> Self {
        let (mut stdout, mut stderr, mut encrypted) = (Vec::new(), Vec::new(), false);
        loop {
            match session.next_event().await.expect("the close comes first") {
                SessionEvent::Established(established) => encrypted = established.encrypted,
                SessionEvent::Output { stream, data } => match stream {
                    OutputStream::Stdout => stdout.extend_from_slice(&data),
                    OutputStream::Stderr => stderr.extend_from_slice(&data),
                },
                SessionEvent::Closed(close) => {
                    return Self {
                        stdout,
                        stderr,
                        encrypted,
                        close,
                    };
                }
                _ => {}
            }
        }
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// A process of a session, held by a descriptor so that its id cannot become another's.
struct Process {
    descriptor: OwnedFd,
}

impl Process {
    async fn announced(session: &mut Session) -> Self {
        let text = read_until(session, " .\r\n").await;
        let id: i32 = text.split(' ').nth(1).unwrap().parse().unwrap();
        let descriptor =
            rustix::process::pidfd_open(Pid::from_raw(id).unwrap(), PidfdFlags::empty()).unwrap();
        Self { descriptor }
    }

    fn is_running(&self) -> bool {
        !self.ends_within(0)
    }

    async fn ended(self) {
        let ended = tokio::task::spawn_blocking(move || self.ends_within(60));
        assert!(ended.await.unwrap(), "the process lives on");
    }

    /// A descriptor becomes readable when its process has ended, waited for or not.
    fn ends_within(&self, seconds: i64) -> bool {
        let limit = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        let mut descriptor = [PollFd::new(&self.descriptor, PollFlags::IN)];
        poll(&mut descriptor, Some(&limit)).unwrap() == 1
    }
}
