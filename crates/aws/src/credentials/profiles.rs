//! The shared configuration: `~/.aws/config` and `~/.aws/credentials`.

use std::borrow::Cow;
use std::path::PathBuf;

use aws_config::profile::Profile;
use aws_config::profile::ProfileSet;
use aws_credential_types::Credentials;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::Env;
use aws_types::os_shim_internal::Fs;

use crate::credentials::environment;
use crate::error::CredentialsError;

/// All profiles, and which of them is used.
#[derive(Debug)]
pub(crate) struct Profiles {
    set: ProfileSet,
    name: String,
}

/// Roles that are assumed one with the other's credentials, and where it begins.
#[derive(Debug)]
pub(crate) struct RoleChain {
    pub(crate) base: Base,
    /// In the order in which they are assumed.
    pub(crate) roles: Vec<Role>,
}

/// Where the first role's credentials come from.
#[derive(Debug)]
pub(crate) enum Base {
    /// A profile without a role.
    Profile(String),
    /// Keys that stand in a profile.
    Keys(Credentials),
    /// A `credential_source`.
    Source(String),
}

/// A role as a profile describes it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) profile: String,
    pub(crate) arn: String,
    pub(crate) mfa_serial: Option<String>,
    pub(crate) session_name: Option<String>,
    pub(crate) external_id: Option<String>,
    /// Seconds.
    pub(crate) duration: Option<i32>,
}

/// A role that a sign-in grants.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) account_id: String,
    pub(crate) role_name: String,
    /// The section that says where to sign in.
    pub(crate) session: Option<String>,
    /// Where to sign in, in the older form.
    pub(crate) start_url: Option<String>,
}

impl Profiles {
    /// Reads the files. The profile is `name`, or that of the environment, or `default`.
    ///
    /// # Errors
    ///
    /// A file that is not of the form.
    pub(crate) async fn load(name: Option<&str>) -> Result<Self, CredentialsError> {
        let name = name.map_or_else(environment::profile, |name| Some(name.to_owned()));
        let files = EnvConfigFiles::default();
        let set = aws_config::profile::load(
            &Fs::real(),
            &Env::real(),
            &files,
            name.clone().map(Cow::Owned),
        )
        .await
        .map_err(|error| CredentialsError::unreadable_configuration(&error))?;
        Ok(Self {
            set,
            name: name.unwrap_or_else(|| DEFAULT.to_owned()),
        })
    }

    /// The name of the profile that is used.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the profile that is used is there at all.
    pub(crate) fn exists(&self) -> bool {
        self.set.get_profile(&self.name).is_some()
    }

    /// A property of the profile that is used.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.set.get_profile(&self.name)?.get(name)
    }

    /// Whether the profile that is used says where credentials come from.
    pub(crate) fn has_credentials(&self) -> bool {
        self.set
            .get_profile(&self.name)
            .is_some_and(|profile| SOURCES.iter().any(|key| profile.get(key).is_some()))
    }

    /// A path as the files write it, with `~` for the home directory.
    pub(crate) fn expanded(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), environment::home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// The command that signs in for the profile that is used, which may take its credentials from
    /// another one.
    pub(crate) fn sign_in_command(&self) -> String {
        let mut name = self.name.as_str();
        let mut command = "aws sso login";
        for _ in 0..MAX_CHAIN {
            let Some(profile) = self.set.get_profile(name) else {
                break;
            };
            if profile.get("login_session").is_some() {
                command = "aws login";
                break;
            }
            match profile.get(SOURCE_PROFILE) {
                Some(source) if !signs_in(profile) => name = source,
                _ => break,
            }
        }
        if name == DEFAULT {
            command.to_owned()
        } else {
            format!("{command} --profile {name}")
        }
    }

    /// The roles of the profile that is used, unless it is one without. They are not left to the
    /// SDK, which takes no notice of second factors, durations and the AWS CLI's cache.
    ///
    /// # Errors
    ///
    /// A chain that leads nowhere.
    pub(crate) fn roles(&self) -> Result<Option<RoleChain>, CredentialsError> {
        let mut roles = Vec::new();
        let mut name = self.name.as_str();
        let base = loop {
            let Some(profile) = self.set.get_profile(name) else {
                if roles.is_empty() {
                    return Ok(None);
                }
                return Err(self.unusable(format!("its source_profile {name} does not exist")));
            };
            if !roles.is_empty()
                && let Some(keys) = keys(profile)
            {
                break Base::Keys(keys);
            }
            let Some(role) = role(profile) else {
                if roles.is_empty() {
                    return Ok(None);
                }
                break Base::Profile(name.to_owned());
            };
            if roles.len() == MAX_CHAIN {
                return Err(self.unusable("its chain of source_profile does not end"));
            }
            roles.push(role);
            match (
                profile.get(SOURCE_PROFILE),
                profile.get("credential_source"),
            ) {
                (Some(source), None) if source == name => match keys(profile) {
                    Some(keys) => break Base::Keys(keys),
                    None => return Err(self.unusable("it is its own source_profile, without keys")),
                },
                (Some(source), None) => name = source,
                (None, Some(source)) => break Base::Source(source.to_owned()),
                // The SDK explains.
                _ => return Ok(None),
            }
        };
        roles.reverse();
        Ok(Some(RoleChain { base, roles }))
    }

    /// Whether calls are made for the credentials of `profile` by the SDK.
    pub(crate) fn calls_for_credentials(&self, profile: &str) -> bool {
        self.set
            .get_profile(profile)
            .is_some_and(|profile| CALLERS.iter().any(|key| profile.get(key).is_some()))
    }

    /// What `profile` signs in for, if it does.
    pub(crate) fn grant(&self, profile: &str) -> Option<Grant> {
        let profile = self.set.get_profile(profile)?;
        let property = |name| profile.get(name).map(str::to_owned);
        Some(Grant {
            account_id: property("sso_account_id")?,
            role_name: property("sso_role_name")?,
            session: property("sso_session"),
            start_url: property("sso_start_url"),
        })
    }

    fn unusable(&self, words: impl Into<String>) -> CredentialsError {
        CredentialsError::ProfileUnusable {
            profile: self.name.clone(),
            words: words.into(),
        }
    }
}

fn signs_in(profile: &Profile) -> bool {
    profile.get("sso_session").is_some() || profile.get("sso_start_url").is_some()
}

fn role(profile: &Profile) -> Option<Role> {
    // A web identity needs no other credentials to begin with.
    if profile.get("web_identity_token_file").is_some() {
        return None;
    }
    let property = |name| profile.get(name).map(str::to_owned);
    Some(Role {
        profile: profile.name().to_owned(),
        arn: property("role_arn")?,
        mfa_serial: property("mfa_serial"),
        session_name: property("role_session_name"),
        external_id: property("external_id"),
        // Like the AWS CLI, which takes no notice of what is no number.
        duration: profile
            .get("duration_seconds")
            .and_then(|text| text.trim().parse().ok()),
    })
}

fn keys(profile: &Profile) -> Option<Credentials> {
    let mut builder = Credentials::builder()
        .access_key_id(profile.get("aws_access_key_id")?)
        .secret_access_key(profile.get("aws_secret_access_key")?)
        .provider_name("profile");
    builder.set_session_token(profile.get("aws_session_token").map(str::to_owned));
    Some(builder.build())
}

const DEFAULT: &str = "default";
const SOURCE_PROFILE: &str = "source_profile";
/// More profiles than anybody chains: a loop.
const MAX_CHAIN: usize = 32;
/// What makes a profile one that the SDK calls STS, SSO or the console for.
const CALLERS: [&str; 4] = [
    "login_session",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];
/// What makes a profile one with credentials.
const SOURCES: [&str; 10] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "credential_process",
    "credential_source",
    "login_session",
    "role_arn",
    "sso_account_id",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];
