//! Why there is nobody to sign as.

use std::time::Duration;

use ssm_session::ApiErrorKind;

use crate::credentials::environment;

mod origin;
mod sorting;

pub(crate) use origin::Origin;

/// Why there are no credentials, or none that AWS accepts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Nobody has any.
    #[error(
        "no AWS credentials were found in {places}; run `aws configure` or `aws sso login`, or name a profile"
    )]
    NotFound {
        /// Where they were looked for.
        places: String,
    },
    /// The profile does not exist.
    #[error(
        "profile {profile} is neither in {} nor in {}; check its name",
        environment::config_file(),
        environment::credentials_file()
    )]
    NoProfile {
        /// The profile.
        profile: String,
    },
    /// A file is not of the form.
    #[error("the AWS configuration cannot be used: {words}; correct that line")]
    UnreadableConfiguration {
        /// Which line of which file.
        words: String,
    },
    /// The profile makes no sense.
    #[error(
        "profile {profile} cannot be used: {words}; check it in {}",
        environment::config_file()
    )]
    ProfileUnusable {
        /// The profile.
        profile: String,
        /// What is wrong with it.
        words: String,
    },
    /// Whoever gives credentials is said to be nowhere.
    #[error(
        "{name} is set to nothing, so that no credentials can be fetched; give it a URL or remove it"
    )]
    BlankEndpoint {
        /// The variable or property.
        name: &'static str,
    },
    /// There is no sign-in in the cache, or it is over.
    #[error(
        "the AWS sign-in of profile {profile} is missing or has expired; run `{command}` and try again"
    )]
    SignInExpired {
        /// The profile that signs in.
        profile: String,
        /// The command that signs in again.
        command: String,
    },
    /// The program that has the credentials failed.
    #[error(
        "credential_process of profile {profile} failed: {words}; run the command by hand to see why"
    )]
    ProcessFailed {
        /// The profile.
        profile: String,
        /// What it said.
        words: String,
    },
    /// A role that may not be assumed.
    #[error(
        "role {role} cannot be assumed: {words}; ask for sts:AssumeRole on it and for its trust"
    )]
    RoleRefused {
        /// The role.
        role: String,
        /// AWS's words.
        words: String,
    },
    /// A web identity that AWS does not accept.
    #[error(
        "the web identity token of {origin} is not accepted: {words}; renew the token, or check the role's trust policy"
    )]
    WebIdentityRefused {
        /// Whose it is.
        origin: String,
        /// AWS's words.
        words: String,
    },
    /// A role asks for a code, and there is nobody to ask.
    #[error(
        "profile {profile} needs a code of the MFA device {serial}, and there is nobody to ask for it here; \
         run `aws sts get-caller-identity --profile {profile}`, which keeps the role for an hour, and try again"
    )]
    SecondFactorMissing {
        /// The profile.
        profile: String,
        /// The device.
        serial: String,
    },
    /// The code could not be read.
    #[error("no code of the MFA device {serial} was read: {source}")]
    SecondFactorUnread {
        /// The device.
        serial: String,
        /// Why.
        source: std::io::Error,
    },
    /// The code was wrong.
    #[error(
        "the code of the MFA device {serial} is not accepted: {words}; wait for the next code and try again"
    )]
    SecondFactorRefused {
        /// The device.
        serial: String,
        /// AWS's words.
        words: String,
    },
    /// AWS accepted them once.
    #[error("the AWS credentials{} have expired: {words}; renew them and try again", of(profile.as_deref()))]
    Expired {
        /// The profile they are from, if one was named.
        profile: Option<String>,
        /// The service's words.
        words: String,
    },
    /// AWS does not take the credentials.
    #[error("AWS does not accept the credentials{}: {words}; check or renew them, and the clock of this machine", of(profile.as_deref()))]
    Rejected {
        /// The profile they are from, if one was named.
        profile: Option<String>,
        /// The service's words.
        words: String,
    },
    /// Whoever has the credentials does not answer.
    #[error(
        "the credentials of {origin} could not be fetched: {words}; check the network and the proxy"
    )]
    Unreachable {
        /// Whose they are.
        origin: String,
        /// What happened.
        words: String,
    },
    /// Whoever has the credentials takes too long.
    #[error("no credentials came within {} s; check the network, and credential_process of the profile", limit.as_secs())]
    TooSlow {
        /// How long was waited.
        limit: Duration,
    },
    /// They are there and cannot be had.
    #[error("the credentials of {origin} cannot be used: {words}; {advice}")]
    Unusable {
        /// Whose they are.
        origin: String,
        /// What the SDK found wrong.
        words: String,
        /// What to do.
        advice: String,
    },
}

/// A profile as part of a sentence; nothing if none was named.
fn of(profile: Option<&str>) -> String {
    profile.map_or_else(String::new, |profile| format!(" of profile {profile}"))
}

impl CredentialsError {
    /// Whether AWS has seen them, and does not take them, or no longer.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::Rejected { .. })
    }

    pub(crate) fn kind(&self) -> ApiErrorKind {
        match self {
            Self::SignInExpired { .. }
            | Self::ProcessFailed { .. }
            | Self::Expired { .. }
            | Self::Unreachable { .. }
            | Self::TooSlow { .. }
            | Self::Unusable { .. }
            | Self::WebIdentityRefused { .. } => ApiErrorKind::Transient,
            _ => ApiErrorKind::Refused,
        }
    }
}
