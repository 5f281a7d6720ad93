//! The kinds of session.

use serde_json::Value;
use serde_json::json;
use ssm_session_proto::AgentConfig;
use ssm_session_proto::AgentEncryption;
use ssm_session_proto::AgentWays;
use ssm_session_proto::ChallengeMode;
use ssm_session_proto::SessionType;

use crate::support::ends;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Shell,
    Encrypted(ChallengeMode),
    /// Without terminal, its streams separate.
    Command,
    Stdio,
    Basic,
    Multiplexed,
}

impl Kind {
    pub(super) fn of(byte: u8) -> Self {
        match byte % 8 {
            0 => Self::Shell,
            1 => Self::Encrypted(ChallengeMode::Absent),
            2 => Self::Encrypted(ChallengeMode::Offered),
            3 => Self::Encrypted(ChallengeMode::Required),
            4 => Self::Command,
            5 => Self::Stdio,
            6 => Self::Basic,
            _ => Self::Multiplexed,
        }
    }

    pub(super) fn has_handshake(self) -> bool {
        self != Self::Shell
    }

    pub(super) fn is_port(self) -> bool {
        matches!(self, Self::Stdio | Self::Basic | Self::Multiplexed)
    }

    pub(super) fn agent_config(self, ways: AgentWays) -> AgentConfig {
        let session_type = match self {
            Self::Shell | Self::Encrypted(_) => SessionType::STANDARD_STREAM,
            Self::Command => SessionType::NON_INTERACTIVE_COMMANDS,
            Self::Stdio | Self::Basic | Self::Multiplexed => SessionType::PORT,
        };
        let encryption = match self {
            Self::Encrypted(challenge) => Some(AgentEncryption {
                key_id: "alias/session".to_owned(),
                challenge,
            }),
            _ => None,
        };
        let forward = json!({"type": "LocalPortForwarding", "portNumber": "80"});
        let (properties, version) = match self {
            Self::Basic => (forward, "3.0.196.0"),
            Self::Multiplexed => (forward, "3.3.0.0"),
            _ => (Value::Null, "3.3.0.0"),
        };
        AgentConfig {
            session_type,
            encryption,
            properties,
            agent_version: version.to_owned(),
            separate_output: self == Self::Command,
            ways,
            ..ends::agent_config()
        }
    }
}
