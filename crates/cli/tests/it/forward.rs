//! Forwards as AWS's plugin shows them.

use std::net::Ipv6Addr;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use rustix::process::Signal;

use crate::destination::Destination;
use crate::destination::Reserved;
use crate::destination::connect;
use crate::destination::exchange;
use crate::destination::hostile_messages;
use crate::destination::rest;
use crate::node::Node;
use crate::node::Started;
use crate::plugin::OnTerminal;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::plugin::ended;

/// A forward that waits for connections.
pub(crate) struct Forward {
    pub(crate) plugin: Piped,
    pub(crate) id: String,
    pub(crate) port: u16,
}

impl Forward {
    pub(crate) async fn start(started: &Started) -> Self {
        let mut plugin = Piped::start(command(&started.seven_words()));
        let id = started.id().to_owned();
        let first = format!("\nStarting session with SessionId: {id}\nPort ");
        assert_eq!(plugin.stdout.up_to("Port ").await + "Port ", first);
        let port = plugin.stdout.up_to(" opened").await.parse().unwrap();
        let opened = format!(" for sessionId {id}.\n");
        assert_eq!(plugin.stdout.up_to("\n").await + "\n", opened);
        Self { plugin, id, port }
    }

    /// Ends it by a signal, and answers with all it said behind the text that the port is open.
    pub(crate) async fn end(&mut self, signal: Signal) -> String {
        self.plugin.signal(signal);
        self.until_end().await
    }

    pub(crate) async fn until_end(&mut self) -> String {
        let all = self.plugin.stdout.rest().await;
        assert_eq!(self.plugin.stderr.until_end().await, "");
        assert_eq!(self.plugin.status().await.code(), Some(0));
        String::from_utf8(all).unwrap()
    }

    pub(crate) fn last(&self) -> String {
        format!("\n\nExiting session with sessionId: {}.\n\n", self.id)
    }
}

const WAITING: &str = "Waiting for connections...\n";
const TERMINATED: &str = "Terminate signal received, exiting.\n";

#[tokio::test]
async fn a_forward_says_what_the_plugin_says_and_takes_connections_of_both_families() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let mut forward = Forward::start(&node.forward(destination.port())).await;
    let mut one = connect(forward.port).await;
    exchange(&mut one, b"by version four").await;
    let mut other = TcpStream::connect((Ipv6Addr::LOCALHOST, forward.port))
        .await
        .unwrap();
    exchange(&mut other, b"by version six").await;
    let said = forward.end(Signal::INT).await;
    let accepted = format!("\nConnection accepted for session [{}]\n", forward.id);
    let last = forward.last();
    assert_eq!(said, format!("{WAITING}{accepted}{TERMINATED}{last}"));
}

#[tokio::test]
async fn every_signal_ends_a_forward_in_order() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let signals = [
        Signal::INT,
        Signal::QUIT,
        Signal::TSTP,
        Signal::TERM,
        Signal::HUP,
    ];
    for signal in signals {
        let started = node.forward(destination.port());
        let mut forward = Forward::start(&started).await;
        assert!(!node.has_ended(&started), "{signal:?}");
        let said = forward.end(signal).await;
        let last = forward.last();
        assert_eq!(said, format!("{WAITING}{TERMINATED}{last}"), "{signal:?}");
        assert!(node.has_ended(&started), "{signal:?}");
    }
}

#[tokio::test]
async fn signals_inherited_as_ignored_end_a_forward_and_its_terminal_is_not_touched() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    for signal in [Signal::INT, Signal::TSTP] {
        let words = node.forward(destination.port()).seven_words();
        let mut forward = OnTerminal::start_with_signals_ignored(&words);
        forward.screen.until("Waiting for connections...\r\n").await;
        assert!(forward.has_its_settings_back());
        forward.signal(signal);
        forward.screen.until("Terminate signal received").await;
        forward.screen.until("Exiting session").await;
        forward.screen.until_end().await;
        assert_eq!(forward.status().await.code(), Some(0));
    }
}

#[tokio::test]
async fn standard_input_is_not_read() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let (mut ours, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"for the next program").unwrap();
    drop(writer);
    let mut command = command(&node.forward(destination.port()).seven_words());
    let mut process = command
        .stdin(ours.try_clone().unwrap())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = crate::output::Output::new(process.stdout.take().unwrap());
    stdout.until("\nPort ").await;
    let port = stdout.up_to(" opened").await.parse().unwrap();
    exchange(&mut connect(port).await, b"hello").await;
    node.emulator.shutdown().await;
    stdout.until_end().await;
    ended(&mut process).await;
    let mut left = String::new();
    std::io::Read::read_to_string(&mut ours, &mut left).unwrap();
    assert_eq!(left, "for the next program");
}

#[tokio::test]
async fn every_byte_passes_unchanged_alone_in_pairs_and_in_one_piece() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let forward = Forward::start(&node.forward(destination.port())).await;
    let mut connection = connect(forward.port).await;
    for message in hostile_messages() {
        exchange(&mut connection, &message).await;
    }
}

#[tokio::test]
async fn a_given_port_is_the_one_that_is_opened() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let reserved = Reserved::new();
    let port = reserved.port().to_string();
    let more = [("localPortNumber", port.as_str())];
    let started = node.port("AWS-StartPortForwardingSession", destination.port(), &more);
    let forward = Forward::start(&started).await;
    assert_eq!(forward.port, reserved.port());
    exchange(&mut connect(forward.port).await, b"hello").await;
}

#[tokio::test]
async fn a_forward_to_a_remote_host_reaches_it() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let document = "AWS-StartPortForwardingSessionToRemoteHost";
    let started = node.port(document, destination.port(), &[("host", "127.0.0.1")]);
    let forward = Forward::start(&started).await;
    exchange(&mut connect(forward.port).await, b"hello").await;
}

#[tokio::test]
async fn each_refusal_is_told_once_and_the_other_connections_go_on() {
    let (node, mut destination) = (Node::start().await, Destination::echo().await);
    let mut forward = Forward::start(&node.forward(destination.port())).await;
    let mut other = connect(forward.port).await;
    exchange(&mut other, b"before").await;
    destination.close().await;
    let refused = "\nConnection to destination port failed, check SSM Agent logs.\n";
    for _ in 0..3 {
        assert_eq!(rest(&mut connect(forward.port).await).await, b"");
        forward.plugin.stdout.until(refused).await;
    }
    exchange(&mut other, b"after").await;
    let last = forward.last();
    assert_eq!(
        forward.end(Signal::INT).await,
        format!("{TERMINATED}{last}")
    );
}

#[tokio::test]
async fn a_hundred_connections_at_once_are_each_their_own() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let mut forward = Forward::start(&node.forward(destination.port())).await;
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(connect(forward.port).await);
    }
    let exchanges = all
        .into_iter()
        .zip(0_u32..)
        .map(|(mut connection, number)| {
            tokio::spawn(async move {
                for round in 0..10 {
                    let data = (number * 1000 + round).to_be_bytes().repeat(1000);
                    exchange(&mut connection, &data).await;
                }
            })
        });
    for exchange in exchanges.collect::<Vec<_>>() {
        exchange.await.unwrap();
    }
    let said = forward.end(Signal::TERM).await;
    assert_eq!(said.matches("Connection accepted").count(), 1, "{said}");
}

#[tokio::test]
async fn megabytes_arrive_whole_and_an_answer_that_ends_the_connection_is_complete() {
    let node = Node::start().await;
    let destination = Destination::serving(|mut connection| async move {
        let length = connection.read_u32().await.unwrap();
        let mut data = vec![0; length as usize];
        connection.read_exact(&mut data).await.unwrap();
        connection.write_all(&data).await.unwrap();
    })
    .await;
    let forward = Forward::start(&node.forward(destination.port())).await;
    let sent: Vec<u8> = (0..1_u32 << 19)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let (mut reader, mut writer) = connect(forward.port).await.into_split();
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        writer
            .write_u32(copy.len().try_into().unwrap())
            .await
            .unwrap();
        writer.write_all(&copy).await.unwrap();
        writer
    });
    assert!(rest(&mut reader).await == sent);
    writing.await.unwrap();
}
