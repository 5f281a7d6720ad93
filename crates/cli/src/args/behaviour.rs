//! How a session behaves while it runs.

/// Escapes, and how long silence and outages are borne.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct BehaviourArgs {
    /// The character that makes a command of the next one at the start of a line, or `none` [default: ~]
    ///
    /// In a shell on a terminal `~.` ends the session, also while its connection is lost or the node takes nothing, and
    /// `~?` lists what else there is. It is one visible ASCII character, or ^ and a letter for a control character.
    #[arg(long, value_name = "CHAR")]
    pub escape_char: Option<String>,
    /// Ask the service for a sign of life this often, 1 to 3600 [default: 15]
    #[arg(long, value_name = "SECONDS")]
    pub keepalive: Option<String>,
    /// Take the connection for lost after so long without one, more than --keepalive, at most 3600 [default: 45]
    #[arg(long, value_name = "SECONDS")]
    pub silence: Option<String>,
    /// Try for so long to resume a session whose connection is lost, at most 86400; 0 for never [default: 600]
    #[arg(long, value_name = "SECONDS")]
    pub resume_for: Option<String>,
}
