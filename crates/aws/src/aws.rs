//! The control plane over the AWS SDK.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use ssm_session::ApiError;
use ssm_session::BoxFuture;
use ssm_session::Connector;
use ssm_session::ControlPlane;
use ssm_session::DataKey;
use ssm_session::DataKeyRequest;
use ssm_session::Field;
use ssm_session::SessionAccess;
use ssm_session::SessionDescription;
use ssm_session::StartRequest;
use ssm_session::UpgradeRequest;
use tokio::sync::Mutex;

use crate::configuration::Configuration;
use crate::configuration::Wishes;
use crate::configuration::checked;
use crate::credentials;
use crate::credentials::Kept;
use crate::credentials::Search;
use crate::credentials::cli_cache;
use crate::error::AwsError;
use crate::error::CredentialsError;
use crate::kms;
use crate::second_factor::SecondFactor;
use crate::sessions;
use crate::sessions::ConnectionStatus;
use crate::sign;

/// Calls AWS.
///
/// Nothing is looked up before the first call. Then credentials, region and endpoints come from
/// where the AWS CLI takes them, environment variables, the files below `~/.aws` and the machine,
/// except for what is given here. They are kept while they are valid; after a failure that other
/// credentials may mend the next call looks everything up again.
pub struct Aws {
    wishes: Wishes,
    found: Mutex<Found>,
}

/// What has been looked up.
#[derive(Default)]
struct Found {
    configuration: Option<Arc<Configuration>>,
    kept: Option<Kept>,
    /// AWS has refused credentials, so that those which the AWS CLI keeps are doubtful.
    was_refused: bool,
}

/// What a call needs.
pub(crate) struct Ready {
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) credentials: Credentials,
    /// The profile that was named, if any.
    profile: Option<String>,
    /// The credentials are from an earlier call, or the AWS CLI's cache.
    from_before: bool,
}

impl Ready {
    /// The profile that was named, if any.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }
}

impl Aws {
    /// AWS as the environment describes it, reached through `connector`. Costs nothing.
    pub fn new(connector: Connector) -> Self {
        Self {
            wishes: Wishes::new(connector),
            found: Mutex::default(),
        }
    }

    /// Calls this region, whatever environment and profile say. An empty one is none.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.wishes.region = Some(region.into()).filter(|region: &String| !region.is_empty());
        self
    }

    /// Takes everything from this profile, before the keys in environment variables. A profile
    /// that names no credentials leaves them to the machine, as with the AWS CLI.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.wishes.profile = Some(profile.into());
        self
    }

    /// Calls Systems Manager at this URL. Other services stay where they are. An empty one is
    /// none.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.wishes.endpoint = Some(endpoint.into()).filter(|url: &String| !url.is_empty());
        self
    }

    /// Asks here for the code that a role with `mfa_serial` needs. Without it such a role is an
    /// error, unless the AWS CLI has assumed it already. `sign` never asks: it runs beside
    /// connecting.
    #[must_use]
    pub fn second_factor(mut self, second_factor: Arc<dyn SecondFactor>) -> Self {
        self.wishes.second_factor = Some(second_factor);
        self
    }

    /// GetConnectionStatus: whether the agent of `target` is connected to Systems Manager.
    ///
    /// # Errors
    ///
    /// [`AwsError`] says what to do.
    pub async fn connection_status(&self, target: &str) -> Result<ConnectionStatus, AwsError> {
        self.call(|ready| async move { sessions::connection_status(&ready, target).await })
            .await
    }

    /// Makes a call, once more with other credentials if those from before are no longer accepted.
    async fn call<T, F>(&self, call: impl Fn(Ready) -> F + Send + Sync) -> Result<T, AwsError>
    where
        F: Future<Output = Result<T, AwsError>> + Send,
    {
        loop {
            let ready = self.ready(self.wishes.second_factor.as_deref()).await?;
            let from_before = ready.from_before;
            match call(ready).await {
                Err(error) if error.is_of_credentials() => {
                    *self.found.lock().await = Found {
                        was_refused: true,
                        ..Found::default()
                    };
                    if !from_before {
                        return Err(error);
                    }
                    tracing::debug!(%error, "looking for other credentials");
                }
                result => return result,
            }
        }
    }

    /// Looks up what is not there yet. Whoever else needs it waits.
    async fn ready(&self, second_factor: Option<&dyn SecondFactor>) -> Result<Ready, AwsError> {
        let mut found = self.found.lock().await;
        let configuration = match &found.configuration {
            Some(configuration) => Arc::clone(configuration),
            None => {
                let loaded = Arc::new(Configuration::load(&self.wishes).await?);
                found.configuration = Some(Arc::clone(&loaded));
                loaded
            }
        };
        let usable = |kept: &&Kept| kept.is_usable(SystemTime::now());
        if let Some(kept) = found.kept.as_ref().filter(usable) {
            return Ok(Ready {
                configuration,
                credentials: kept.credentials.clone(),
                profile: self.wishes.profile.clone(),
                from_before: true,
            });
        }
        let search = Search {
            configuration: &configuration,
            wishes: &self.wishes,
            second_factor,
            trusts_cache: !found.was_refused,
        };
        let credentials = match credentials::find(&search).await {
            Ok(credentials) => credentials,
            Err(error) => {
                // The files may be others by the next call.
                *found = Found {
                    was_refused: found.was_refused || error.is_refusal(),
                    ..Found::default()
                };
                return Err(error.into());
            }
        };
        configuration.signer.set(credentials.clone());
        found.kept = Some(Kept::new(credentials.clone()));
        Ok(Ready {
            configuration,
            from_before: cli_cache::is_source_of(&credentials),
            credentials,
            profile: self.wishes.profile.clone(),
        })
    }

    async fn signed(&self, request: &UpgradeRequest) -> Result<Vec<Field>, AwsError> {
        let now = self.wishes.http.clock().now();
        // Keys in the environment need neither a file nor a client.
        let region = self.wishes.region.clone();
        let region = region.or_else(credentials::environment::region);
        if let Some(region) = region
            && let Some(credentials) = credentials::from_environment(&self.wishes).await
        {
            return sign::fields(request, credentials, &checked(region)?, now);
        }
        match self.ready(None).await {
            Ok(ready) => sign::fields(request, ready.credentials, &ready.configuration.region, now),
            Err(AwsError::Credentials(CredentialsError::NotFound { places })) => {
                tracing::debug!(places, "no credentials to sign with");
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}

impl ControlPlane for Aws {
    fn start_session(
        &self,
        request: StartRequest,
    ) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        Box::pin(async move {
            let request = &request;
            let call = |ready| async move { sessions::start(&ready, request).await };
            Ok(self.call(call).await?)
        })
    }

    fn resume_session(&self, session_id: &str) -> BoxFuture<'_, Result<SessionAccess, ApiError>> {
        let session_id = session_id.to_owned();
        Box::pin(async move {
            let session_id = &session_id;
            let call = |ready| async move { sessions::resume(&ready, session_id).await };
            Ok(self.call(call).await?)
        })
    }

    fn terminate_session(&self, session_id: &str) -> BoxFuture<'_, Result<(), ApiError>> {
        let session_id = session_id.to_owned();
        Box::pin(async move {
            let session_id = &session_id;
            let call = |ready| async move { sessions::terminate(&ready, session_id).await };
            Ok(self.call(call).await?)
        })
    }

    fn describe_session(
        &self,
        session_id: &str,
    ) -> BoxFuture<'_, Result<SessionDescription, ApiError>> {
        let session_id = session_id.to_owned();
        Box::pin(async move {
            let session_id = &session_id;
            let call = |ready| async move { sessions::describe(&ready, session_id).await };
            Ok(self.call(call).await?)
        })
    }

    fn data_key(&self, request: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, ApiError>> {
        Box::pin(async move {
            let request = &request;
            let call = |ready| async move { kms::data_key(&ready, request).await };
            Ok(self.call(call).await?)
        })
    }

    fn sign(&self, request: UpgradeRequest) -> BoxFuture<'_, Result<Vec<Field>, ApiError>> {
        Box::pin(async move { Ok(self.signed(&request).await?) })
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws")
            .field("region", &self.wishes.region)
            .field("profile", &self.wishes.profile)
            .field("endpoint", &self.wishes.endpoint)
            .finish_non_exhaustive()
    }
}
