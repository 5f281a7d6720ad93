//! Where credentials come from.

use std::fmt;

use crate::credentials::environment;

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Environment,
    Profile {
        name: String,
        /// The command that signs in.
        sign_in: String,
    },
    WebIdentity,
    Container,
    InstanceMetadata,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::Profile { name, .. } => write!(f, "profile {name}"),
            Self::WebIdentity => f.write_str("AWS_WEB_IDENTITY_TOKEN_FILE"),
            Self::Container => f.write_str("the container"),
            Self::InstanceMetadata => f.write_str("the instance metadata"),
        }
    }
}

impl Origin {
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Environment => "check the variables that begin with AWS_".to_owned(),
            Self::Profile { name, .. } => {
                format!("check profile {name} in {}", environment::config_file())
            }
            Self::WebIdentity => "check AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN".to_owned(),
            Self::Container => "check the variables that begin with AWS_CONTAINER_".to_owned(),
            Self::InstanceMetadata => {
                "check the role of this instance, or name a profile".to_owned()
            }
        }
    }
}
