//! Where the keys of encrypted sessions come from.

use std::error::Error;

use futures_util::future::BoxFuture;
use ssm_session_proto::DataKey;
use ssm_session_proto::DataKeyRequest;

/// A source of data keys: KMS, or what stands in for it (docs/PROTOCOL.md, 6).
pub trait DataKeys: Send + Sync {
    /// A new data key of 64 bytes under the key and the encryption context of `request`.
    ///
    /// The future runs on a task of its own, is given up after
    /// [`Timeouts::data_key`](crate::Timeouts::data_key), and is dropped when the session ends
    /// before it.
    fn data_key(&self, request: DataKeyRequest) -> BoxFuture<'_, Result<DataKey, DataKeyError>>;
}

/// Why there is no data key, in one sentence: the user reads it, and the agent logs it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DataKeyError(Box<dyn Error + Send + Sync>);

impl DataKeyError {
    /// From a sentence, or from an error whose `Display` is one.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}
