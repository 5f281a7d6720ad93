//! The signature of a data channel's opening (docs/PROTOCOL.md, 2.1).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::SignableBody;
use aws_sigv4::http_request::SignableRequest;
use aws_sigv4::http_request::SigningError;
use aws_sigv4::http_request::SigningParams;
use aws_sigv4::http_request::SigningSettings;
use aws_sigv4::http_request::sign;
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use ssm_session::Field;
use ssm_session::Secret;
use ssm_session::UpgradeRequest;

use crate::error::AwsError;

/// The service that answers there, as signatures name it.
const SERVICE: &str = "ssmmessages";

/// Signs a GET without a body: host, date and session token are signed, nothing else.
pub(crate) fn fields(
    request: &UpgradeRequest,
    credentials: Credentials,
    region: &str,
    now: SystemTime,
) -> Result<Vec<Field>, AwsError> {
    let identity: Identity = credentials.into();
    let params = params(&identity, region, now);
    signed(request, &params).map_err(|error| AwsError::Refused {
        service: "the signer",
        operation: "the opening of the data channel",
        words: error.to_string(),
    })
}

fn params<'a>(identity: &'a Identity, region: &'a str, now: SystemTime) -> SigningParams<'a> {
    v4::SigningParams::builder()
        .identity(identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        // The path is encoded once more, and the token signed.
        .settings(SigningSettings::default())
        .build()
        .expect("everything is there")
        .into()
}

fn signed(
    request: &UpgradeRequest,
    params: &SigningParams<'_>,
) -> Result<Vec<Field>, SigningError> {
    // The scheme does not enter, and nothing else is read of the URL.
    let url = format!(
        "https://{}{}",
        request.host,
        request.path_and_query.expose()
    );
    let headers = [("host", request.host.as_str())];
    let signable = SignableRequest::new("GET", url, headers.into_iter(), SignableBody::Bytes(&[]))?;
    let (instructions, _) = sign(signable, params)?.into_parts();
    let (headers, _) = instructions.into_parts();
    Ok(headers
        .into_iter()
        .map(|header| Field {
            name: header.name(),
            value: Secret::new(header.value()),
        })
        .collect())
}

#[cfg(test)]
mod tests;
