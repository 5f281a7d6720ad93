//! Whole sessions: the agent with real terminals and commands, and the client's half of the protocol.

mod ports;
mod rig;

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::json;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::SessionType;
use ssm_session_proto::service;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::time::Instant;

use self::rig::KEY;
use self::rig::Rig;
use self::rig::collected;
use self::rig::command_document;
use self::rig::generated_key;
use self::rig::interactive;
use self::rig::separate;
use self::rig::shell;
use super::Outcome;
use super::Status;
use crate::documents::ResolvedDocument;
use crate::plan::Pacing;
use crate::plan::Plan;

#[tokio::test]
async fn a_shell_echoes_and_answers() {
    let mut session = Rig::start(shell());
    session.type_in("echo is=$((40 + 2)) $TERM\r");
    session.until_text("is=42 xterm-256color\r\n").await;
    assert!(session.seen.text().contains("echo is=$((40 + 2)) $TERM"));
    let established = session.seen.established.as_ref().unwrap();
    assert!(!established.encrypted);
}

#[tokio::test]
async fn a_shell_knows_the_size_of_the_clients_terminal() {
    let mut session = Rig::start(shell());
    session.type_in("stty size\r");
    session.until_text("0 0\r\n").await;
    session.resize(123, 45);
    session.type_in("stty size\r");
    session.until_text("45 123\r\n").await;
    session.resize(65536 + 7, 9);
    session.type_in("stty size\r");
    session.until_text("9 7\r\n").await;
}

#[tokio::test]
async fn the_end_of_a_shell_is_announced_after_its_last_words() {
    let mut session = Rig::start(shell());
    session.type_in("printf 'last %s' words; exit 7\r");
    let seen = session.end().await;
    assert!(seen.text().ends_with("last words"), "{}", seen.text());
    assert_eq!(seen.states, ["Connected", "Terminating"]);
    assert_eq!(seen.outcome, Some(Outcome::success()));
    assert_eq!(seen.exit_code, None);
}

#[tokio::test]
async fn the_profile_is_typed_into_the_shell() {
    let mut document = shell();
    document.inputs.shell_profile_linux =
        Some("greeting=hello\necho $greeting, profile".to_owned());
    let mut session = Rig::start(document);
    session.until_text("hello, profile\r\n").await;
}

#[tokio::test]
async fn ctrl_c_interrupts_what_runs_in_the_foreground() {
    let mut session = Rig::start(shell());
    session.type_in("sh -c 'echo sleep\"\"ing; exec sleep 1000'\r");
    session.until_text("sleeping\r\n").await;
    session.type_in("\x03");
    session.type_in("echo code=$?\r");
    session.until_text("code=130\r\n").await;
}

#[tokio::test]
async fn a_mebibyte_of_input_arrives_whole() {
    let input = numbers(1 << 20);
    let command = format!(
        "stty raw -echo; echo ready; head -c {} | sha256sum",
        input.len()
    );
    let mut session = Rig::start(interactive(&command));
    session.until_text("ready").await;
    session.type_in(&input);
    let seen = session.end().await;
    assert!(seen.text().contains(&sha256(&input)), "{}", seen.text());
}

#[tokio::test]
async fn output_goes_on_while_input_waits() {
    // Both are more than any window or buffer holds, and the command reads only when it has written.
    let (output, input) = (6_000_000, numbers(1 << 20));
    let command = format!(
        "stty raw -echo; echo ready; yes | head -c {output}; head -c {} | sha256sum",
        input.len()
    );
    let mut session = Rig::start(interactive(&command));
    session.until_text("ready\n").await;
    session.type_in(&input);
    let seen = session.end().await;
    let rest = &seen.stdout["ready\n".len() + output..];
    assert!(rest.starts_with(sha256(&input).as_bytes()), "{seen:?}");
}

#[tokio::test]
async fn five_megabytes_of_output_arrive_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large");
    let content = numbers(5_000_000);
    std::fs::write(&path, &content).unwrap();
    let command = format!("stty raw; cat {}", path.display());
    let seen = Rig::start(interactive(&command)).end().await;
    assert_eq!(seen.stdout.len(), content.len());
    assert_eq!(sha256(&seen.stdout), sha256(&content));
}

#[tokio::test]
async fn no_message_cuts_a_character() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    let content = "aé€😀\u{fffd}".repeat(4000);
    std::fs::write(&path, &content).unwrap();
    for document in [
        interactive(&format!("cat {}", path.display())),
        collected(&format!("cat {}", path.display())),
        separate(&format!("cat {}", path.display())),
    ] {
        let seen = Rig::start(document).end().await;
        assert_eq!(seen.text(), content);
        assert_eq!(seen.cut_messages, 0);
    }
}

#[tokio::test]
async fn half_a_character_at_the_end_is_sent() {
    let seen = Rig::start(separate(r"printf 'half \342\202'")).end().await;
    assert_eq!(seen.stdout, b"half \xe2\x82");
}

#[tokio::test]
async fn an_interactive_command_runs_in_a_shell_on_a_terminal() {
    let mut session = Rig::start(interactive(
        "echo 'who?'; read name; echo \"hello $name\"; test -t 1 && echo terminal",
    ));
    session.type_in("you\r");
    let seen = session.end().await;
    assert!(
        seen.text().ends_with("hello you\r\nterminal\r\n"),
        "{}",
        seen.text()
    );
    assert_eq!(seen.states, ["Connected", "Terminating"]);
}

#[tokio::test]
async fn a_process_that_keeps_the_terminal_does_not_keep_the_session() {
    let command = "trap '' HUP; sleep 1000 & printf gone";
    let seen = Rig::start(interactive(command)).end().await;
    assert_eq!(seen.text(), "gone");
    assert_eq!(seen.outcome, Some(Outcome::success()));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_that_got_away_does_not_keep_the_session() {
    let directory = tempfile::tempdir().unwrap();
    let (up, go) = (fifo(directory.path(), "up"), fifo(directory.path(), "go"));
    let command = format!(
        "sh -c 'setsid sh -c \"echo >{up}; read x <{go}\" & read x <{up}; echo gone'",
        up = up.display(),
        go = go.display()
    );
    for document in [
        interactive(&command),
        separate(&command),
        collected(&command),
    ] {
        let seen = Rig::start(document).end().await;
        assert_eq!(seen.text().trim_end(), "gone");
        assert_eq!(seen.outcome, Some(Outcome::success()));
        // It has kept the terminal or pipe all the while, and ends here.
        std::fs::write(&go, "\n").unwrap();
    }
}

#[tokio::test]
async fn collected_output_is_both_streams_in_order_without_an_exit_code() {
    let seen = Rig::start(collected(
        "sh -c 'echo one; echo two >&2; echo three; exit 3'",
    ))
    .end()
    .await;
    assert_eq!(seen.text(), "one\ntwo\nthree\n");
    assert_eq!(seen.errors(), "");
    assert_eq!(seen.exit_code, None);
    assert_eq!(seen.states, ["Connected", "Terminating"]);
    assert_eq!(seen.outcome, Some(Outcome::success()));
}

#[tokio::test]
async fn separate_output_keeps_the_streams_apart_and_ends_with_the_exit_code() {
    for (end, code) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -1)] {
        let command = format!("sh -c 'echo one; echo two >&2; {end}'");
        let seen = Rig::start(separate(&command)).end().await;
        assert_eq!(
            (seen.text().as_str(), seen.errors().as_str()),
            ("one\n", "two\n")
        );
        assert_eq!(seen.exit_code, Some(code), "{end}");
        assert_eq!(seen.after_exit_code, b"");
        assert_eq!(seen.outcome, Some(Outcome::success()));
    }
}

#[tokio::test]
async fn prefixes_stand_before_each_stream() {
    let properties = json!({
        "commands": "sh -c 'echo one; echo two >&2'",
        "separateOutputStream": "true",
        "stdOutSeparatorPrefix": "OUT:",
        "stdErrSeparatorPrefix": "ERR:",
    });
    let document = command_document(SessionType::NON_INTERACTIVE_COMMANDS, &properties);
    let seen = Rig::start(document).end().await;
    assert_eq!(
        (seen.text().as_str(), seen.errors().as_str()),
        ("OUT:one\n", "ERR:two\n")
    );
}

#[tokio::test]
async fn ctrl_c_ends_a_command_without_a_terminal_with_exit_code_1() {
    let mut session = Rig::start(separate(
        "sh -c 'trap \"exit 5\" INT; echo up; while :; do sleep 1; done'",
    ));
    session.until_text("up\n").await;
    session.type_in("ignored\x03");
    assert_eq!(session.end().await.exit_code, Some(1));
}

#[tokio::test]
async fn a_command_that_cannot_be_executed_is_explained() {
    let reason = "fork/exec /nowhere/at/all: no such file or directory";
    for (document, exit_code) in [
        (collected("/nowhere/at/all"), None),
        (separate("/nowhere/at/all"), Some(1)),
    ] {
        let seen = Rig::start(document).end().await;
        assert_eq!(seen.errors(), reason);
        assert_eq!(seen.exit_code, exit_code);
        // The agent says the code before the reason.
        assert_eq!(seen.after_exit_code.is_empty(), exit_code.is_none());
        assert_eq!(seen.states, ["Connected", "Terminating"]);
        let output =
            format!("\n----------ERROR-------\nError occurred starting the command: {reason}\n");
        assert_eq!(seen.outcome, Some(Outcome::failed(output)));
    }
}

#[tokio::test]
async fn a_command_line_that_cannot_be_split_fails_the_session() {
    let reason = "Unable to start command: Failed to parse commands input: EOF found when expecting closing quote\n\n";
    let seen = Rig::start(collected("echo 'open")).end().await;
    assert_eq!(seen.errors(), reason);
    assert_eq!(seen.states, ["Connected"]);
    assert_eq!(
        seen.outcome,
        Some(Outcome::failed(format!(
            "\n----------ERROR-------\n{reason}"
        )))
    );
}

#[tokio::test]
async fn properties_that_make_no_sense_fail_the_session() {
    let prefix =
        json!({"commands": "true", "separateOutputStream": true, "stdOutSeparatorPrefix": "a b"});
    for (document, output) in [
        (
            interactive(" "),
            "Commands cannot be empty for session type InteractiveCommands",
        ),
        (
            collected(""),
            "Commands cannot be empty for session type NonInteractiveCommands",
        ),
        (
            command_document(SessionType::NON_INTERACTIVE_COMMANDS, &prefix),
            "invalid stdoutSeparatorPrefix a b",
        ),
    ] {
        let seen = Rig::start(document).end().await;
        assert_eq!(seen.outcome, Some(Outcome::failed(output.to_owned())));
        assert_eq!(seen.states, ["Connected"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_paced_agent_takes_its_time_over_errors() {
    // No command runs, so that nothing but the paused clock can pass the time.
    for (command, wait) in [("/nowhere/at/all", 1), ("echo 'open", 3)] {
        let started = Instant::now();
        let mut session = Rig::with(separate(command), |task| task.pacing = Pacing::Agent);
        session.until(|seen| !seen.stderr.is_empty()).await;
        assert!(started.elapsed() >= Duration::from_secs(wait), "{command}");
    }
}

#[tokio::test]
async fn a_key_encrypts_the_session_whatever_the_challenge() {
    for challenge in [
        ChallengeMode::Absent,
        ChallengeMode::Offered,
        ChallengeMode::Required,
    ] {
        let mut session = Rig::with(encrypted_shell(), |task| task.challenge = challenge);
        session.type_in("echo is=$((40 + 2)); exit\r");
        let seen = session.end().await;
        assert!(seen.text().contains("is=42\r\n"), "{challenge:?}");
        let established = seen.established.unwrap();
        assert!(established.encrypted, "{challenge:?}");
        assert_eq!(
            established.customer_message,
            "This session is encrypted using AWS KMS."
        );
        assert_eq!(
            established.agent_version.unwrap().to_string(),
            Plan::AGENT_VERSION
        );
    }
}

#[tokio::test]
async fn a_client_without_a_data_key_fails_the_handshake() {
    let session = Rig::start(encrypted_shell()).key_source(|_, _| Err("no credentials".to_owned()));
    let outcome = session.end().await.outcome.unwrap();
    assert_eq!(outcome.status, Status::Failed);
    assert_eq!(
        outcome.output,
        "\n----------ERROR-------\nEncountered error while initiating handshake. KMSEncryption failed on client \
         with status 2 error: Failed to process action KMSEncryption: no credentials"
    );
}

#[tokio::test]
async fn a_data_key_for_another_target_fails_the_handshake() {
    for challenge in [ChallengeMode::Absent, ChallengeMode::Required] {
        let session = Rig::with(encrypted_shell(), |task| task.challenge = challenge).key_source(
            |kms, mut request| {
                let target = request
                    .encryption_context
                    .get_mut("aws:ssm:TargetId")
                    .unwrap();
                "i-00000000000000000".clone_into(target);
                generated_key(kms, request)
            },
        );
        let outcome = session.end().await.outcome.unwrap();
        assert_eq!(outcome.status, Status::Failed);
        let heading = "\n----------ERROR-------\nEncountered error while initiating handshake. \
                       Fetching data key failed: Unable to retrieve data key, ";
        assert!(outcome.output.starts_with(heading), "{}", outcome.output);
    }
}

#[tokio::test]
async fn a_closed_channel_kills_all_that_the_session_started() {
    let (mut session, mut alive) = session_with_children().await;
    session.close_channel().await;
    session.until(|seen| seen.states.len() == 1).await;
    let seen = session.end().await;
    assert_eq!(
        seen.states,
        ["Connected"],
        "a cancelled session announces nothing"
    );
    assert_eq!(seen.outcome, Some(Outcome::success()));
    ended(&mut alive).await;
}

#[tokio::test]
async fn dropping_the_agent_kills_all_that_the_session_started() {
    let (session, mut alive) = session_with_children().await;
    session.abort().await;
    ended(&mut alive).await;
}

#[tokio::test]
async fn a_service_that_drops_the_relay_ends_a_session_that_takes_no_input() {
    let mut session = Rig::start(interactive("stty raw -echo; echo deaf; exec sleep 1000"));
    session.until_text("deaf").await;
    session.type_in(vec![b'x'; 1 << 20]);
    session.until(|_| true).await;
    session.idle().await;
    session.leave().await;
}

#[tokio::test]
async fn a_closed_channel_ends_a_session_that_takes_no_input() {
    let mut session = Rig::start(interactive("stty raw -echo; echo deaf; exec sleep 1000"));
    session.until_text("deaf").await;
    session.type_in(vec![b'x'; 1 << 20]);
    session.until(|_| true).await;
    session.idle().await;
    session.close_channel().await;
    assert_eq!(session.end().await.outcome, Some(Outcome::success()));
}

#[tokio::test]
async fn a_pause_holds_output_back_until_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let (go, written) = (
        fifo(directory.path(), "go"),
        fifo(directory.path(), "written"),
    );
    let command = format!(
        "read x <{}; echo held; echo >{}",
        go.display(),
        written.display()
    );
    let mut witness = pipe::OpenOptions::new()
        .read_write(true)
        .open_receiver(&written)
        .unwrap();
    let mut session = Rig::start(interactive(&format!("echo up; {command}")));
    session.until_text("up\r\n").await;
    session.idle().await;
    session.tell_agent(service::pause_publication).await;
    session.idle().await;
    std::fs::write(&go, "\n").unwrap();
    witness.read_u8().await.unwrap();
    session.idle().await;
    assert_eq!(session.seen.text(), "up\r\n");
    session.tell_agent(service::start_publication).await;
    session.until_text("held\r\n").await;
}

fn encrypted_shell() -> ResolvedDocument {
    let mut document = shell();
    document.inputs.kms_key_id = Some(KEY.to_owned());
    document
}

/// A shell with jobs in both grounds, and a pipe that ends when the last of them has.
async fn session_with_children() -> (Rig, pipe::Receiver) {
    let directory = tempfile::tempdir().unwrap();
    let path = fifo(directory.path(), "alive");
    let alive = pipe::OpenOptions::new().open_receiver(&path).unwrap();
    let mut session = Rig::start(shell());
    session.type_in(format!(
        "exec 9>{}; sleep 1000 & sh -c 'echo run\"\"ning; sleep 1000'\r",
        path.display()
    ));
    session.until_text("running\r\n").await;
    (session, alive)
}

async fn ended(alive: &mut pipe::Receiver) {
    let end = tokio::time::timeout(Duration::from_secs(60), alive.read_u8()).await;
    assert!(end.expect("a process was left running").is_err());
}

fn fifo(directory: &Path, name: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

/// Bytes of every value, the same each time.
fn numbers(length: usize) -> Vec<u8> {
    (0..)
        .flat_map(|n: u32| n.wrapping_mul(0x9E37_79B9).to_le_bytes())
        .take(length)
        .collect()
}

fn sha256(data: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, data);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
