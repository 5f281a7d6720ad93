//! The encryption context that ties a data key to its session (docs/PROTOCOL.md 6).

use std::collections::BTreeMap;

/// The name that stands before the session's target.
pub(crate) const TARGET_ID: &str = "aws:ssm:TargetId";

/// The pairs that client and agent must give KMS alike. `challenge` is there when the client
/// acknowledges it, and then as the text that was sent; a client may not know the `target` yet.
pub(crate) fn encryption_context(
    session_id: &str,
    target: Option<&str>,
    challenge: Option<&str>,
) -> BTreeMap<String, String> {
    let pairs = [
        ("aws:ssm:SessionId", Some(session_id)),
        (TARGET_ID, target),
        ("aws:ssm:RandomChallenge", challenge),
    ];
    let pairs = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
