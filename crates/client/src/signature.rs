//! The signature of a session's connection (docs/PROTOCOL.md, 2.1).

use std::fmt;

use ssm_session_proto::Secret;
use tokio::time::timeout;

use crate::control_plane::Field;
use crate::control_plane::UpgradeRequest;
use crate::options::Options;
use crate::url::StreamUrl;

/// Whether a connection's opening was signed, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signing {
    /// With the caller's credentials.
    Signed,
    /// By whoever made the stream URL, which carries the signature.
    Presigned,
    /// There are no credentials.
    Unsigned,
    /// It was not to be, whatever credentials there are.
    Unwanted,
    /// There should be credentials: a sentence says what is wrong with them.
    Failed(String),
}

impl fmt::Display for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed => f.write_str("it was signed"),
            Self::Presigned => f.write_str("its URL carries the signature"),
            Self::Unsigned => f.write_str("it was not signed, for there are no AWS credentials"),
            Self::Unwanted => f.write_str("it was not signed, as it was told"),
            Self::Failed(reason) => write!(f, "it was not signed: {reason}"),
        }
    }
}

/// What an upgrade carries of its signature.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) signing: Signing,
    pub(crate) fields: Vec<Field>,
}

impl Signature {
    /// Signs the opening of `url` as far as `options` allow and credentials can be had in time:
    /// the service may let an unsigned connection in.
    pub(crate) async fn of(url: &StreamUrl, options: &Options) -> Self {
        let without = |signing| Self {
            signing,
            fields: Vec::new(),
        };
        if is_presigned(url) {
            return without(Signing::Presigned);
        }
        if options.unsigned {
            return without(Signing::Unwanted);
        }
        let Some(control_plane) = &options.control_plane else {
            return without(Signing::Unsigned);
        };
        let request = UpgradeRequest {
            host: url.authority().to_owned(),
            path_and_query: Secret::new(url.path_and_query()),
        };
        let limit = options.timeouts.credentials;
        let signing = match timeout(limit, control_plane.sign(request)).await {
            Ok(Ok(fields)) if fields.is_empty() => Signing::Unsigned,
            Ok(Ok(fields)) => {
                return Self {
                    signing: Signing::Signed,
                    fields,
                };
            }
            Ok(Err(error)) => Signing::Failed(error.to_string()),
            Err(_) => Signing::Failed(format!(
                "no AWS credentials were found within {} s",
                limit.as_secs_f64()
            )),
        };
        if let Signing::Failed(reason) = &signing {
            tracing::warn!(reason, "the connection is not signed");
        }
        without(signing)
    }
}

/// Whether the URL carries a signature. Such a session cannot be resumed either: whoever signed
/// the URL would have to sign the next one.
pub(crate) fn is_presigned(url: &StreamUrl) -> bool {
    PRESIGNED
        .iter()
        .any(|name| url.path_and_query().contains(name))
}

/// The names that AWS's own plugin looks for, in the same spelling.
const PRESIGNED: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream_policy::StreamPolicy;

    fn url(query: &str) -> StreamUrl {
        let text = format!("ws://localhost/v1/data-channel/s?{query}");
        StreamUrl::parse(&text, &StreamPolicy::default()).unwrap()
    }

    #[test]
    fn a_url_with_a_signature_is_known_by_any_of_its_parts() {
        for name in PRESIGNED {
            assert!(is_presigned(&url(&format!("role=x&{name}=1"))), "{name}");
        }
        assert!(!is_presigned(&url("role=publish_subscribe&x-amz-date=1")));
    }

    #[tokio::test]
    async fn without_an_api_to_ask_a_connection_is_unsigned() {
        let signature = Signature::of(&url("role=x"), &Options::default()).await;
        assert_eq!(signature.signing, Signing::Unsigned);
        assert!(signature.fields.is_empty());
    }
}
