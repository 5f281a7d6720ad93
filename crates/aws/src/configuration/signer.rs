//! Who signs, as the SDK's clients ask for it.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use aws_credential_types::Credentials;
use aws_credential_types::provider;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;

/// The credentials that were settled on before the call.
#[derive(Clone, Default)]
pub(crate) struct Signer(Arc<Mutex<Option<Credentials>>>);

impl Signer {
    pub(crate) fn set(&self, credentials: Credentials) {
        *self.held() = Some(credentials);
    }

    fn held(&self) -> MutexGuard<'_, Option<Credentials>> {
        self.0.lock().expect("nobody panics while holding it")
    }

    fn credentials(&self) -> provider::Result {
        self.held()
            .clone()
            .ok_or_else(CredentialsError::not_loaded_no_source)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl ProvideCredentials for Signer {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.credentials())
    }
}
