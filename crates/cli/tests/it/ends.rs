//! Every way out, in every phase: a status, a reason, the terminal as it was, and nothing left behind.

use std::process::Stdio;

use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use rustix::process::Signal;
use ssm_session_emulator::ChannelClose;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_websockets::Message;
use tokio_websockets::ServerBuilder;
use tokio_websockets::WebSocketStream;

use crate::account::VARIABLES;
use crate::account::guarded_node;
use crate::account::ssh_words;
use crate::account::with_credentials;
use crate::destination::Destination;
use crate::destination::connect;
use crate::destination::exchange;
use crate::node::Node;
use crate::plugin::OnTerminal;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::plugin::ended;
use crate::plugin::shell_command;

/// With the statuses of our own commands.
const SIGNALS: [(Signal, i32); 4] = [
    (Signal::INT, 130),
    (Signal::TERM, 143),
    (Signal::HUP, 129),
    (Signal::QUIT, 131),
];

/// A service that stops answering early.
struct Mute {
    listener: TcpListener,
    /// How far it goes.
    upgrades: bool,
}

/// What holds a connection open.
enum Held {
    Plain {
        _stream: TcpStream,
    },
    Upgraded {
        _socket: Box<WebSocketStream<TcpStream>>,
    },
}

impl Mute {
    async fn start(upgrades: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Self { listener, upgrades }
    }

    fn response(&self) -> String {
        let url = format!("ws://{}/", self.listener.local_addr().unwrap());
        format!(r#"{{"SessionId":"s-1","StreamUrl":"{url}","TokenValue":"t"}}"#)
    }

    /// Takes the program's connection, and answers as little as it is to.
    async fn take(&self) -> Held {
        let (stream, _) = self.listener.accept().await.unwrap();
        if !self.upgrades {
            return Held::Plain { _stream: stream };
        }
        let server = ServerBuilder::new();
        let (_, mut socket) = server.accept(stream).await.unwrap();
        socket.next().await.unwrap().unwrap();
        // So that the program has surely noticed that it is connected.
        socket.send(Message::ping("")).await.unwrap();
        while !socket.next().await.unwrap().unwrap().is_pong() {}
        let _socket = Box::new(socket);
        Held::Upgraded { _socket }
    }
}

#[tokio::test]
async fn signals_end_the_wait_for_a_service_or_an_agent_that_says_nothing() {
    for upgrades in [false, true] {
        let service = Mute::start(upgrades).await;
        let response = service.response();
        for (signal, status) in SIGNALS {
            let mut plugin = Piped::start(command(&["connect", &response]));
            let _held = service.take().await;
            plugin.signal(signal);
            assert_eq!(plugin.status().await.code(), Some(status), "{signal:?}");
            assert_eq!(plugin.stdout.until_end().await, "");
            assert_eq!(plugin.stderr.until_end().await, "");

            let words = [&response, "us-east-1", "StartSession"];
            let mut plugin = Piped::start(command(&words));
            let _held = service.take().await;
            plugin.signal(signal);
            let all = plugin.stdout.until_end().await;
            let expected = "\nStarting session with SessionId: s-1\n\n\nExiting session with sessionId: s-1.\n\n";
            assert_eq!(all, expected, "{signal:?}");
            assert_eq!(plugin.status().await.code(), Some(0), "{signal:?}");
        }
    }
}

#[tokio::test]
async fn a_terminal_is_given_back_while_a_service_or_an_agent_says_nothing() {
    for upgrades in [false, true] {
        let service = Mute::start(upgrades).await;
        let response = service.response();
        for (signal, status) in SIGNALS {
            let mut plugin = OnTerminal::start(&["connect", &response]);
            let _held = service.take().await;
            plugin.signal(signal);
            plugin.screen.until_end().await;
            assert_eq!(plugin.status().await.code(), Some(status), "{signal:?}");
            assert!(plugin.has_its_settings_back(), "{signal:?}");
        }
    }
}

#[tokio::test]
async fn signals_end_an_outage_the_session_and_the_port() {
    let destination = Destination::echo().await;
    for (signal, status) in SIGNALS {
        let node = guarded_node(&["ResumeSession=ThrottlingException"]).await;
        let endpoint = node.emulator.endpoint();
        let started = node.forward(destination.port());
        let words = [
            "connect",
            &started.json(),
            "--endpoint-url",
            &endpoint,
            "--region",
            "us-east-1",
        ];
        let mut plugin = Piped::start(with_credentials(&words));
        plugin.stderr.until("session-manager-plugin: port ").await;
        let port: u16 = plugin.stderr.up_to(" is open").await.parse().unwrap();
        let mut connection = connect(port).await;
        exchange(&mut connection, b"hello").await;
        let closed = node.emulator.close_channels(ChannelClose::Cut, None).await;
        assert_eq!(closed, 1);
        plugin.stderr.until("the connection is lost since ").await;
        plugin.signal(signal);
        assert_eq!(plugin.status().await.code(), Some(status), "{signal:?}");
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
        node.ends(started.id()).await;
    }
}

#[tokio::test]
async fn signals_end_a_shell_whose_connection_is_lost_and_give_the_terminal_back() {
    for (signal, status) in &SIGNALS[..3] {
        let node = guarded_node(&["ResumeSession=ThrottlingException"]).await;
        let endpoint = node.emulator.endpoint();
        let mut shell = OnTerminal::start_in(&ssh_words(&endpoint, &[]), &VARIABLES);
        shell.screen.until("SessionId: ").await;
        let id = shell.screen.up_to("\r\n").await;
        shell.enter("PS1=; echo rea''dy").await;
        shell.screen.until("ready\r\n").await;
        node.emulator.close_channels(ChannelClose::Cut, None).await;
        shell.screen.until("the connection is lost since ").await;
        shell.signal(*signal);
        shell.screen.until_end().await;
        assert_eq!(shell.status().await.code(), Some(*status), "{signal:?}");
        assert!(shell.has_its_settings_back(), "{signal:?}");
        node.ends(&id).await;
    }
}

/// The streams that a caller has closed before it starts the program.
#[tokio::test]
async fn a_shell_without_standard_input_ends_by_itself() {
    let node = Node::start().await;
    let started = node.shell();
    let script = "exec \"$0\" \"$@\" <&-";
    let mut plugin = Piped::start(shell_command(script, &started.seven_words()));
    let all = plugin.stdout.until_end().await;
    let last = format!("\n\nExiting session with sessionId: {}.\n\n", started.id());
    assert!(all.ends_with(&last), "{all}");
    assert_eq!(plugin.stderr.until_end().await, "");
    assert_eq!(plugin.status().await.code(), Some(0));
    node.ends(started.id()).await;
}

#[tokio::test]
async fn one_connection_without_standard_input_ends_by_itself() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let started = node.port("AWS-StartSSHSession", destination.port(), &[]);
    let script = "exec \"$0\" \"$@\" <&-";
    let mut plugin = Piped::start(shell_command(script, &started.seven_words()));
    plugin.stdout.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0));
    node.ends(started.id()).await;
}

#[tokio::test]
async fn a_forward_needs_none_of_the_three_streams() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let local = crate::destination::Reserved::new();
    let port = local.port();
    let more = [("localPortNumber", port.to_string())];
    let more = more.each_ref().map(|(name, port)| (*name, port.as_str()));
    let started = node.port("AWS-StartPortForwardingSession", destination.port(), &more);
    let script = "exec \"$0\" \"$@\" <&- >&- 2>&-";
    let mut process = shell_command(script, &started.seven_words())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut connection = until_open(port).await;
    exchange(&mut connection, b"hello").await;
    crate::plugin::kill(&process, Signal::TERM);
    assert_eq!(ended(&mut process).await.code(), Some(0));
    node.ends(started.id()).await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

/// There is no text to wait for.
async fn until_open(port: u16) -> TcpStream {
    let open = async {
        loop {
            match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(connection) => return connection,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let open = tokio::time::timeout(crate::output::GUARD, open);
    open.await.expect("the port is opened")
}

#[tokio::test]
async fn a_shell_without_standard_output_or_error_runs_to_its_end() {
    for script in ["exec \"$0\" \"$@\" >&-", "exec \"$0\" \"$@\" 2>&-"] {
        let node = Node::start().await;
        let started = node.shell();
        let words = ["connect", &started.json()];
        let mut plugin = Piped::start(shell_command(script, &words));
        plugin.write(b"exit\n").await;
        assert_eq!(plugin.stderr.until_end().await, "");
        plugin.stdout.until_end().await;
        assert_eq!(plugin.status().await.code(), Some(0), "{script}");
        node.ends(started.id()).await;
    }
}

#[tokio::test]
async fn a_failure_has_its_status_also_where_nobody_can_be_told() {
    let response = r#"{"SessionId":"s","StreamUrl":"ws://127.0.0.1:1/x","TokenValue":"t"}"#;
    for script in ["exec \"$0\" \"$@\" 2>&-", "exec \"$0\" \"$@\" 2>/dev/full"] {
        let mut plugin = Piped::start(shell_command(script, &["connect", response]));
        assert_eq!(plugin.status().await.code(), Some(1), "{script}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_for_the_output_ends_a_shell_and_its_session() {
    for status in [0, 1] {
        let node = guarded_node(&[]).await;
        let started = node.shell();
        let endpoint = node.emulator.endpoint();
        let json = started.json();
        let options = ["--endpoint-url", &endpoint, "--region", "us-east-1"];
        let words: Vec<String> = if status == 1 {
            let words = [&["connect", &json], &options[..]].concat();
            words.into_iter().map(str::to_owned).collect()
        } else {
            started.seven_words()
        };
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut process = with_credentials(&words)
            .stdin(Stdio::piped())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nothing ends by the end of its input.
        let _input = process.stdin.take().unwrap();
        let mut stderr = crate::output::Output::new(process.stderr.take().unwrap());
        let said = stderr.until_end().await;
        assert_eq!(ended(&mut process).await.code(), Some(status));
        if status == 1 {
            let line =
                "session-manager-plugin: standard output could not be written: No space left";
            assert!(said.starts_with(line), "{said}");
        }
        node.ends(started.id()).await;
    }
}

#[tokio::test]
async fn a_forward_goes_on_though_its_texts_cannot_be_written() {
    let (node, destination) = (Node::start().await, Destination::echo().await);
    let local = crate::destination::Reserved::new();
    let port = local.port().to_string();
    let more = [("localPortNumber", port.as_str())];
    let started = node.port("AWS-StartPortForwardingSession", destination.port(), &more);
    let script = "exec \"$0\" \"$@\" >/dev/full 2>/dev/full";
    let mut process = shell_command(script, &started.seven_words())
        .spawn()
        .unwrap();
    let mut connection = until_open(local.port()).await;
    exchange(&mut connection, b"hello").await;
    crate::plugin::kill(&process, Signal::HUP);
    assert_eq!(ended(&mut process).await.code(), Some(0));
    node.ends(started.id()).await;
}
