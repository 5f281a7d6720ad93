//! What an emulator is asked to be, before it starts.

mod connect;
mod credentials;
mod faults;
mod limits;
mod refusal;
mod target;

pub use self::connect::ConnectFault;
pub use self::connect::ConnectStep;
pub use self::connect::Failure;
pub use self::connect::InvalidConnectFault;
pub use self::credentials::Credentials;
pub use self::credentials::InvalidCredentials;
pub use self::faults::Faults;
pub use self::limits::Limits;
pub use self::refusal::InvalidRefusal;
pub use self::refusal::Refusal;
pub(crate) use self::target::Container;
pub use self::target::InvalidTarget;
pub use self::target::Target;

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use ssm_session_proto::AgentWays;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::MAX_FRAME;
use ssm_session_proto::OVERHEAD;
use uuid::Uuid;

use crate::documents::Document;

/// Everything that can be chosen about an emulator.
///
/// The default listens on a free loopback port and has one target, one KMS key and the built-in documents.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Address to listen on; port 0 takes a free one. Anything but loopback also needs `anywhere`.
    pub listen: SocketAddr,
    /// Allows a `listen` address that other machines can reach: whoever reaches it gets shells.
    pub anywhere: bool,
    /// AWS region the emulator says it is in.
    pub region: String,
    /// The managed nodes and containers. Their shells all run here, as the user of this process. Without a container
    /// in the list there is [`Target::CONTAINER`] besides.
    pub targets: Vec<Target>,
    /// Who is let in: requests must be signed with one of these. If there are none, everybody is, and no signature is
    /// looked at.
    pub credentials: Vec<Credentials>,
    /// Whether the opening of a data channel must be signed as well; if it is signed it must be right in any case
    /// (`docs/PROTOCOL.md` 2.1).
    pub signed_channels: bool,
    /// Operations that are refused on purpose. Of several for one operation the first that is not used up counts.
    pub refusals: Vec<Refusal>,
    /// How fast the agent sends.
    pub pacing: Pacing,
    /// The version the agent reports and behaves like: up to `3.0.196.0` it knows no multiplexed port sessions, up to
    /// `2.3.722.0` no flag that ends them (`docs/PROTOCOL.md` 5.2).
    pub agent_version: String,
    /// Most bytes in a message of the agent in a port session, from [`MIN_AGENT_PAYLOAD`](Self::MIN_AGENT_PAYLOAD) to
    /// [`MAX_AGENT_PAYLOAD`](Self::MAX_AGENT_PAYLOAD). Real agents send 1024.
    pub agent_payload: usize,
    /// In what the agent is as odd as AWS's.
    pub agent_ways: AgentWays,
    /// What goes wrong between client and agent.
    pub faults: Faults,
    /// What goes wrong while clients connect. Of several for one step the first that is not used up counts.
    pub connect_faults: Vec<ConnectFault>,
    /// How long sessions, channels and tokens last.
    pub limits: Limits,
    /// Keys of the emulated KMS.
    pub kms_keys: Vec<KmsKey>,
    /// Whether the agent asks for a random challenge in the encryption context (`docs/PROTOCOL.md` 6).
    pub challenge: ChallengeMode,
    /// Session documents besides the built-in ones; one of the same name replaces the built-in.
    pub documents: Vec<Document>,
    /// How long a client may take to send the first frame of a data channel.
    pub open_limit: Duration,
}

impl Plan {
    /// The version the agent reports unless told otherwise: four components, and above every number a client asks
    /// for (`docs/PROTOCOL.md` 5.2).
    pub const AGENT_VERSION: &str = "3.3.3572.0";
    /// The least value of `agent_payload`: a few headers of a multiplexed session.
    pub const MIN_AGENT_PAYLOAD: usize = 64;
    /// The largest value of `agent_payload`: with its header it fits the largest frame clients take.
    pub const MAX_AGENT_PAYLOAD: usize = MAX_FRAME - OVERHEAD;

    /// What makes no sense, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.listen.ip().is_loopback() && !self.anywhere {
            return Err(format!(
                "cannot listen on {}: it can be reached from other machines, and whoever reaches the emulator gets a shell here; \
                 listen on 127.0.0.1, or allow it with --listen-anywhere (in a plan: `anywhere`)",
                self.listen
            ));
        }
        let (least, most) = (Self::MIN_AGENT_PAYLOAD, Self::MAX_AGENT_PAYLOAD);
        if !(least..=most).contains(&self.agent_payload) {
            return Err(format!(
                "the agent cannot send payloads of up to {} bytes; the limit must be from {least} to {most}",
                self.agent_payload
            ));
        }
        if self.signed_channels && self.credentials.is_empty() {
            return Err(
                "data channels cannot be required to be signed without credentials to sign with; \
                 give some with --credentials-file (in a plan: `credentials`)"
                    .to_owned(),
            );
        }
        for credentials in &self.credentials {
            credentials.check()?;
        }
        self.limits.check()?;
        self.faults.check()
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            anywhere: false,
            region: "us-east-1".to_owned(),
            targets: vec![Target::default()],
            credentials: Vec::new(),
            signed_channels: false,
            refusals: Vec::new(),
            pacing: Pacing::default(),
            agent_version: Self::AGENT_VERSION.to_owned(),
            agent_payload: 1024,
            agent_ways: AgentWays::default(),
            faults: Faults::default(),
            connect_faults: Vec::new(),
            limits: Limits::default(),
            kms_keys: vec![KmsKey::default()],
            challenge: ChallengeMode::Offered,
            documents: Vec::new(),
            open_limit: Duration::from_secs(15),
        }
    }
}

/// How fast the emulated agent sends what its command writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// As the real agent: 1 s before the first output of a terminal, 1 ms after each message
    /// (`docs/PROTOCOL.md` 7.0).
    #[default]
    Agent,
    /// No waits at all.
    None,
}

/// One key of the emulated KMS. Its key material is made anew at every start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    /// The key id, the last part of its ARN.
    pub id: Uuid,
    /// Its aliases, each with the leading `alias/`.
    pub aliases: Vec<String>,
    /// A disabled key answers every request with `DisabledException`.
    pub enabled: bool,
}

/// `1234abcd-12ab-34cd-56ef-1234567890ab`, enabled, known as `alias/emulator-session`.
impl Default for KmsKey {
    fn default() -> Self {
        Self {
            id: Uuid::from_u128(0x1234_abcd_12ab_34cd_56ef_1234_5678_90ab),
            aliases: vec!["alias/emulator-session".to_owned()],
            enabled: true,
        }
    }
}
