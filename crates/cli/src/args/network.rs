//! Options of every command that reaches a session.

/// Where credentials come from, and where Systems Manager is.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct AwsArgs {
    /// Take credentials and settings from this profile alone; AWS_PROFILE unless given
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// The session's region; AWS_REGION or the profile's unless given
    #[arg(long, value_name = "NAME")]
    pub region: Option<String>,
    /// Reach the Systems Manager API here instead of at the region's endpoint; http or https
    ///
    /// It is for that API alone: sign-in, roles and KMS stay where they are.
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

/// Where the session's connection may lead.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct NetworkArgs {
    /// Let the session's connection lead to this host, besides AWS's own and this machine; may be repeated
    ///
    /// A name, `*.` and a name for all below it, or `*` for any host. Whoever is at the other end gets the session's
    /// token and everything typed.
    #[arg(long, value_name = "HOST")]
    pub allow_stream_host: Vec<String>,
    /// Connect to this host in place of the one AWS names, such as a VPC endpoint or a relay
    #[arg(long, value_name = "HOST[:PORT]")]
    pub stream_host: Option<String>,
}
