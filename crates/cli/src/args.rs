//! The command line of our own; the one of AWS's plugin is in `compat`.

use std::convert::Infallible;

use clap::Parser;
use clap::Subcommand;
use ssm_session_proto::Secret;

mod behaviour;
mod log;
mod network;
mod ssh;

pub(crate) use behaviour::BehaviourArgs;
pub(crate) use log::LogArgs;
pub(crate) use network::AwsArgs;
pub(crate) use network::NetworkArgs;
pub(crate) use ssh::SshArgs;

/// Connect to sessions of AWS Systems Manager Session Manager
///
/// The AWS CLI and other tools start this program in place of AWS's session-manager-plugin, with arguments of their
/// own: a StartSession response (or the name of an environment variable that holds it), a region, `StartSession`, and
/// optionally a profile, the request and an endpoint. Then it behaves exactly as AWS's plugin does. Everything below
/// is for use by hand and in scripts.
#[derive(Debug, Parser)]
#[command(name = "session-manager-plugin", disable_version_flag = true, after_help = EXIT_STATUSES, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    pub log: LogArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Ssh(Box<SshArgs>),
    Connect(Box<ConnectArgs>),
    /// Print this program's version, and the one it reports to AWS
    Version,
}

/// Connect to a session that was started elsewhere
///
/// Takes what StartSession answered (`aws ssm start-session` calls it, as every AWS SDK can): as one JSON argument, as
/// options, or in the environment variable AWS_SSM_START_SESSION_RESPONSE. Standard output carries the session's output
/// and nothing else, standard error the session's standard error, and the exit status is the remote command's where
/// the session has one.
///
/// A session that forwards a port takes connections on this machine, at 127.0.0.1 and ::1 or at a Unix socket, until
/// Ctrl-C; standard error says where. A session by AWS-StartSSHSession is one connection over standard input and output,
/// as ssh wants it of a ProxyCommand.
///
/// The token lets whoever has it into the session, and arguments can be read by every user of this machine. Hand it
/// over in an environment variable or on standard input wherever others are logged in.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUSES, after_long_help = AFTER_HELP)]
pub(crate) struct ConnectArgs {
    /// StartSession's response as JSON, keys in any case; `-` reads it from standard input
    ///
    /// It may also hold the other options by their AWS names: Target, DocumentName, SessionType, ClientId, Parameters,
    /// Profile, Region, EndpointUrl. From standard input it is read up to the end of the line that closes the object;
    /// what follows is the session's input.
    #[arg(value_name = "JSON", value_parser = secret)]
    pub response: Vec<Secret>,
    /// SessionId of StartSession's response
    #[arg(long, value_name = "ID")]
    pub session_id: Option<String>,
    /// StreamUrl of StartSession's response, beginning with wss://
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub stream_url: Option<Secret>,
    /// TokenValue of StartSession's response; `-` reads it from standard input
    ///
    /// `-` takes the first line; what follows is the session's input. Without this option the environment variable
    /// SSM_SESSION_TOKEN is read and removed. Either keeps the token out of the list of processes, where an argument
    /// shows.
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    pub token_value: Option<Secret>,
    /// The node, as it was named to StartSession; sessions encrypted with KMS need it
    #[arg(long, value_name = "ID")]
    pub target: Option<String>,
    /// The session document, as it was named to StartSession
    #[arg(long, value_name = "NAME")]
    pub document_name: Option<String>,
    /// Standard_Stream, InteractiveCommands, NonInteractiveCommands or Port, if known
    #[arg(long, value_name = "TYPE")]
    pub session_type: Option<String>,
    /// The identifier to report to the service, a UUID; a new one unless given
    #[arg(long, value_name = "UUID")]
    pub client_id: Option<String>,
    /// The document's parameters as given to StartSession, a JSON object
    ///
    /// A local port or Unix socket that they name is opened before anything else, so that one that is in use is told
    /// at once.
    #[arg(long, value_name = "JSON", value_parser = secret)]
    pub parameters: Option<Secret>,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub behaviour: BehaviourArgs,
    /// Allow a stream URL with ws:// to another machine
    ///
    /// Token and keystrokes then travel readable by everyone on the way. To this machine itself ws:// is always
    /// allowed.
    #[arg(long)]
    pub allow_plain: bool,
}

/// Takes any text; clap would show one it refused.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

macro_rules! exit_statuses {
    () => {
        "\
Exit status: the remote command's where there is one, else 0; 1 no session, or cut off; 2 mistakes in the arguments; \
128 and its number after a signal; 255 a mistake in this program."
    };
}

const EXIT_STATUSES: &str = exit_statuses!();

const AFTER_HELP: &str = concat!(
    exit_statuses!(),
    "

Environment, also for use as a drop-in:
  AWS_PROFILE, AWS_REGION and all others of the AWS CLI
      as there, and so are ~/.aws/config and credentials of every kind
  HTTPS_PROXY, ALL_PROXY, NO_PROXY
      proxies: http://, https:// or socks5://, with user:password@ if needed
  AWS_CA_BUNDLE
      a PEM file with certificate authorities to trust besides the system's;
      ca_bundle of the profile unless set
  SSL_CERT_FILE
      another, as in programs that use OpenSSL
  SSM_SESSION_ALLOW_STREAM_HOSTS
      as --allow-stream-host, separated by commas
  SSM_SESSION_STREAM_HOST
      as --stream-host
  SSM_SESSION_ESCAPE_CHAR, SSM_SESSION_KEEPALIVE, SSM_SESSION_SILENCE,
  SSM_SESSION_RESUME_FOR
      as --escape-char, --keepalive, --silence and --resume-for
  SSM_SESSION_LOG
      a level (error to trace, 1 for debug, 0 for none): as --log
  SSM_SESSION_LOG_FILE
      as --log-file, for use as a drop-in alone
  SSM_PLUGIN_SKIP_CLIENT_CONFIGURE
      `true` leaves the session's connection unsigned; KMS, resuming and
      ending by the API still look for credentials when they need them
  SSM_SESSION_CONFIG
      the configuration file

Configuration file: ~/.config/session-manager-plugin/config.toml, below
$XDG_CONFIG_HOME if that is set, on Windows below %APPDATA%
  allow-stream-hosts = [\"HOST\", ...]
      as --allow-stream-host
  stream-host = \"HOST[:PORT]\"
      as --stream-host
  escape-char = \"CHAR\", keepalive = SECONDS, silence = SECONDS,
  resume-for = SECONDS
      as the options of these names
  log = \"LEVEL\"
      as SSM_SESSION_LOG"
);

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_session_names_the_ways_to_set_how_it_behaves() {
        for command in ["ssh", "connect"] {
            let help = Args::try_parse_from(["session-manager-plugin", command, "--help"]);
            let help = help.unwrap_err().to_string();
            for name in ["escape-char", "keepalive", "silence", "resume-for"] {
                let variable = name.replace('-', "_").to_uppercase();
                let variable = format!("SSM_SESSION_{variable}");
                for words in [format!("--{name} <"), variable, format!("{name} = ")] {
                    assert!(help.contains(&words), "{command}: {words}");
                }
            }
        }
    }

    #[test]
    fn the_help_says_why_the_token_does_not_belong_in_an_argument() {
        let help = Args::try_parse_from(["session-manager-plugin", "connect", "--help"])
            .unwrap_err()
            .to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            help.contains("arguments can be read by every user of this machine"),
            "{help}"
        );
        assert!(help.contains("SSM_SESSION_TOKEN"), "{help}");
    }
}
