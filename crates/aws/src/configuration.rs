//! Everything that calls need besides credentials: region, endpoints, clients.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_config::imds;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_async::rt::sleep::TokioSleep;
use ssm_session::Connector;

use crate::clock::Clock;
use crate::credentials::environment;
use crate::credentials::profiles::Profiles;
use crate::error::AwsError;
use crate::http::Http;
use crate::second_factor::SecondFactor;

mod endpoints;
mod signer;

pub(crate) use signer::Signer;

/// For a call with its retries: less than the session waits, so that the reason gets there.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// For all that is asked of the instance metadata at once, which mostly are not there.
const METADATA_LIMIT: Duration = Duration::from_millis(1500);
/// To reach the instance metadata, and for each answer.
const METADATA_STEP: Duration = Duration::from_secs(1);

/// What the caller wants.
#[derive(Clone)]
pub(crate) struct Wishes {
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) second_factor: Option<Arc<dyn SecondFactor>>,
    pub(crate) http: Http,
}

impl Wishes {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            region: None,
            profile: None,
            endpoint: None,
            second_factor: None,
            http: Http::new(connector, Clock::default()),
        }
    }
}

/// What was found in the environment and the files.
pub(crate) struct Configuration {
    pub(crate) region: String,
    pub(crate) profiles: Profiles,
    pub(crate) sdk: SdkConfig,
    /// For the SDK's own providers of credentials.
    pub(crate) provider: ProviderConfig,
    pub(crate) metadata: imds::Client,
    pub(crate) signer: Signer,
    endpoint: Option<String>,
    ssm: OnceLock<aws_sdk_ssm::Client>,
    kms: OnceLock<aws_sdk_kms::Client>,
}

impl Configuration {
    /// # Errors
    ///
    /// Files that cannot be used, or no region.
    pub(crate) async fn load(wishes: &Wishes) -> Result<Self, AwsError> {
        let profiles = Profiles::load(wishes.profile.as_deref()).await?;
        let provider = ProviderConfig::without_region()
            .with_http_client(wishes.http.clone())
            .with_sleep_impl(TokioSleep::new())
            .with_timeout_config(timeouts())
            .with_behavior_version(Some(BehaviorVersion::latest()));
        let metadata = imds::Client::builder()
            .configure(&provider)
            .max_attempts(1)
            .connect_timeout(METADATA_STEP)
            .read_timeout(METADATA_STEP)
            .operation_timeout(METADATA_LIMIT)
            .build();
        // Has the files read into `provider`, for endpoints of STS and the like that stand there.
        let files = ProfileFileRegionProvider::builder().configure(&provider);
        files.build().region().await;
        let region = checked(region(wishes, &profiles, &provider, &metadata).await?)?;
        let retries = retries(&profiles);
        let signer = Signer::default();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(wishes.http.clone())
            .sleep_impl(TokioSleep::new())
            .timeout_config(timeouts())
            .retry_config(retries.clone())
            .profile_name(profiles.name())
            .region(Region::new(region.clone()))
            .credentials_provider(signer.clone())
            // Who signs is settled before each call.
            .identity_cache(IdentityCache::no_cache())
            .load()
            .await;
        let sdk = endpoints::filled(sdk);
        let provider = provider
            .with_retry_config(retries)
            .with_region(Some(Region::new(region.clone())))
            .with_use_fips(sdk.use_fips())
            .with_use_dual_stack(sdk.use_dual_stack());
        Ok(Self {
            region,
            profiles,
            sdk,
            provider,
            metadata,
            signer,
            endpoint: wishes.endpoint.clone(),
            ssm: OnceLock::new(),
            kms: OnceLock::new(),
        })
    }

    pub(crate) fn ssm(&self) -> &aws_sdk_ssm::Client {
        self.ssm.get_or_init(|| {
            let mut config = aws_sdk_ssm::config::Builder::from(&self.sdk);
            if let Some(endpoint) = &self.endpoint {
                config = config.endpoint_url(endpoint);
            }
            aws_sdk_ssm::Client::from_conf(config.build())
        })
    }

    pub(crate) fn kms(&self) -> &aws_sdk_kms::Client {
        self.kms.get_or_init(|| aws_sdk_kms::Client::new(&self.sdk))
    }
}

/// The region: the caller's, the environment's, the profile's, the machine's.
async fn region(
    wishes: &Wishes,
    profiles: &Profiles,
    provider: &ProviderConfig,
    metadata: &imds::Client,
) -> Result<String, AwsError> {
    if let Some(region) = wishes.region.clone().or_else(environment::region) {
        return Ok(region);
    }
    let of_profile = ProfileFileRegionProvider::builder()
        .configure(provider)
        .profile_name(profiles.name())
        .build();
    if let Some(region) = of_profile.region().await {
        return Ok(region.to_string());
    }
    let of_machine = ImdsRegionProvider::builder()
        .configure(provider)
        .imds_client(metadata.clone())
        .build();
    match of_machine.region().await {
        Some(region) => Ok(region.to_string()),
        None => Err(AwsError::NoRegion {
            profile: profiles.name().to_owned(),
            file: environment::config_file(),
        }),
    }
}

/// The region, if it can be part of a host name.
pub(crate) fn checked(region: String) -> Result<String, AwsError> {
    let is_inside = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let is_label = region.chars().all(is_inside) && !region.starts_with('-') && region.len() < 64;
    if is_label {
        Ok(region)
    } else {
        Err(AwsError::InvalidRegion { region })
    }
}

/// What environment or profile say of retries. Read here, for the SDK panics at modes that only the
/// AWS CLI knows, such as `legacy`.
fn retries(profiles: &Profiles) -> RetryConfig {
    let setting = |variable: Option<String>, property| {
        variable.or_else(|| profiles.property(property).map(str::to_owned))
    };
    let mode = setting(environment::retry_mode(), "retry_mode");
    let config = match mode {
        Some(mode) if mode.trim().eq_ignore_ascii_case("adaptive") => RetryConfig::adaptive(),
        _ => RetryConfig::standard(),
    };
    let attempts = setting(environment::max_attempts(), "max_attempts");
    match attempts.and_then(|attempts| attempts.trim().parse().ok()) {
        Some(attempts) if attempts > 0 => config.with_max_attempts(attempts),
        _ => config,
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_timeout(CALL_LIMIT)
        .build()
}
