//! Data keys from KMS (docs/PROTOCOL.md, 6).

use std::fmt;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::ConfigLoader;
use aws_config::Region;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_kms::Client;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_types::Blob;
use ssm_session::ApiError;
use ssm_session::ApiErrorKind;
use ssm_session::BoxFuture;
use ssm_session::Connector;
use ssm_session::ControlPlane;
use ssm_session::DataKey;
use ssm_session::DataKeyRequest;
use tokio::sync::OnceCell;

use crate::error::KmsError;
use crate::error::Subject;
use crate::http::Http;

/// Bytes of a data key: one AES-256 key for each direction.
const DATA_KEY_LENGTH: i32 = 64;
/// For the call with its retries: less than the session waits, so that the reason gets there.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// Has KMS make the data keys of encrypted sessions.
///
/// Nothing is looked up before the first key is asked for. Then credentials, region and endpoint
/// come from where the AWS CLI takes them, environment variables and the files below `~/.aws`,
/// except for what is given here. The endpoint is that of the region unless
/// `AWS_ENDPOINT_URL_KMS`, `AWS_ENDPOINT_URL` or the profile says otherwise.
pub struct KmsDataKeys {
    region: Option<String>,
    profile: Option<String>,
    http: Http,
    client: OnceCell<Client>,
}

impl KmsDataKeys {
    /// Keys of the default region and credentials, asked for through `connector`.
    pub fn new(connector: Connector) -> Self {
        Self {
            region: None,
            profile: None,
            http: Http::new(connector),
            client: OnceCell::new(),
        }
    }

    /// Asks in this region.
    #[must_use]
    pub fn region(self, region: impl Into<String>) -> Self {
        Self {
            region: Some(region.into()),
            ..self
        }
    }

    /// Takes everything from this profile, and credentials from nowhere else: neither from
    /// environment variables nor from the machine.
    #[must_use]
    pub fn profile(self, profile: impl Into<String>) -> Self {
        Self {
            profile: Some(profile.into()),
            ..self
        }
    }

    async fn generate(&self, request: DataKeyRequest) -> Result<DataKey, KmsError> {
        let client = self.client.get_or_init(|| self.load()).await;
        let region = client.config().region().map(ToString::to_string);
        let subject = Subject {
            key_id: &request.key_id,
            region: region.as_deref(),
            profile: self.profile.as_deref(),
        };
        if region.is_none() {
            return Err(KmsError::NoRegion);
        }
        tracing::debug!(key = request.key_id, region, "asking KMS for a data key");
        let answer = client
            .generate_data_key()
            .key_id(&request.key_id)
            .number_of_bytes(DATA_KEY_LENGTH)
            .set_encryption_context(Some(request.encryption_context.into_iter().collect()))
            .send()
            .await
            .map_err(|error| KmsError::from_sdk(&error, &subject))?;
        let (Some(plaintext), Some(ciphertext)) = (answer.plaintext, answer.ciphertext_blob) else {
            return Err(KmsError::Incomplete);
        };
        Ok(DataKey {
            plaintext: Blob::into_inner(plaintext).into(),
            ciphertext: ciphertext.into_inner(),
        })
    }

    async fn load(&self) -> Client {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .sleep_impl(TokioSleep::new())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_timeout(CALL_LIMIT)
                    .build(),
            );
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = self.with_profile(loader, profile);
        }
        Client::new(&loader.load().await)
    }

    /// The SDK's own chain asks the environment first even when a profile is named.
    fn with_profile(&self, loader: ConfigLoader, profile: &str) -> ConfigLoader {
        let config = ProviderConfig::without_region()
            .with_region(self.region.clone().map(Region::new))
            .with_http_client(self.http.clone())
            .with_sleep_impl(TokioSleep::new())
            .with_behavior_version(Some(BehaviorVersion::latest()));
        let credentials = ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_name(profile);
        loader
            .profile_name(profile)
            .credentials_provider(credentials.build())
    }
}

impl ControlPlane for KmsDataKeys {
    fn data_key(&self, request: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        Box::pin(async {
            let refused = |error| ApiError::new(ApiErrorKind::Refused, error);
            self.generate(request).await.map_err(refused)
        })
    }
}

impl fmt::Debug for KmsDataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsDataKeys")
            .field("region", &self.region)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}
