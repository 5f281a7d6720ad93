//! The one place that reads environment variables; the SDK reads further ones itself.

use std::path::PathBuf;

/// `AWS_REGION`, or the older `AWS_DEFAULT_REGION`.
pub(crate) fn region() -> Option<String> {
    variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"))
}

/// `AWS_PROFILE`, or the older `AWS_DEFAULT_PROFILE`.
pub(crate) fn profile() -> Option<String> {
    variable("AWS_PROFILE").or_else(|| variable("AWS_DEFAULT_PROFILE"))
}

/// `AWS_RETRY_MODE`.
pub(crate) fn retry_mode() -> Option<String> {
    variable("AWS_RETRY_MODE")
}

/// `AWS_MAX_ATTEMPTS`.
pub(crate) fn max_attempts() -> Option<String> {
    variable("AWS_MAX_ATTEMPTS")
}

/// Whether there are keys, both parts of them.
pub(crate) fn has_keys() -> bool {
    variable("AWS_ACCESS_KEY_ID").is_some() && variable("AWS_SECRET_ACCESS_KEY").is_some()
}

/// Whether the variables of a web identity are there.
pub(crate) fn has_web_identity() -> bool {
    variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some()
}

/// Whether the variables of a container are there.
pub(crate) fn has_container() -> bool {
    variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some()
        || variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").is_some()
}

/// The file of profiles, as the user would name it.
pub(crate) fn config_file() -> String {
    variable("AWS_CONFIG_FILE").unwrap_or_else(|| "~/.aws/config".to_owned())
}

/// The file of keys, as the user would name it.
pub(crate) fn credentials_file() -> String {
    variable("AWS_SHARED_CREDENTIALS_FILE").unwrap_or_else(|| "~/.aws/credentials".to_owned())
}

/// The user's home directory.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// A variable for an endpoint of those who give credentials that is there and says nothing. The SDK
/// panics at it.
pub(crate) fn blank_endpoint() -> Option<&'static str> {
    let is_blank = |name: &&str| std::env::var(name).is_ok_and(|value| value.trim().is_empty());
    ENDPOINTS.into_iter().find(is_blank)
}

/// Names of variables for endpoints that the SDK's providers of credentials look at.
const ENDPOINTS: [&str; 5] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_ENDPOINT_URL_SSO_OIDC",
    "AWS_ENDPOINT_URL_SIGNIN",
];

/// A variable's value; none for one that is blank.
fn variable(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.trim().is_empty())
}
