//! `ssm-emulator serve`: an emulator for other programs.

use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::Target;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::Agent;
use super::admission::AdmissionOptions;
use super::limits::LimitOptions;

/// Serve until interrupted; give the printed address to the AWS CLI as --endpoint-url
///
/// Any credentials will do unless there is --credentials-file, but the AWS CLI wants some: AWS_ACCESS_KEY_ID=any
/// AWS_SECRET_ACCESS_KEY=any. Besides the nodes there is a container: cluster emulator, task
/// 0123456789abcdef0123456789abcdef, container app.
#[derive(Debug, Args)]
#[command(after_long_help = DEMANDS)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Allow an address that other machines can reach: whoever reaches it gets shells as you
    #[arg(long)]
    listen_anywhere: bool,
    /// A managed node, or a container as ecs:CLUSTER_TASK_RUNTIME, as often as needed [default: i-0123456789abcdef0]
    #[arg(long = "target", value_name = "INSTANCE", value_parser = super::target)]
    targets: Vec<Target>,
    /// AWS region to be in
    #[arg(long, default_value = "us-east-1")]
    region: String,
    #[command(flatten)]
    agent: Agent,
    #[command(flatten)]
    admission: AdmissionOptions,
    #[command(flatten)]
    limits: LimitOptions,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        super::runtime()?.block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<ExitCode> {
        // Before anything can be started that would need ending in order.
        let mut interrupted = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
        let mut terminated = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
        let emulator = Emulator::start(self.plan()?).await?;
        announce(&emulator.endpoint())?;
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        emulator.shutdown().await;
        Ok(ExitCode::SUCCESS)
    }

    fn plan(self) -> anyhow::Result<Plan> {
        let admission = self.admission.read()?;
        let plan = Plan {
            listen: self.listen,
            anywhere: self.listen_anywhere,
            region: self.region,
            credentials: admission.credentials,
            signed_channels: admission.signed_channels,
            refusals: admission.refusals,
            limits: self.limits.limits(),
            ..self.agent.plan()
        };
        if self.targets.is_empty() {
            return Ok(plan);
        }
        Ok(Plan {
            targets: self.targets,
            ..plan
        })
    }
}

const DEMANDS: &str = "\
While it serves, what goes wrong is asked for by POST / with a JSON body and X-Amz-Target:

  Emulator.SetFaults     {\"Stall\": [\"upgrade*2\"], \"Cut\": []}
                         These from now on, instead of those of --stall and --cut
  Emulator.CloseChannel  {\"How\": \"Bye\"}, or \"Cut\", or \"Silence\"
                         Clients lose their connections, with code 1000 or without a word, or
                         nothing on them is read or sent any more
  Emulator.FreezeAgent   {}
  Emulator.ThawAgent     {}
                         Agents handle and send nothing; their gateways answer pings

All but the first concern all sessions, or the one of a SessionId. Nobody has to sign them.";

/// The one line a program that starts the emulator waits for.
fn announce(endpoint: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "ssm-emulator ready at {endpoint}")
        .context("standard output could not be written to")
}
