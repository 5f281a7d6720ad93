//! Programs whose caller is killed: a drop-in ends with it, unless it is one connection over standard streams.

use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::account::VARIABLES;
use crate::account::guarded_node;
use crate::destination::Destination;
use crate::destination::connect;
use crate::destination::exchange;
use crate::destination::rest;
use crate::node::Node;
use crate::plugin::Piped;
use crate::plugin::shell_command;

/// A caller that waits for the program, as the AWS CLI does.
const CALLER: &str = "\"$0\" \"$@\"; exit 7";

/// Starts a caller and the program below it, with pipes.
fn below_caller<W: AsRef<str>>(words: &[W]) -> Piped {
    let mut caller = shell_command(CALLER, words);
    caller.envs(VARIABLES);
    Piped::start(caller)
}

/// Kills the caller. What is left of the pipes is the program's.
async fn kill_caller(plugin: &mut Piped) {
    plugin.signal(Signal::KILL);
    assert_eq!(plugin.status().await.code(), None);
}

#[tokio::test]
async fn a_forward_ends_and_its_port_is_free() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let started = node.forward(destination.port());
    let mut plugin = below_caller(&started.seven_words());
    plugin.stdout.until("Port ").await;
    let port = plugin.stdout.up_to(" opened").await.parse().unwrap();
    let mut connection = connect(port).await;
    exchange(&mut connection, b"hello").await;
    kill_caller(&mut plugin).await;
    // The program has the only other end of it.
    let all = plugin.stdout.until_end().await;
    assert!(all.contains("Terminate signal received, exiting."), "{all}");
    assert_eq!(rest(&mut connection).await, b"");
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    node.ends(started.id()).await;
}

#[tokio::test]
async fn a_shell_on_pipes_ends() {
    let node = guarded_node(&[]).await;
    let started = node.shell();
    let mut plugin = below_caller(&started.seven_words());
    plugin.write(b"PS1=; echo rea''dy\n").await;
    plugin.stdout.until("ready\r\n").await;
    kill_caller(&mut plugin).await;
    let all = plugin.stdout.until_end().await;
    let last = format!("\n\nExiting session with sessionId: {}.\n\n", started.id());
    assert!(all.ends_with(&last), "{all}");
    node.ends(started.id()).await;
}

#[tokio::test]
async fn a_program_that_is_still_connecting_ends() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ws://{}/", silent.local_addr().unwrap());
    let response = format!(r#"{{"SessionId":"s-1","StreamUrl":"{url}","TokenValue":"t"}}"#);
    let mut plugin = below_caller(&[&response, "us-east-1", "StartSession"]);
    let (_held, _) = silent.accept().await.unwrap();
    kill_caller(&mut plugin).await;
    let all = plugin.stdout.until_end().await;
    let last = "\n\nExiting session with sessionId: s-1.\n\n";
    assert!(all.ends_with(last), "{all}");
}

/// `ssh -f` and `ControlPersist` go on in the background, and the process that started this program ends.
#[tokio::test]
async fn one_connection_over_standard_streams_goes_on_until_its_streams_end() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let started = node.port("AWS-StartSSHSession", destination.port(), &[]);
    let mut plugin = below_caller(&started.seven_words());
    let first = format!("\nStarting session with SessionId: {}\n", started.id());
    plugin.stdout.until(&first).await;
    plugin.write(b"before").await;
    assert_eq!(plugin.stdout.take(6).await, b"before");
    kill_caller(&mut plugin).await;
    for round in 0..200 {
        let message = format!("after {round}\n");
        plugin.write(message.as_bytes()).await;
        assert_eq!(plugin.stdout.take(message.len()).await, message.as_bytes());
    }
    drop(plugin.stdin.take());
    assert_eq!(plugin.stdout.rest().await, b"");
    node.ends(started.id()).await;
}

/// Whoever runs them decides what they outlive.
#[tokio::test]
async fn commands_of_our_own_go_on() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let started = node.forward(destination.port());
    let mut plugin = below_caller(&["connect", &started.json()]);
    plugin.stderr.until("session-manager-plugin: port ").await;
    let port = plugin.stderr.up_to(" is open").await.parse().unwrap();
    kill_caller(&mut plugin).await;
    for _ in 0..50 {
        exchange(&mut connect(port).await, b"still here").await;
    }
    node.emulator.terminate_session(started.id()).await;
    plugin.stderr.until_end().await;
}
