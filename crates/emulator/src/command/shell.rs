//! `ssm-emulator shell`: emulator and client in one process, for a first session in a minute.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use ssm_session::Options;
use ssm_session::SessionStart;
use ssm_session::StreamPolicy;
use ssm_session::StreamUrl;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartSession;
use ssm_session_emulator::Target;
use ssm_session_terminal::Console;
use ssm_session_terminal::Outcome;
use ssm_session_terminal::Streams;

use super::Agent;

/// Open a shell on an emulated node, through the whole protocol, without leaving this process
#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// The managed node's id
    #[arg(long, value_name = "INSTANCE", default_value = "i-0123456789abcdef0", value_parser = super::target)]
    target: Target,
    /// The session document, such as AWS-StartInteractiveCommand or Emulator-EncryptedShell
    #[arg(long, value_name = "NAME")]
    document_name: Option<String>,
    /// A parameter of the document, as often as needed
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    #[command(flatten)]
    agent: Agent,
}

impl Shell {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        super::runtime()?.block_on(self.shell())
    }

    async fn shell(self) -> anyhow::Result<ExitCode> {
        let plan = Plan {
            targets: vec![self.target.clone()],
            ..self.agent.plan()
        };
        let emulator = Emulator::start(plan)
            .await
            .context("the emulator could not be started")?;
        let ended = self.session(&emulator).await;
        emulator.shutdown().await;
        ended
    }

    async fn session(self, emulator: &Emulator) -> anyhow::Result<ExitCode> {
        let mut parameters = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in self.parameters {
            parameters.entry(name).or_default().push(value);
        }
        let target = self.target.id().to_owned();
        let started = emulator.start_session(StartSession {
            target: target.clone(),
            document_name: self.document_name,
            parameters,
            reason: None,
        })?;
        let start = SessionStart {
            session_id: started.session_id,
            stream_url: StreamUrl::parse(&started.stream_url, &StreamPolicy::default())?,
            token: started.token,
        };
        let options = Options {
            target: Some(target.clone()),
            control_plane: Some(Arc::new(emulator.control_plane())),
            ..Options::default()
        };
        let mut console =
            Console::open(Streams::Separate).context("the terminal could not be taken over")?;
        console
            .print_error(&format!(
                "A shell on the emulated node {target}: it runs on this machine, as you. `exit` ends it.\n"
            ))
            .await;
        let connected = console
            .wait_for(&target, ssm_session::connect(start, options))
            .await;
        let outcome = match connected {
            Ok(session) => console.run(session?, &target).await,
            Err(signal) => Outcome::Signalled(signal),
        };
        if let Some(message) = outcome.message() {
            console.print_error(&format!("{message}\n")).await;
        }
        console.close().await;
        Ok(outcome.status().into())
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| {
            "write the name and the value with `=` between them, such as command=date".to_owned()
        })
}
