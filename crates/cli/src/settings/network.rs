//! How AWS is reached: proxies, certificate authorities, and where a session's connection may lead.

use std::fs::File;
use std::io;
use std::path::Path;

use ssm_session::Connector;
use ssm_session::Proxies;
use ssm_session::StreamPolicy;
use ssm_session::StreamUrlError;
use ssm_session::Timeouts;
use ssm_session::Trust;

use super::config_file::ConfigFile;
use super::mistakes::Mistakes;
use super::placed::Placed;
use super::variables::Variables;
use crate::args::NetworkArgs;
use crate::env_vars;

/// The way to AWS, for the session's connection and the API alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) connector: Connector,
    pub(crate) policy: StreamPolicy,
    /// Whether the session's connection is left unsigned.
    pub(crate) unsigned: bool,
}

impl Network {
    /// Takes options, environment and configuration file together, in this order of rank. `profile` may name further
    /// certificate authorities.
    pub(crate) fn read(
        args: &NetworkArgs,
        profile: Option<&str>,
        variables: Variables<'_>,
        file: &ConfigFile,
        mistakes: &mut Mistakes,
    ) -> Self {
        let proxies = mistakes
            .keep(
                "environment",
                Proxies::from_variables(|name| variables.raw(name)),
            )
            .unwrap_or_default();
        let trust = trust(profile, variables, mistakes);
        let skips = variables.text(env_vars::SKIP_CLIENT_CONFIGURE, mistakes);
        Self {
            connector: Connector::new(trust, Timeouts::default()).with_proxies(proxies),
            policy: policy(args, variables, file, mistakes),
            unsigned: skips.is_some_and(|value| value.eq_ignore_ascii_case("true")),
        }
    }
}

/// The system's authorities, and those that the user's files add. The files are opened here, so that one that cannot be
/// is told by its name; what is in them is looked at by the first secure connection.
fn trust(profile: Option<&str>, variables: Variables<'_>, mistakes: &mut Mistakes) -> Trust {
    let mut trust = Trust::default();
    let bundle = match variables.path(env_vars::AWS_CA_BUNDLE) {
        Some(path) => Some((env_vars::AWS_CA_BUNDLE, path)),
        None => ssm_session_aws::settings(profile)
            .ca_bundle
            .map(|path| ("ca_bundle in the AWS configuration", path)),
    };
    if let Some((place, path)) = bundle
        && let Some(contents) = mistakes.keep(place, readable(&path, std::fs::read(&path)))
    {
        trust = trust.with_pem(format!("{place} ({})", path.display()), contents);
    }
    let place = env_vars::SSL_CERT_FILE;
    if let Some(path) = variables.path(place) {
        if SYSTEM_HEEDS_SSL_CERT_FILE {
            // There it is the system's store, which is not to be looked through twice.
            mistakes.keep(place, readable(&path, File::open(&path)));
        } else if let Some(contents) = mistakes.keep(place, readable(&path, std::fs::read(&path))) {
            trust = trust.with_pem(format!("{place} ({})", path.display()), contents);
        }
    }
    trust
}

fn readable<T>(path: &Path, read: io::Result<T>) -> Result<T, String> {
    read.map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// Whether the store of the system is that of OpenSSL, which the variable names.
const SYSTEM_HEEDS_SSL_CERT_FILE: bool = cfg!(all(unix, not(target_vendor = "apple")));

fn policy(
    args: &NetworkArgs,
    variables: Variables<'_>,
    file: &ConfigFile,
    mistakes: &mut Mistakes,
) -> StreamPolicy {
    let mut policy = StreamPolicy::default();
    let allow = |policy: &mut StreamPolicy, place: &str, host: &str, mistakes: &mut Mistakes| {
        if let Some(wider) = mistakes.keep(place, policy.clone().allow_host(host)) {
            *policy = wider;
        }
    };
    for host in &args.allow_stream_host {
        allow(&mut policy, "--allow-stream-host", host, mistakes);
    }
    let listed = variables.text(env_vars::ALLOW_STREAM_HOSTS, mistakes);
    let listed = listed.iter().flat_map(|list| list.split(','));
    for host in listed.map(str::trim).filter(|host| !host.is_empty()) {
        allow(&mut policy, env_vars::ALLOW_STREAM_HOSTS, host, mistakes);
    }
    for host in file.allowed_hosts() {
        allow(&mut policy, &host.place, &host.value, mistakes);
    }
    let replacement = Placed::option("--stream-host", args.stream_host.as_deref())
        .or_else(|| variables.placed(env_vars::STREAM_HOST, mistakes))
        .or_else(|| file.stream_host());
    if let Some(Placed { value, place }) = replacement {
        let replaced = mistakes.keep(place, policy.clone().replace_host(&value));
        policy = replaced.unwrap_or(policy);
    }
    policy
}

/// Why a stream URL is not taken, and, where it is for its host, how it can be.
pub(crate) fn refusal(error: &StreamUrlError) -> String {
    match error {
        StreamUrlError::Forbidden(_) => format!(
            "{error} (--allow-stream-host or --stream-host, {} or {}, allow-stream-hosts or stream-host in the \
             configuration file)",
            env_vars::ALLOW_STREAM_HOSTS,
            env_vars::STREAM_HOST
        ),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
