//! Who signs: the sources of credentials in the AWS CLI's order.

use std::time::Duration;
use std::time::SystemTime;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError as ProviderError;
use tokio::time::timeout;

use crate::configuration::Configuration;
use crate::configuration::Wishes;
use crate::error::CredentialsError;
use crate::error::Origin;
use crate::error::words;
use crate::second_factor::SecondFactor;

pub(crate) mod cli_cache;
pub(crate) mod environment;
pub(crate) mod profiles;
mod role;

/// For each source. A `credential_process` may have a person sign in meanwhile.
const LIMIT: Duration = Duration::from_secs(60);
/// Credentials with less time left are not used again.
const MARGIN: Duration = Duration::from_secs(60);
/// How long those without an expiry are used before they are read again: whoever wrote them into a
/// file renews them there.
const UNTIL_READ_AGAIN: Duration = Duration::from_secs(300);

/// Credentials that are used for more than one call.
pub(crate) struct Kept {
    pub(crate) credentials: Credentials,
    since: SystemTime,
}

impl Kept {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            since: SystemTime::now(),
        }
    }

    pub(crate) fn is_usable(&self, now: SystemTime) -> bool {
        let until = match self.credentials.expiry() {
            Some(expiry) => expiry.checked_sub(MARGIN),
            None => self.since.checked_add(UNTIL_READ_AGAIN),
        };
        // A clock that was set back proves nothing.
        now >= self.since && until.is_some_and(|until| now < until)
    }
}

/// The keys in the environment, if they are those to use.
pub(crate) async fn from_environment(wishes: &Wishes) -> Option<Credentials> {
    if wishes.profile.is_some() || !environment::has_keys() {
        return None;
    }
    let provider = EnvironmentVariableCredentialsProvider::new();
    provider.provide_credentials().await.ok()
}

/// A look for credentials.
pub(crate) struct Search<'a> {
    pub(crate) configuration: &'a Configuration,
    pub(crate) wishes: &'a Wishes,
    /// Whom to ask for a code.
    pub(crate) second_factor: Option<&'a dyn SecondFactor>,
    /// What the AWS CLI has kept will do. Not after AWS has refused it.
    pub(crate) trusts_cache: bool,
}

/// Looks in one place after the other.
///
/// # Errors
///
/// The first place that has credentials that cannot be used, or that none has any.
pub(crate) async fn find(search: &Search<'_>) -> Result<Credentials, CredentialsError> {
    let wishes = search.wishes;
    if let Some(credentials) = from_environment(wishes).await {
        return Ok(credentials);
    }
    let profiles = &search.configuration.profiles;
    let is_named = wishes.profile.is_some() || environment::profile().is_some();
    if is_named && !profiles.exists() {
        let profile = profiles.name().to_owned();
        return Err(CredentialsError::NoProfile { profile });
    }
    if !profiles.has_credentials() {
        return from_machine(search.configuration, wishes).await;
    }
    match profiles.roles()? {
        Some(chain) => role::assume(&chain, search).await,
        None => profile(profiles.name(), search).await,
    }
}

/// What the SDK makes of a profile without a role, unless the AWS CLI has called for it already.
async fn profile(name: &str, search: &Search<'_>) -> Result<Credentials, CredentialsError> {
    let configuration = search.configuration;
    if search.trusts_cache
        && let Some(grant) = configuration.profiles.grant(name)
        && let Some(credentials) = cli_cache::grant(&grant)
    {
        return Ok(credentials);
    }
    if configuration.profiles.calls_for_credentials(name) {
        refuse_blank_endpoint(configuration)?;
    }
    let origin = Origin::Profile {
        name: name.to_owned(),
        sign_in: configuration.profiles.sign_in_command(),
    };
    let provider = ProfileFileCredentialsProvider::builder()
        .configure(&configuration.provider)
        .with_custom_provider("Ec2InstanceMetadata", metadata(configuration))
        .profile_name(name)
        .build();
    within_limit(provider.provide_credentials())
        .await?
        .map_err(|error| CredentialsError::of(&error, &origin))
}

/// Our own clients pass over an endpoint that is set to nothing; the SDK's providers panic.
fn refuse_blank_endpoint(configuration: &Configuration) -> Result<(), CredentialsError> {
    let in_profile = configuration.profiles.property("endpoint_url");
    let in_profile = in_profile.filter(|url| url.trim().is_empty());
    let name = environment::blank_endpoint().or_else(|| in_profile.map(|_| "endpoint_url"));
    match name {
        Some(name) => Err(CredentialsError::BlankEndpoint { name }),
        None => Ok(()),
    }
}

/// What the machine has without a profile: a web identity, a container's or an instance's role.
async fn from_machine(
    configuration: &Configuration,
    wishes: &Wishes,
) -> Result<Credentials, CredentialsError> {
    let config = &configuration.provider;
    if environment::has_web_identity() {
        refuse_blank_endpoint(configuration)?;
        let provider = WebIdentityTokenCredentialsProvider::builder()
            .configure(config)
            .build();
        let found = within_limit(provider.provide_credentials()).await?;
        return found.map_err(|error| CredentialsError::of(&error, &Origin::WebIdentity));
    }
    if environment::has_container() {
        let provider = EcsCredentialsProvider::builder().configure(config).build();
        let found = within_limit(provider.provide_credentials()).await?;
        return found.map_err(|error| CredentialsError::of(&error, &Origin::Container));
    }
    match within_limit(metadata(configuration).provide_credentials()).await? {
        Ok(credentials) => Ok(credentials),
        Err(error) if is_not_there(&error) => {
            tracing::debug!(words = words(&error), "no instance metadata");
            Err(CredentialsError::NotFound {
                places: places(configuration.profiles.name(), wishes),
            })
        }
        Err(error) => Err(CredentialsError::of(&error, &Origin::InstanceMetadata)),
    }
}

/// The role of the instance, through the one client that gives up soon.
fn metadata(configuration: &Configuration) -> ImdsCredentialsProvider {
    ImdsCredentialsProvider::builder()
        .configure(&configuration.provider)
        .imds_client(configuration.metadata.clone())
        .build()
}

/// Whether there are no instance metadata to speak of, or none for us. Then nothing says that this
/// machine should have credentials.
fn is_not_there(error: &ProviderError) -> bool {
    let words = words(error);
    matches!(error, ProviderError::CredentialsNotLoaded(_))
        || words.contains("failed to load IMDS session token")
}

/// Where credentials were looked for in vain.
fn places(profile: &str, wishes: &Wishes) -> String {
    let rest = "container or instance metadata";
    if wishes.profile.is_some() {
        format!("profile {profile}, a web identity, {rest}")
    } else {
        format!("the environment, profile {profile}, a web identity, {rest}")
    }
}

async fn within_limit(
    providing: impl Future<Output = provider::Result>,
) -> Result<provider::Result, CredentialsError> {
    timeout(LIMIT, providing)
        .await
        .map_err(|_| CredentialsError::TooSlow { limit: LIMIT })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(expiry: Option<Duration>) -> (Kept, SystemTime) {
        let now = SystemTime::now();
        let expiry = expiry.map(|left| now + left);
        let kept = Kept {
            credentials: Credentials::new("A", "s", None, expiry, "test"),
            since: now,
        };
        (kept, now)
    }

    #[test]
    fn credentials_are_kept_until_shortly_before_they_expire() {
        let (kept, now) = kept(Some(Duration::from_secs(3600)));
        assert!(kept.is_usable(now));
        assert!(kept.is_usable(now + Duration::from_secs(3500)));
        assert!(!kept.is_usable(now + Duration::from_secs(3545)));
    }

    #[test]
    fn credentials_without_an_expiry_are_read_again() {
        let (kept, now) = kept(None);
        assert!(kept.is_usable(now));
        assert!(!kept.is_usable(now + UNTIL_READ_AGAIN));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_them_doubtful() {
        let (kept, now) = kept(Some(Duration::from_secs(3600)));
        assert!(!kept.is_usable(now - Duration::from_secs(1)));
    }
}
