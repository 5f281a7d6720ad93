//! Calls AWS the way a session does, and says what came of it:
//!
//! ```text
//! cargo run -p ssm-session-aws --example call_aws -- [settings] <operation> [arguments] [, <operation> …]
//! ```
//!
//! Settings: `proxy=…` (first, a URL), `region=…`, `profile=…`, `endpoint=…`, `code=…` (of an MFA device),
//! `log` (all that may be logged, to standard error).
//!
//! | operation | arguments |
//! |---|---|
//! | `start` | target, and `document=…`, `reason=…`, `name=value` for parameters |
//! | `resume`, `terminate`, `describe` | session id |
//! | `status` | target |
//! | `data-key` | key, and `name=value` for the encryption context |
//! | `sign` | host, path and query; the fields are shown, signatures cut short |
//! | `settings` | |
//! | `wait` | nothing: waits for a line on standard input |
//!
//! Several operations are separated by `,` and share what has been looked up. Tokens and keys are not
//! shown.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use ssm_session::BoxFuture;
use ssm_session::Connector;
use ssm_session::ControlPlane as _;
use ssm_session::DataKeyRequest;
use ssm_session::Proxies;
use ssm_session::Secret;
use ssm_session::SessionAccess;
use ssm_session::StartRequest;
use ssm_session::UpgradeRequest;
use ssm_session_aws::Aws;
use ssm_session_aws::SECRETIVE_TARGETS;
use ssm_session_aws::SecondFactor;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Knows the code already.
struct Known(Secret);

impl SecondFactor for Known {
    fn code(&self, serial: &str) -> BoxFuture<'_, io::Result<Secret>> {
        println!("asked for a code of {serial}");
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut aws = Aws::new(Connector::default());
    let mut profile = None;
    let mut arguments = std::env::args().skip(1).peekable();
    while let Some(setting) = arguments.peek() {
        match setting.split_once('=') {
            Some(("region", region)) => aws = aws.region(region),
            Some(("endpoint", endpoint)) => aws = aws.endpoint(endpoint),
            Some(("code", code)) => aws = aws.second_factor(Arc::new(Known(Secret::new(code)))),
            Some(("profile", name)) => {
                profile = Some(name.to_owned());
                aws = aws.profile(name);
            }
            Some(("proxy", url)) => aws = Aws::new(through(url)),
            _ if setting == "log" => log(),
            _ => break,
        }
        arguments.next();
    }
    let arguments: Vec<String> = arguments.collect();
    let mut status = ExitCode::SUCCESS;
    for words in arguments.split(|word| word == ",") {
        if let Err(error) = operation(&aws, words, profile.as_deref()).await {
            eprintln!("{error}");
            status = ExitCode::FAILURE;
        }
    }
    status
}

fn through(proxy: &str) -> Connector {
    let variable = |name: &str| (name == "ALL_PROXY").then(|| proxy.to_owned());
    let proxies = Proxies::from_variables(variable).expect("a proxy's URL");
    Connector::default().with_proxies(proxies)
}

/// Everything but what those log who know secrets.
fn log() {
    let mut targets = Targets::new().with_default(LevelFilter::TRACE);
    for target in SECRETIVE_TARGETS {
        targets = targets.with_target(target, LevelFilter::OFF);
    }
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(layer);
    registry.with(targets).init();
}

async fn operation(aws: &Aws, words: &[String], profile: Option<&str>) -> Outcome {
    let subject = || {
        let word = words.get(1);
        word.ok_or_else(|| format!("{} of what?", words[0]))
    };
    match words.first().map(String::as_str) {
        Some("start") => shown(aws.start_session(start(subject()?, &words[2..])).await?),
        Some("resume") => shown(aws.resume_session(subject()?).await?),
        Some("terminate") => {
            aws.terminate_session(subject()?).await?;
            println!("terminated");
        }
        Some("describe") => println!("target {}", aws.describe_session(subject()?).await?.target),
        Some("status") => println!("{:?}", aws.connection_status(subject()?).await?),
        Some("data-key") => data_key(aws, subject()?, &words[2..]).await?,
        Some("sign") => sign(aws, subject()?, words.get(2).map_or("/", String::as_str)).await?,
        Some("settings") => println!("{:?}", ssm_session_aws::settings(profile)),
        Some("wait") => {
            println!("waiting");
            let read = || io::stdin().read_line(&mut String::new());
            tokio::task::spawn_blocking(read).await??;
        }
        Some(word) => return Err(format!("{word} is no operation").into()),
        None => return Err("no operation".into()),
    }
    Ok(())
}

fn start(target: &str, words: &[String]) -> StartRequest {
    let mut request = StartRequest {
        target: target.to_owned(),
        ..StartRequest::default()
    };
    for (name, value) in pairs(words) {
        match name.as_str() {
            "document" => request.document_name = Some(value),
            "reason" => request.reason = Some(value),
            _ => request.parameters.entry(name).or_default().push(value),
        }
    }
    request
}

fn pairs(words: &[String]) -> impl Iterator<Item = (String, String)> {
    words
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn shown(access: SessionAccess) {
    println!(
        "session {}, a URL of {} characters, a token of {}",
        access.session_id,
        access.stream_url.expose().len(),
        access.token.expose().len()
    );
}

async fn data_key(aws: &Aws, key_id: &str, words: &[String]) -> Outcome {
    let request = DataKeyRequest {
        key_id: key_id.to_owned(),
        encryption_context: pairs(words).collect(),
    };
    let key = aws.data_key(request).await?;
    println!(
        "a key of {} bytes, {} bytes under the KMS key",
        key.plaintext.len(),
        key.ciphertext.len()
    );
    Ok(())
}

async fn sign(aws: &Aws, host: &str, path_and_query: &str) -> Outcome {
    let request = UpgradeRequest {
        host: host.to_owned(),
        path_and_query: Secret::new(path_and_query),
    };
    let fields = aws.sign(request).await?;
    if fields.is_empty() {
        println!("unsigned");
    }
    for field in fields {
        let value = field.value.expose();
        let value = match field.name {
            "x-amz-security-token" => "…",
            _ => value.split("Signature=").next().unwrap_or_default(),
        };
        println!("{}: {value}", field.name);
    }
    Ok(())
}
