//! JSON with an answer for the one case that cannot happen.

use serde::Serialize;

/// Writes a body of ours. Bodies are structs with string keys, which always serialise.
pub(crate) fn to_vec<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}
