//! What the shared configuration says of the network.

use std::path::PathBuf;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use crate::credentials::profiles::Profiles;

/// Settings of a profile that concern every connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkSettings {
    /// `ca_bundle`: a file with certificate authorities in PEM, which `AWS_CA_BUNDLE` goes before.
    pub ca_bundle: Option<PathBuf>,
}

/// Reads the settings of `profile`, or of the one that `AWS_PROFILE` names, from the file that
/// `AWS_CONFIG_FILE` names, `~/.aws/config` otherwise. Blocks while it reads the file.
///
/// A profile or file that does not exist or cannot be read has none; whoever needs credentials from
/// it says so.
pub fn settings(profile: Option<&str>) -> NetworkSettings {
    // The SDK reads its files at once, without ever having to wait.
    let loaded = pin!(Profiles::load(profile)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(profiles)) = loaded else {
        return NetworkSettings::default();
    };
    let path = profiles.property("ca_bundle").map(str::trim);
    NetworkSettings {
        ca_bundle: path
            .filter(|path| !path.is_empty())
            .map(|path| profiles.expanded(path)),
    }
}
