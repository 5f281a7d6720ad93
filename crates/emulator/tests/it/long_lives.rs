//! An emulator that has served many, and one that is killed.

use std::net::SocketAddr;
use std::path::Path;

use futures_util::StreamExt as _;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use serde_json::Value;
use serde_json::json;
use ssm_session_proto::MessageType;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::BufReader;
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::process::Command;

use crate::support::Channel;
use crate::support::ask_at;
use crate::support::kib;
use crate::support::program;
use crate::support::run;
use crate::support::serving;

/// What a session runs that a killed emulator must not leave behind: a child of a command without a terminal, and a
/// job in the background of a shell with job control, in a group of its own.
const LEFT_BEHIND: [(&str, &str); 2] = [
    (
        "Emulator-SeparateOutput",
        "command=sh -c 'exec 3>FIFO; sleep 1000 & echo started; wait'",
    ),
    (
        "AWS-StartInteractiveCommand",
        "command=set -m; (exec 3>FIFO; echo started; exec sleep 1000) & wait",
    ),
];

#[cfg(target_os = "linux")]
#[test]
fn an_emulator_that_has_served_hundreds_of_sessions_is_as_large_as_after_the_first() {
    run(async {
        let (emulator, address) = serving(&[]).await;
        let id = emulator.id().unwrap();
        generation(address).await;
        let before = Size::settled(id, address, None).await;
        for _ in 0..3 {
            generation(address).await;
        }
        let after = Size::settled(id, address, Some(&before)).await;
        let grown = after.resident_kib.saturating_sub(before.resident_kib);
        assert!(grown < 8 * 1024, "{before:?} has become {after:?}");
    });
}

#[test]
fn no_command_outlives_an_emulator_that_is_killed() {
    for (document, command) in LEFT_BEHIND {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let fifo = directory.path().join("fifo");
            let (mut emulator, mut writers) = running(document, command, &fifo).await;
            emulator.kill().await.unwrap();
            // It ends when nobody has it open for writing.
            assert_eq!(writers.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        });
    }
}

#[test]
fn no_command_outlives_an_emulator_that_is_told_to_end() {
    for (document, command) in LEFT_BEHIND {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let fifo = directory.path().join("fifo");
            let (mut emulator, mut writers) = running(document, command, &fifo).await;
            let id = Pid::from_raw(emulator.id().unwrap().try_into().unwrap()).unwrap();
            kill_process(id, Signal::TERM).unwrap();
            assert_eq!(writers.read_to_end(&mut Vec::new()).await.unwrap(), 0);
            emulator.wait().await.unwrap();
        });
    }
}

/// Eighty sessions at once: started, cut, resumed and terminated, each with a shell.
async fn generation(address: SocketAddr) {
    let lives = (0..80).map(|_| async move {
        let started = ask_at(
            address,
            "AmazonSSM.StartSession",
            json!({"Target": "i-0123456789abcdef0"}),
        )
        .await;
        let named = json!({"SessionId": started["SessionId"]});
        let mut channel = open(&started).await;
        channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        let cut = json!({"SessionId": started["SessionId"], "How": "Cut"});
        ask_at(address, "Emulator.CloseChannel", cut).await;
        while let Some(Ok(_)) = channel.0.next().await {}
        let resumed = ask_at(address, "AmazonSSM.ResumeSession", named.clone()).await;
        let mut channel = open(&resumed).await;
        channel.receive(MessageType::START_PUBLICATION).await;
        ask_at(address, "AmazonSSM.TerminateSession", named).await;
        channel.receive(MessageType::CHANNEL_CLOSED).await;
    });
    futures_util::future::join_all(lives).await;
}

async fn open(session: &Value) -> Channel {
    let text = |name: &str| session[name].as_str().unwrap();
    Channel::open_with(text("StreamUrl"), text("TokenValue")).await
}

/// What a process has of the system.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Size {
    files: usize,
    children: usize,
    resident_kib: usize,
}

#[cfg(target_os = "linux")]
impl Size {
    /// The size of an emulator when nothing of its sessions is left: no child but the guard of commands, and no more
    /// files than `most`.
    async fn settled(id: u32, address: SocketAddr, most: Option<&Self>) -> Self {
        loop {
            let active = json!({"State": "Active"});
            let active = ask_at(address, "AmazonSSM.DescribeSessions", active).await;
            let size = Self::of(id);
            if active["Sessions"] == json!([])
                && size.children <= 1
                && most.is_none_or(|most| size.files <= most.files)
            {
                return size;
            }
        }
    }

    fn of(id: u32) -> Self {
        let own = format!("/proc/{id}");
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let parents = processes.filter_map(|process| {
            let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
            let (_, fields) = stat.rsplit_once(')')?;
            fields.split_whitespace().nth(1)?.parse::<u32>().ok()
        });
        Self {
            files: std::fs::read_dir(format!("{own}/fd")).unwrap().count(),
            children: parents.filter(|parent| *parent == id).count(),
            resident_kib: kib(id, "VmRSS"),
        }
    }
}

/// An emulator with a session whose command has started, and the end of `fifo` that its processes have not.
async fn running(document: &str, command: &str, fifo: &Path) -> (Child, pipe::Receiver) {
    assert!(
        Command::new("mkfifo")
            .arg(fifo)
            .status()
            .await
            .unwrap()
            .success()
    );
    let writers = pipe::OpenOptions::new().open_receiver(fifo).unwrap();
    let command = command.replace("FIFO", fifo.to_str().unwrap());
    let options = ["shell", "--pace", "none", "--document-name", document];
    let mut emulator = program(&options)
        .args(["--parameter", &command])
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(emulator.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("started") {
        line.clear();
        assert!(stdout.read_line(&mut line).await.unwrap() > 0);
    }
    (emulator, writers)
}
