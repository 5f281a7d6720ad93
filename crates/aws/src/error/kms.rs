//! Why KMS gave no data key.

use crate::error::AwsError;
use crate::error::Call;
use crate::error::Failure;

/// Why there is no data key. Each reads as one sentence, with KMS's own words where it had any.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// The caller may not use the key.
    #[error(
        "access to the session's KMS key {key_id} is denied: {words}; ask for kms:GenerateDataKey on that key"
    )]
    AccessDenied {
        /// The key.
        key_id: String,
        /// KMS's words.
        words: String,
    },
    /// The key is in another region than was asked.
    #[error(
        "the session's KMS key {key_id} is in {key_region}, but was looked for in {region}: {words}; \
         start the session in the key's region, or name a key of {region} in the session preferences"
    )]
    WrongRegion {
        /// The key.
        key_id: String,
        /// Its region.
        key_region: String,
        /// Ours.
        region: String,
        /// KMS's words.
        words: String,
    },
    /// There is no such key.
    #[error(
        "the session's KMS key {key_id} does not exist in {region}: {words}; \
         check the key in the session preferences, and the account and region of this session"
    )]
    NotFound {
        /// The key.
        key_id: String,
        /// Where it was looked for.
        region: String,
        /// KMS's words.
        words: String,
    },
    /// The key exists and cannot be used.
    #[error(
        "the session's KMS key {key_id} cannot be used: {words}; enable the key, or name another one in the session preferences"
    )]
    Unusable {
        /// The key.
        key_id: String,
        /// KMS's words.
        words: String,
    },
    /// Another refusal.
    #[error("KMS gave no data key for {key_id}: {words}")]
    Refused {
        /// The key.
        key_id: String,
        /// KMS's words, or the SDK's.
        words: String,
    },
}

impl KmsError {
    pub(crate) fn of(failure: Failure, call: &Call<'_>) -> AwsError {
        let key_id = call.resource.to_owned();
        let (code, words) = match &failure {
            Failure::Refused { code, words, .. } => (code.as_str(), words.clone()),
            Failure::Unreachable(_) => return AwsError::common(failure, call),
            Failure::Other(words) => {
                let words = words.clone();
                return Self::Refused { key_id, words }.into();
            }
        };
        match code {
            "AccessDeniedException" | "AccessDenied" => Self::AccessDenied { key_id, words }.into(),
            "NotFoundException" | "InvalidArnException" => Self::not_found(words, call).into(),
            "DisabledException"
            | "KMSInvalidStateException"
            | "InvalidKeyUsageException"
            | "KeyUnavailableException" => Self::Unusable { key_id, words }.into(),
            _ => match AwsError::common(failure, call) {
                AwsError::Refused { .. } => Self::Refused { key_id, words }.into(),
                known => known,
            },
        }
    }

    fn not_found(words: String, call: &Call<'_>) -> Self {
        let (key_id, region) = (call.resource.to_owned(), call.region.to_owned());
        match region_of(call.resource) {
            Some(key_region) if key_region != region => Self::WrongRegion {
                key_region: key_region.to_owned(),
                key_id,
                region,
                words,
            },
            _ => Self::NotFound {
                key_id,
                region,
                words,
            },
        }
    }
}

/// The region in a key's ARN, if the key is given by one.
fn region_of(key_id: &str) -> Option<&str> {
    let mut parts = key_id.split(':');
    let is_arn = parts.next() == Some("arn");
    let (_partition, service, region) = (parts.next()?, parts.next()?, parts.next()?);
    (is_arn && service == "kms").then_some(region)
}
