//! The way to AWS: proxies and certificate authorities, by the environment.

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpListener;

use crate::account::ssh_words;
use crate::account::with_credentials;
use crate::node::Node;
use crate::output::GUARD;
use crate::plugin::Finished;
use crate::plugin::Piped;
use crate::plugin::command;
use crate::plugin::run;

const STREAM: &str = r#"{"SessionId":"s-1","StreamUrl":"wss://ssmmessages.us-east-1.amazonaws.com/x","TokenValue":"t"}"#;

/// A proxy that turns everybody away.
struct Proxy {
    listener: TcpListener,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { listener }
    }

    fn url(&self) -> String {
        let address = self.listener.local_addr().unwrap();
        format!("http://user:pa%2Fss@{address}")
    }

    /// Takes one request, which is refused; the header.
    async fn refuse(&self) -> String {
        let refusing = async {
            let (connection, _) = self.listener.accept().await.unwrap();
            let mut connection = BufReader::new(connection);
            let mut header = String::new();
            while !header.ends_with("\r\n\r\n") {
                assert!(connection.read_line(&mut header).await.unwrap() > 0);
            }
            connection
                .write_all(b"HTTP/1.1 403 Not You\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            header
        };
        tokio::time::timeout(GUARD, refusing)
            .await
            .expect("a request")
    }
}

/// Whether a request asks for a tunnel to this place, in the name of the user.
fn assert_asks_for(header: &str, place: &str) {
    assert!(
        header.starts_with(&format!("CONNECT {place} HTTP/1.1\r\n")),
        "{header}"
    );
    let credentials = format!("Basic {}", STANDARD.encode("user:pa/ss"));
    assert!(header.contains(&credentials), "{header}");
}

#[tokio::test]
async fn the_session_and_the_api_go_through_the_proxy() {
    let proxy = Proxy::start().await;
    let mut plugin = command(&[STREAM, "us-east-1", "StartSession"]);
    plugin.env("HTTPS_PROXY", proxy.url());
    let finished = tokio::spawn(run(plugin));
    assert_asks_for(
        &proxy.refuse().await,
        "ssmmessages.us-east-1.amazonaws.com:443",
    );
    let finished = finished.await.unwrap();
    assert!(finished.stdout.contains("403"), "{finished:?}");
    assert!(!finished.stdout.contains("pa%2Fss"), "{finished:?}");

    let words = [
        "ssh",
        "--target",
        crate::node::TARGET,
        "--region",
        "us-east-1",
    ];
    let mut plugin = with_credentials(&words);
    plugin.env("https_proxy", proxy.url());
    let finished = tokio::spawn(run(plugin));
    assert_asks_for(&proxy.refuse().await, "ssm.us-east-1.amazonaws.com:443");
    // The SDK may try again.
    let rest = async {
        loop {
            proxy.refuse().await;
        }
    };
    let finished = tokio::select! {
        finished = finished => finished.unwrap(),
        () = rest => unreachable!("it has no end"),
    };
    assert_eq!(finished.status, Some(1), "{finished:?}");
    assert!(!finished.stderr.contains("pa%2Fss"), "{finished:?}");
}

#[tokio::test]
async fn no_proxy_names_what_is_reached_without() {
    let node = Node::start().await;
    let words = node.shell().seven_words();
    let proxy = Proxy::start().await;
    let mut plugin = command(&words);
    plugin
        .env("ALL_PROXY", proxy.url())
        .env("NO_PROXY", "example.com,127.0.0.1");
    let mut plugin = Piped::start(plugin);
    plugin.write(b"echo $((6 * 7)) here; exit\n").await;
    plugin.stdout.until("42 here\r\n").await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn authorities_that_cannot_be_used_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let refused = |variable: &'static str, file: &std::path::Path| {
        let mut plugin = command(&[STREAM, "us-east-1", "StartSession"]);
        plugin.env(variable, file);
        run(plugin)
    };
    let assert_named = |finished: &Finished, variable: &str| {
        for words in [variable, &file.display().to_string()] {
            assert!(finished.stdout.contains(words), "{finished:?}");
        }
        assert_eq!((finished.stderr.as_str(), finished.status), ("", Some(0)));
    };
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        assert_named(&refused(variable, &file).await, variable);
    }
    // What is in a file is seen when the first secure connection needs it.
    std::fs::write(&file, "no certificate").unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let response = STREAM.replace("ssmmessages.us-east-1.amazonaws.com", &host);
    let mut plugin = command(&[&response, "us-east-1", "StartSession"]);
    plugin.env("AWS_CA_BUNDLE", &file);
    assert_named(&run(plugin).await, "AWS_CA_BUNDLE");
    // The profile may name the file instead.
    let config = directory.path().join("config");
    let text = format!(
        "[default]\nca_bundle = {}\n",
        directory.path().join("none").display()
    );
    std::fs::write(&config, text).unwrap();
    let mut plugin = command(&[&response, "us-east-1", "StartSession"]);
    plugin.env("AWS_CONFIG_FILE", &config);
    let finished = run(plugin).await;
    assert!(finished.stdout.contains("ca_bundle"), "{finished:?}");
    assert!(
        finished.stdout.contains("/none cannot be read"),
        "{finished:?}"
    );
}

#[tokio::test]
async fn the_configuration_file_is_read_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, "\nstream_host = \"x\"\n").unwrap();
    let named = format!("{} line 2: ", file.display());
    for words in [
        vec![STREAM, "us-east-1", "StartSession"],
        vec!["connect", STREAM],
        ssh_words("http://127.0.0.1:1", &[]),
    ] {
        let mut plugin = command(&words);
        plugin.env("SSM_SESSION_CONFIG", &file);
        let finished = run(plugin).await;
        let all = finished.stdout + &finished.stderr;
        assert!(all.contains(&named), "{all}");
    }
}

#[tokio::test]
async fn the_stream_may_be_led_to_another_host() {
    let node = Node::start().await;
    let started = node.shell();
    // Nobody is there; the emulator is at the other one.
    let (_, rest) = started.url().split_once("://").unwrap();
    let (host, rest) = rest.split_once('/').unwrap();
    let response = format!(
        r#"{{"SessionId":"{}","StreamUrl":"ws://127.0.0.1:1/{rest}","TokenValue":"{}"}}"#,
        started.id(),
        started.token()
    );
    let mut plugin = Piped::start(command(&["connect", &response, "--stream-host", host]));
    plugin.write(b"echo $((6 * 7)) here; exit\n").await;
    plugin.stdout.until("42 here\r\n").await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0));
}

#[tokio::test]
async fn a_channel_that_must_be_signed_is_and_a_refusal_names_the_permission() {
    let node = crate::account::signed_node().await;
    let words = ["connect", &node.shell().json(), "--region", "us-east-1"];
    let finished = run(command(&words)).await;
    assert_eq!(finished.status, Some(1), "{finished:?}");
    for words in ["403", "ssmmessages:OpenDataChannel", "credentials"] {
        assert!(finished.stderr.contains(words), "{finished:?}");
    }
    let mut plugin = with_credentials(&["connect", &node.shell().json(), "--region", "us-east-1"]);
    plugin.env("SSM_PLUGIN_SKIP_CLIENT_CONFIGURE", "true");
    let finished = run(plugin).await;
    assert_eq!(finished.status, Some(1), "{finished:?}");
    let words = ["connect", &node.shell().json(), "--region", "us-east-1"];
    let mut plugin = Piped::start(with_credentials(&words));
    plugin.write(b"echo $((6 * 7)) here; exit\n").await;
    plugin.stdout.until("42 here\r\n").await;
    plugin.stdout.until_end().await;
    assert_eq!(plugin.status().await.code(), Some(0));
}
