//! What an emulator is asked to be, before it starts.

mod faults;

pub use self::faults::Faults;

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

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
    /// The managed nodes. Their shells all run here, as the user of this process.
    pub targets: Vec<Target>,
    /// How fast the agent sends.
    pub pacing: Pacing,
    /// The version the agent reports and behaves like: up to `3.0.196.0` it knows no multiplexed port sessions, up to
    /// `2.3.722.0` no flag that ends them (`docs/PROTOCOL.md` 5.2).
    pub agent_version: String,
    /// Most bytes in a message of the agent in a port session, from [`MIN_AGENT_PAYLOAD`](Self::MIN_AGENT_PAYLOAD) to
    /// [`MAX_AGENT_PAYLOAD`](Self::MAX_AGENT_PAYLOAD). Real agents send 1024.
    pub agent_payload: usize,
    /// What goes wrong between client and agent.
    pub faults: Faults,
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
            pacing: Pacing::default(),
            agent_version: Self::AGENT_VERSION.to_owned(),
            agent_payload: 1024,
            faults: Faults::default(),
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

/// One emulated managed node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    id: String,
    connected: bool,
}

impl Target {
    /// Takes an instance id: `i-` with 8 or 17 lower-case hexadecimal digits, or `mi-` with 17.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] for anything else.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidTarget> {
        let id = id.into();
        let well_formed = match id.split_once('-') {
            Some(("i", digits)) => matches!(digits.len(), 8 | 17) && is_hex(digits),
            Some(("mi", digits)) => digits.len() == 17 && is_hex(digits),
            _ => false,
        };
        if well_formed {
            Ok(Self {
                id,
                connected: true,
            })
        } else {
            Err(InvalidTarget { id })
        }
    }

    /// A node the service knows but whose agent is not connected.
    #[must_use]
    pub fn disconnected(self) -> Self {
        Self {
            connected: false,
            ..self
        }
    }

    /// The instance id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether sessions can be started on it.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether it is an EC2 instance rather than a hybrid node.
    pub fn is_ec2(&self) -> bool {
        self.id.starts_with("i-")
    }
}

/// `i-0123456789abcdef0`, connected.
impl Default for Target {
    fn default() -> Self {
        Self {
            id: "i-0123456789abcdef0".to_owned(),
            connected: true,
        }
    }
}

/// The text is no instance id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{id}` is not an instance id: write `i-` and 8 or 17 hexadecimal digits, or `mi-` and 17, such as i-0123456789abcdef0"
)]
pub struct InvalidTarget {
    id: String,
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

fn is_hex(digits: &str) -> bool {
    digits
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_ids_of_both_kinds_are_targets() {
        for id in ["i-0123456789abcdef0", "i-01234567", "mi-0123456789abcdef0"] {
            assert_eq!(Target::new(id).unwrap().id(), id);
        }
    }

    #[test]
    fn anything_else_is_no_target() {
        for id in [
            "",
            "i-",
            "i-0123",
            "i-0123456789ABCDEF0",
            "mi-01234567",
            "ecs:a_b_c",
            "x",
        ] {
            let error = Target::new(id).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{id}` is not an instance id")),
                "{error}"
            );
        }
    }
}
