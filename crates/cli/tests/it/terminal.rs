//! A shell on a terminal.

use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;

use crate::node::Node;
use crate::plugin::OnTerminal;

/// Starts a shell as the AWS CLI does and waits until it has answered.
async fn shell(node: &Node) -> OnTerminal {
    let mut shell = OnTerminal::start_with_signals_ignored(&node.shell().seven_words());
    ready(&mut shell).await;
    shell
}

/// Waits until the remote shell runs commands. The mark is not in the echo of the command.
async fn ready(shell: &mut OnTerminal) {
    shell.enter("PS1=; echo rea''dy").await;
    shell.screen.until("ready\r\n").await;
}

#[tokio::test]
async fn a_shell_opens_echoes_and_ends_with_the_plugins_texts() {
    let node = Node::start().await;
    let started = node.shell();
    let mut shell = OnTerminal::start(&started.seven_words());
    let first = format!("\r\nStarting session with SessionId: {}\r\n", started.id());
    shell.screen.until(&first).await;
    shell.enter("echo $((6 * 7)) is typed").await;
    shell.screen.until("echo $((6 * 7)) is typed\r\n").await;
    shell.screen.until("42 is typed\r\n").await;
    shell.enter("exit").await;
    let last = format!(
        "\r\n\r\nExiting session with sessionId: {}.\r\n\r\n",
        started.id()
    );
    assert!(shell.screen.until_end().await.ends_with(&last));
    assert_eq!(shell.status().await.code(), Some(0));
}

#[tokio::test]
async fn the_far_end_has_our_size_at_the_start_and_after_every_change() {
    let node = Node::start().await;
    let mut shell = shell(&node).await;
    shell
        .enter("until stty size | grep '^31 93$'; do :; done")
        .await;
    shell.screen.until("31 93\r\n").await;
    shell.resize(40, 120);
    shell
        .enter("until stty size | grep '^40 120$'; do :; done")
        .await;
    shell.screen.until("40 120\r\n").await;
    shell.resize(10, 20);
    shell
        .enter("until stty size | grep '^10 20$'; do :; done")
        .await;
    shell.screen.until("10 20\r\n").await;
}

#[tokio::test]
async fn control_c_interrupts_the_remote_command_and_not_the_session() {
    let node = Node::start().await;
    let mut shell = shell(&node).await;
    // What says that it sleeps is what is to be interrupted.
    let sleep = "trap 'echo interr''upted' INT; sh -c 'echo sleep\"i\"ng; exec sleep 1000'";
    shell.enter(sleep).await;
    shell.screen.until("sleeping\r\n").await;
    shell.press(b"\x03").await;
    shell.screen.until("interrupted\r\n").await;
    shell.enter("echo still $((6 * 7))").await;
    shell.screen.until("still 42\r\n").await;
}

#[tokio::test]
async fn every_control_key_reaches_the_far_end() {
    let node = Node::start().await;
    let mut shell = shell(&node).await;
    shell
        .enter("stty raw -echo; echo wait''ing; od -An -v -tx1 -w32 -N32; stty sane")
        .await;
    shell.screen.until("waiting").await;
    let keys: Vec<u8> = (0..32).collect();
    shell.press(&keys).await;
    let expected: String = keys.iter().map(|key| format!(" {key:02x}")).collect();
    shell.screen.until(&expected).await;
}

#[tokio::test]
async fn a_pasted_megabyte_arrives_whole() {
    let node = Node::start().await;
    let mut shell = shell(&node).await;
    let pasted: Vec<u8> = (0..1_u32 << 18)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    shell
        .enter(
            "stty raw -echo; echo wait''ing; head -c 1048576 | sha256sum; stty sane; echo sa''ne",
        )
        .await;
    shell.screen.until("waiting").await;
    shell.press(&pasted).await;
    shell.screen.until(&sha256(&pasted).await).await;
    shell.screen.until("sane\r\n").await;
    shell.enter("echo still $((6 * 7))").await;
    shell.screen.until("still 42\r\n").await;
}

async fn sha256(data: &[u8]) -> String {
    let mut child = tokio::process::Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(data).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    String::from_utf8(output.stdout[..64].to_vec()).unwrap()
}

#[tokio::test]
async fn text_in_any_script_passes_in_both_directions_byte_by_byte() {
    let node = Node::start().await;
    let mut shell = shell(&node).await;
    shell
        .enter("stty -echo; echo wait''ing; read line; echo \"<$line>\"")
        .await;
    shell.screen.until("waiting\r\n").await;
    for byte in "grüße, 世界 🦀\r".as_bytes() {
        shell.press(&[*byte]).await;
    }
    shell.screen.until("<grüße, 世界 🦀>\r\n").await;
}

#[tokio::test]
async fn what_is_typed_ahead_is_neither_lost_nor_changed() {
    let node = Node::start().await;
    let mut shell = OnTerminal::start(&node.shell().seven_words());
    shell.enter("echo ahead $((6 * 7))").await;
    shell.screen.until("ahead 42\r\n").await;
}

#[tokio::test]
async fn quit_and_stop_signals_go_to_the_remote_program() {
    let node = Node::start().await;
    let mut shell = shell(&node).await;
    shell
        .enter("stty raw -echo; echo wait''ing; od -An -tx1 -w1 -N2; stty sane")
        .await;
    shell.screen.until("waiting").await;
    shell.signal(Signal::QUIT);
    shell.screen.until("1c").await;
    shell.signal(Signal::TSTP);
    shell.screen.until("1a").await;
}

#[tokio::test]
async fn signals_end_the_session_in_order_though_they_were_inherited_as_ignored() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let node = Node::start().await;
        let mut shell = shell(&node).await;
        shell.signal(signal);
        let all = shell.screen.until_end().await;
        assert!(
            all.contains("\r\n\r\nExiting session with sessionId: "),
            "{signal:?}: {all}"
        );
        assert_eq!(shell.status().await.code(), Some(0), "{signal:?}");
        assert!(shell.has_its_settings_back(), "{signal:?}");
    }
}

#[tokio::test]
async fn the_token_from_the_environment_is_in_no_command_line() {
    let node = Node::start().await;
    let started = node.shell();
    let mut words = started.seven_words();
    words[0] = "AWS_SSM_START_SESSION_RESPONSE".to_owned();
    let mut shell = OnTerminal::start_in(
        &words,
        &[("AWS_SSM_START_SESSION_RESPONSE", &started.json())],
    );
    ready(&mut shell).await;
    let shown = std::fs::read_to_string(format!("/proc/{}/cmdline", shell.id())).unwrap();
    assert!(shown.contains("StartSession"));
    assert!(!shown.contains(started.token()));
}

#[tokio::test]
async fn an_interactive_command_has_the_terminal() {
    let node = Node::start().await;
    let started = node.command(
        "AWS-StartInteractiveCommand",
        "echo name; read name; echo hello $name on $(tty)",
    );
    let mut shell = OnTerminal::start(&started.seven_words());
    shell.screen.until("name\r\n").await;
    shell.enter("you").await;
    shell.screen.until("hello you on /dev/pts/").await;
    shell.screen.until_end().await;
    assert_eq!(shell.status().await.code(), Some(0));
    assert!(shell.has_its_settings_back());
}

#[tokio::test]
async fn a_command_that_says_nothing_by_itself_gets_its_input() {
    let node = Node::start().await;
    let started = node.command(
        "AWS-StartInteractiveCommand",
        "read name; echo hello $name; stty size",
    );
    let mut shell = OnTerminal::start(&started.seven_words());
    shell.enter("you").await;
    shell.screen.until("hello you\r\n31 93\r\n").await;
}
