//! JSON bodies: ours, which always serialise, and the peers', which may be anything.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes of a body that is kept, or takes a multiple of its length to be read. The longest
/// holds what a session document says, with its parameters, and AWS allows 64 KiB of that, each
/// byte of which takes six in JSON at the worst.
pub(crate) const MAX_BODY: usize = 512 * 1024;

/// Why a body cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("it has {0} bytes, more than {MAX_BODY}")]
    TooLong(usize),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

/// Writes a body of ours. Bodies are structs with string keys, which always serialise.
pub(crate) fn to_vec<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// Reads a body of at most [`MAX_BODY`].
pub(crate) fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    if body.len() > MAX_BODY {
        return Err(BodyError::TooLong(body.len()));
    }
    Ok(serde_json::from_slice(body)?)
}
