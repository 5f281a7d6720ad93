//! The options of `ssh`.

use ssm_session_proto::Secret;

use super::AFTER_HELP;
use super::AwsArgs;
use super::BehaviourArgs;
use super::EXIT_STATUSES;
use super::NetworkArgs;
use super::secret;

/// Start a session with a node or container, and open its shell
///
/// Calls StartSession with credentials from wherever the AWS CLI takes them, and runs the session on this terminal. The
/// session's id goes to standard error. Standard output carries the session's output and nothing else, and the exit
/// status is the remote command's where the session has one. A document that runs a command or forwards a port does that
/// instead of a shell.
///
/// The session is ended at the service when this program ends. A connection that is lost is resumed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUSES, after_long_help = AFTER_HELP)]
pub(crate) struct SshArgs {
    /// The node or container: i-…, mi-…, ssm-… or ecs:CLUSTER_TASK_RUNTIME
    ///
    /// i-… is an EC2 instance, mi-… and ssm-… are machines elsewhere that Systems Manager manages. For a container of an
    /// ECS task the cluster's name, the task's id and the container's runtime id follow each other with underscores.
    #[arg(long, value_name = "ID")]
    pub target: Option<String>,
    /// The session document [default: SSM-SessionManagerRunShell]
    #[arg(long, value_name = "NAME")]
    pub document_name: Option<String>,
    /// The document's parameters: a JSON object whose values are texts or lists of texts
    ///
    /// Such as '{"command": ["uptime"]}' for AWS-StartNonInteractiveCommand, or
    /// '{"portNumber": "5432", "localPortNumber": "15432"}' for AWS-StartPortForwardingSession.
    #[arg(long, value_name = "JSON", value_parser = secret)]
    pub parameters: Option<Secret>,
    /// Why you open this session, for the account's records; up to 256 characters
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub behaviour: BehaviourArgs,
    /// Start another session for a forward whose session ended by itself or cannot be resumed
    ///
    /// The port stays open, connections to it wait, and those of the old session are ended. New sessions are tried for as
    /// long as --resume-for says.
    #[arg(long)]
    pub restart: bool,
}
