//! Signature Version 4: checked as AWS does, and made for clients in this process.
//!
//! Written from AWS's description and tested with AWS's vectors; none of it is shared with the client's signer, so
//! that a mistake on either side shows.

mod canonical;
mod claim;

use std::time::Duration;
use std::time::SystemTime;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use hyper::HeaderMap;
use zeroize::Zeroizing;

use self::claim::Claim;
use crate::plan::Credentials;
use crate::time;

/// A request as far as signatures cover it.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// As it is sent.
    pub(crate) path: &'a str,
    /// As it is sent, without the question mark.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What a signature has to be made for.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// Why a signature is not accepted, in AWS's words. None of them repeats what the request holds besides names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    /// There is none.
    #[error("Missing Authentication Token")]
    Missing,
    /// Parts of it are missing or unreadable.
    #[error("{0}")]
    Incomplete(String),
    /// It is no signature of this request, at this time, for this service.
    #[error("{0}")]
    Invalid(String),
    /// The access key or the session token is unknown.
    #[error("The security token included in the request is invalid.")]
    Unrecognized,
    /// The credentials were good once.
    #[error("The security token included in the request is expired")]
    Expired,
}

impl SignatureError {
    /// AWS's error code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::Invalid(_) => "InvalidSignatureException",
            Self::Unrecognized => "UnrecognizedClientException",
            Self::Expired => "ExpiredTokenException",
        }
    }
}

/// Whether a request has a signature at all, good or bad.
pub(crate) fn is_signed(request: Request<'_>) -> bool {
    !matches!(Claim::read(request), Ok(None))
}

/// Checks that one of `known` signed the request for `scope` at about `now`.
pub(crate) fn verify(
    request: Request<'_>,
    known: &[Credentials],
    scope: Scope<'_>,
    now: SystemTime,
) -> Result<(), SignatureError> {
    let claim = Claim::read(request)?.ok_or(SignatureError::Missing)?;
    claim.check_scope(scope)?;
    claim.check_time(now)?;
    claim.check_signed_headers(request.headers)?;
    let credentials = known
        .iter()
        .find(|known| known.access_key_id == claim.access_key_id)
        .filter(|known| same_token(known, &claim))
        .ok_or(SignatureError::Unrecognized)?;
    if credentials.expiration.is_some_and(|end| end <= now) {
        return Err(SignatureError::Expired);
    }
    let headers: Vec<&str> = claim.signed_headers.iter().map(String::as_str).collect();
    let text = string_to_sign(request, &headers, &claim.time, &claim.scope());
    let key = signing_key(credentials, &claim.date, scope);
    let signature = unhex(&claim.signature).unwrap_or_default();
    hmac::verify(&key, text.as_bytes(), &signature).map_err(|_| {
        SignatureError::Invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
                .to_owned(),
        )
    })
}

/// The value of the field `Authorization` that signs `request`, whose headers are all signed and hold the time.
pub(crate) fn authorization(
    request: Request<'_>,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: SystemTime,
) -> String {
    let moment = time::compact(now);
    let date = &moment[..DATE_LENGTH];
    let mut headers: Vec<&str> = request.headers.keys().map(|name| name.as_str()).collect();
    headers.sort_unstable();
    let full_scope = format!("{date}/{}/{}/{TERMINATOR}", scope.region, scope.service);
    let text = string_to_sign(request, &headers, &moment, &full_scope);
    let signature = hmac::sign(&signing_key(credentials, date, scope), text.as_bytes());
    format!(
        "{ALGORITHM} Credential={}/{full_scope}, SignedHeaders={}, Signature={}",
        credentials.access_key_id,
        headers.join(";"),
        hex(signature.as_ref())
    )
}

/// Temporary credentials need their token, others must not have one.
fn same_token(known: &Credentials, claim: &Claim) -> bool {
    match (&known.session_token, &claim.session_token) {
        (Some(known), Some(claimed)) => {
            verify_slices_are_equal(known.expose().as_bytes(), claimed.as_bytes()).is_ok()
        }
        (None, None) => true,
        _ => false,
    }
}

fn string_to_sign(request: Request<'_>, headers: &[&str], time: &str, scope: &str) -> String {
    let canonical = canonical::request(request, headers);
    let digest = digest::digest(&digest::SHA256, &canonical);
    format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(digest.as_ref()))
}

fn signing_key(credentials: &Credentials, date: &str, scope: Scope<'_>) -> hmac::Key {
    let secret = Zeroizing::new(format!("AWS4{}", credentials.secret_access_key.expose()));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    for part in [date, scope.region, scope.service, TERMINATOR] {
        let next = hmac::sign(&key, part.as_bytes());
        key = hmac::Key::new(hmac::HMAC_SHA256, next.as_ref());
    }
    key
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            &[high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// Of the year, month and day in front of a time.
const DATE_LENGTH: usize = 8;
/// How far the clocks of the two ends may be apart.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// The longest a presigned request may be good for.
const LONGEST_EXPIRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[cfg(test)]
mod tests;
