//! Escapes: what a user at a terminal types for this program, and not for the far end.

use rustix::process::Signal;
use ssm_session_emulator::ChannelClose;
use tokio::net::TcpListener;

use crate::account::VARIABLES;
use crate::account::guarded_node;
use crate::account::ssh_words;
use crate::node::Node;
use crate::plugin::OnTerminal;
use crate::plugin::Piped;
use crate::plugin::command;

/// A shell in our own manner that has answered, its cursor at the start of a line.
async fn shell(node: &Node, more: &[&str]) -> OnTerminal {
    let json = node.shell().json();
    let mut shell = OnTerminal::start(&[&["connect", &json], more].concat());
    ready(&mut shell).await;
    shell
}

async fn ready(shell: &mut OnTerminal) {
    shell.enter("PS1=; echo rea''dy").await;
    shell.screen.until("ready\r\n").await;
}

async fn assert_left(mut shell: OnTerminal) {
    shell.screen.until_end().await;
    assert_eq!(shell.status().await.code(), Some(130));
    assert!(shell.has_its_settings_back());
}

/// Types keys, and waits until the far end has shown the bytes that it got, as `od` has them.
async fn arrive(shell: &mut OnTerminal, keys: &[u8], shown: &str) {
    let count = shown.split(' ').count();
    let dump = format!("stty raw -echo; echo wait''ing; od -An -tx1 -N{count}");
    shell
        .enter(&format!("{dump}; stty sane; echo sa''ne"))
        .await;
    shell.screen.until("waiting").await;
    shell.press(keys).await;
    shell.screen.until(shown).await;
    shell.screen.until("sane\r\n").await;
}

#[tokio::test]
async fn a_full_stop_behind_a_tilde_leaves_and_the_session_is_ended() {
    let node = guarded_node(&[]).await;
    let endpoint = node.emulator.endpoint();
    let mut shell = OnTerminal::start_in(&ssh_words(&endpoint, &[]), &VARIABLES);
    shell.screen.until("SessionId: ").await;
    let id = shell.screen.up_to("\r\n").await;
    ready(&mut shell).await;
    shell.press(b"~.").await;
    assert_left(shell).await;
    node.ends(&id).await;
}

#[tokio::test]
async fn a_drop_in_that_is_left_says_what_it_says_at_every_end() {
    let node = guarded_node(&[]).await;
    let started = node.shell();
    let mut shell = OnTerminal::start_in(&started.seven_words(), &VARIABLES);
    ready(&mut shell).await;
    shell.press(b"~.").await;
    let last = format!(
        "\r\n\r\nExiting session with sessionId: {}.\r\n\r\n",
        started.id()
    );
    let all = shell.screen.until_end().await;
    assert!(all.ends_with(&last), "{all}");
    assert_eq!(shell.status().await.code(), Some(0));
    assert!(shell.has_its_settings_back());
    node.ends(started.id()).await;
}

#[tokio::test]
async fn it_is_understood_before_the_far_end_has_answered() {
    let node = Node::start().await;
    let started = node.command("AWS-StartInteractiveCommand", "stty -echo; read line");
    let mut shell = OnTerminal::start(&["connect", &started.json()]);
    shell.press(b"~.").await;
    assert_left(shell).await;
}

#[tokio::test]
async fn the_help_names_all_there_is_and_the_line_goes_on() {
    let node = Node::start().await;
    let mut shell = shell(&node, &[]).await;
    shell.press(b"~?").await;
    for escape in ["~.  ", "~^Z ", "~-  ", "~?  ", "~~  "] {
        shell.screen.until(escape).await;
    }
    shell.enter("echo still $((6 * 7))").await;
    shell.screen.until("still 42\r\n").await;
    shell.press(b"~.").await;
    assert_left(shell).await;
}

#[tokio::test]
async fn two_tildes_are_one_for_the_far_end_and_within_a_line_a_tilde_is_itself() {
    let node = Node::start().await;
    let mut shell = shell(&node, &[]).await;
    arrive(&mut shell, b"~~.a~.\r", "7e 2e 61 7e 2e 0d").await;
    shell.press(b"~").await;
    shell.press(b"x").await;
    ready(&mut shell).await;
    shell.press(b"~.").await;
    assert_left(shell).await;
}

#[tokio::test]
async fn a_minus_behind_a_tilde_turns_escapes_off() {
    let node = Node::start().await;
    let mut shell = shell(&node, &[]).await;
    shell.press(b"~-").await;
    arrive(&mut shell, b"~.", "7e 2e").await;
    shell.enter("exit").await;
    shell.screen.until_end().await;
    assert_eq!(shell.status().await.code(), Some(0));
}

#[tokio::test]
async fn another_character_takes_the_place_of_the_tilde() {
    let node = Node::start().await;
    for (given, byte) in [("%", b'%'), ("^B", 2)] {
        let mut shell = shell(&node, &["--escape-char", given]).await;
        arrive(&mut shell, b"~.", "7e 2e").await;
        shell.enter("").await;
        shell.press(&[byte, b'.']).await;
        assert_left(shell).await;
    }
}

#[tokio::test]
async fn none_leaves_every_byte_to_the_far_end_also_by_the_environment() {
    let node = Node::start().await;
    let by_option = ["connect", &node.shell().json(), "--escape-char", "none"].map(str::to_owned);
    let variable = [("SSM_SESSION_ESCAPE_CHAR", "none")];
    for mut shell in [
        OnTerminal::start(&by_option),
        OnTerminal::start_in(&node.shell().seven_words(), &variable),
    ] {
        ready(&mut shell).await;
        arrive(&mut shell, b"~.", "7e 2e").await;
        shell.enter("exit").await;
        shell.screen.until_end().await;
        assert_eq!(shell.status().await.code(), Some(0));
    }
}

#[tokio::test]
async fn input_from_a_pipe_has_no_escapes() {
    let node = Node::start().await;
    let mut plugin = Piped::start(command(&["connect", &node.shell().json()]));
    plugin
        .write(b"PS1=; stty -echo; echo rea''dy; read -r line; echo \"<$line>\"; exit\n")
        .await;
    plugin.stdout.until("ready\r\n").await;
    plugin.write(b"~.\n").await;
    plugin.stdout.until("<~.>\r\n").await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn it_leaves_a_session_whose_connection_is_lost_and_ends_it_at_the_service() {
    let unable = "ResumeSession=ThrottlingException";
    for told in [false, true] {
        let node = guarded_node(&[unable]).await;
        let endpoint = node.emulator.endpoint();
        let mut shell = OnTerminal::start_in(&ssh_words(&endpoint, &[]), &VARIABLES);
        shell.screen.until("SessionId: ").await;
        let id = shell.screen.up_to("\r\n").await;
        ready(&mut shell).await;
        let closed = node.emulator.close_channels(ChannelClose::Cut, None).await;
        assert_eq!(closed, 1);
        if told {
            shell.screen.until("the connection is lost since ").await;
        }
        shell.press(b"~.").await;
        assert_left(shell).await;
        node.ends(&id).await;
    }
}

#[tokio::test]
async fn it_leaves_a_session_whose_node_takes_nothing() {
    let node = guarded_node(&[]).await;
    let endpoint = node.emulator.endpoint();
    let mut shell = OnTerminal::start_in(&ssh_words(&endpoint, &[]), &VARIABLES);
    shell.screen.until("SessionId: ").await;
    let id = shell.screen.up_to("\r\n").await;
    ready(&mut shell).await;
    assert_eq!(node.emulator.freeze_agents(true, None).await, 1);
    shell.press(&b"lost\r".repeat(1000)).await;
    shell.press(b"~.").await;
    assert_left(shell).await;
    node.ends(&id).await;
}

#[tokio::test]
async fn it_leaves_a_drop_in_whose_connection_is_lost() {
    let node = guarded_node(&["ResumeSession=ThrottlingException"]).await;
    let started = node.shell();
    let mut shell = OnTerminal::start_in(&started.seven_words(), &VARIABLES);
    ready(&mut shell).await;
    node.emulator.close_channels(ChannelClose::Cut, None).await;
    shell.screen.until("the connection is lost since ").await;
    shell.press(b"~.").await;
    let last = format!("Exiting session with sessionId: {}.", started.id());
    shell.screen.until(&last).await;
    shell.screen.until_end().await;
    assert_eq!(shell.status().await.code(), Some(0));
    assert!(shell.has_its_settings_back());
    node.ends(started.id()).await;
}

/// Nothing is typed for a service that does not answer: there Ctrl-C is the way out, and its key works.
#[tokio::test]
async fn before_there_is_a_connection_the_terminal_is_the_users() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ws://{}/", silent.local_addr().unwrap());
    let response = format!(r#"{{"SessionId":"s","StreamUrl":"{url}","TokenValue":"t"}}"#);
    let mut plugin = OnTerminal::start(&["connect", &response]);
    let (_held, _) = silent.accept().await.unwrap();
    assert!(plugin.has_its_settings_back());
    plugin.signal(Signal::INT);
    plugin.screen.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(130));
}
