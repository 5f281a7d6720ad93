//! The encryption context that ties a data key to its session (docs/PROTOCOL.md 6).

use std::collections::BTreeMap;

/// The pairs that client and agent must give KMS alike. `challenge` is there when the client
/// acknowledges it, and then as the text that was sent.
pub(crate) fn encryption_context(
    session_id: &str,
    target: &str,
    challenge: Option<&str>,
) -> BTreeMap<String, String> {
    let pairs = [
        ("aws:ssm:SessionId", Some(session_id)),
        ("aws:ssm:TargetId", Some(target)),
        ("aws:ssm:RandomChallenge", challenge),
    ];
    let pairs = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
