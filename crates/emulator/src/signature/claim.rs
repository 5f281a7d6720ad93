//! What a request says of its own signature, in the header `Authorization` or in the query.

use std::time::Duration;
use std::time::SystemTime;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use hyper::header::DATE;
use zeroize::Zeroizing;

use super::ALGORITHM;
use super::CLOCK_SKEW;
use super::DATE_LENGTH;
use super::LONGEST_EXPIRY;
use super::Request;
use super::Scope;
use super::SignatureError;
use super::TERMINATOR;
use super::canonical;
use crate::time;

pub(super) struct Claim {
    pub(super) access_key_id: String,
    /// Year, month and day of the scope.
    pub(super) date: String,
    region: String,
    service: String,
    terminator: String,
    pub(super) signed_headers: Vec<String>,
    /// In hexadecimal digits.
    pub(super) signature: String,
    /// When it was made, as it is written in what is signed.
    pub(super) time: String,
    made: SystemTime,
    /// How long a presigned request is good for.
    expires: Option<Duration>,
    pub(super) session_token: Option<Zeroizing<String>>,
}

impl Claim {
    /// Nothing for a request that says nothing of a signature.
    pub(super) fn read(request: Request<'_>) -> Result<Option<Self>, SignatureError> {
        if let Some(authorization) = request.headers.get(AUTHORIZATION) {
            let text = authorization.to_str().unwrap_or_default();
            return Self::from_headers(text, request.headers).map(Some);
        }
        let signed = canonical::pairs(request.query).any(|(name, _)| name == b"X-Amz-Algorithm");
        signed.then(|| Self::from_query(request.query)).transpose()
    }

    fn from_headers(authorization: &str, headers: &HeaderMap) -> Result<Self, SignatureError> {
        let (algorithm, parameters) = authorization
            .trim()
            .split_once(' ')
            .unwrap_or((authorization, ""));
        check_algorithm(algorithm)?;
        let parameter = |name: &str| {
            let mut all = parameters.split(',').map(str::trim);
            all.find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('='))
        };
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
        let time = header("x-amz-date").or_else(|| header(DATE.as_str()));
        let required = [
            (parameter(CREDENTIAL), "'Credential' parameter"),
            (parameter(SIGNATURE_PARAMETER), "'Signature' parameter"),
            (parameter(SIGNED_HEADERS), "'SignedHeaders' parameter"),
            (
                time,
                "existence of either a 'X-Amz-Date' or a 'Date' header",
            ),
        ];
        let [credential, signature, signed_headers, time] =
            all_of(required, "Authorization header requires")?;
        let token = header("x-amz-security-token");
        Self::new(credential, signature, signed_headers, time, token)
    }

    fn from_query(query: &str) -> Result<Self, SignatureError> {
        let parameter = |wanted: &str| {
            let (_, value) = canonical::pairs(query).find(|(name, _)| name == wanted.as_bytes())?;
            String::from_utf8(value).ok()
        };
        check_algorithm(&parameter("X-Amz-Algorithm").unwrap_or_default())?;
        let values = QUERY.map(|name| (parameter(name), name));
        let required = values
            .each_ref()
            .map(|(value, name)| (value.as_deref(), *name));
        let [credential, signature, signed_headers, time, expires] =
            all_of(required, "AWS query-string parameters must include")?;
        let seconds = expires.parse().ok().map(Duration::from_secs);
        let expires = seconds.filter(|expires| (MIN_EXPIRY..=LONGEST_EXPIRY).contains(expires));
        let token = parameter("X-Amz-Security-Token").map(Zeroizing::new);
        let token = token.as_ref().map(|token| token.as_str());
        let claim = Self::new(credential, signature, signed_headers, time, token)?;
        match expires {
            None => Err(SignatureError::Incomplete(
                "X-Amz-Expires must be a number of seconds from 1 to 604800".to_owned(),
            )),
            expires => Ok(Self { expires, ..claim }),
        }
    }

    fn new(
        credential: &str,
        signature: &str,
        signed_headers: &str,
        time: &str,
        session_token: Option<&str>,
    ) -> Result<Self, SignatureError> {
        let parts: Vec<&str> = credential.split('/').collect();
        let &[access_key_id, date, region, service, terminator] = parts.as_slice() else {
            return Err(SignatureError::Incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term"
                    .to_owned(),
            ));
        };
        let made = time::parse_compact(time).ok_or_else(|| {
            SignatureError::Incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{time}'. See http://en.wikipedia.org/wiki/ISO_8601"
            ))
        })?;
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            terminator: terminator.to_owned(),
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            signature: signature.to_owned(),
            time: time.to_owned(),
            made,
            expires: None,
            session_token: session_token.map(|token| Zeroizing::new(token.to_owned())),
        })
    }

    pub(super) fn scope(&self) -> String {
        let Self {
            date,
            region,
            service,
            terminator,
            ..
        } = self;
        format!("{date}/{region}/{service}/{terminator}")
    }

    pub(super) fn check_scope(&self, scope: Scope<'_>) -> Result<(), SignatureError> {
        let mut wrong = Vec::new();
        if self.region != scope.region {
            wrong.push(format!(
                "Credential should be scoped to a valid region, not '{}'.",
                self.region
            ));
        }
        if self.service != scope.service {
            wrong.push(format!(
                "Credential should be scoped to correct service: '{}'.",
                scope.service
            ));
        }
        if self.terminator != TERMINATOR {
            wrong.push(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'.",
                self.terminator
            ));
        }
        let day = &self.time[..DATE_LENGTH];
        if self.date != day {
            wrong.push(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{day}', from '{}'.",
                self.date, self.time
            ));
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(SignatureError::Invalid(wrong.join(" ")))
        }
    }

    pub(super) fn check_time(&self, now: SystemTime) -> Result<(), SignatureError> {
        let (made, compact) = (self.made, time::compact);
        if made > now + CLOCK_SKEW {
            return Err(SignatureError::Invalid(format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                self.time,
                compact(now + CLOCK_SKEW),
                compact(now)
            )));
        }
        let end = made + self.expires.unwrap_or(CLOCK_SKEW);
        if end >= now {
            return Ok(());
        }
        Err(SignatureError::Invalid(match self.expires {
            Some(_) => format!(
                "Signature expired: {} is now earlier than {}",
                compact(end),
                compact(now)
            ),
            None => format!(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                self.time,
                compact(now - CLOCK_SKEW),
                compact(now)
            ),
        }))
    }

    /// What decides who asks for what must be covered.
    pub(super) fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), SignatureError> {
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !is_signed("host") {
            return Err(SignatureError::Invalid(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
                    .to_owned(),
            ));
        }
        let uncovered = COVERED
            .into_iter()
            .find(|name| headers.contains_key(*name) && !is_signed(name));
        match uncovered {
            None => Ok(()),
            Some(name) => Err(SignatureError::Invalid(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            ))),
        }
    }
}

fn check_algorithm(algorithm: &str) -> Result<(), SignatureError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    Err(SignatureError::Incomplete(format!(
        "Unsupported AWS 'algorithm': only {ALGORITHM} is known here."
    )))
}

/// Every value, or a sentence for each that is missing.
fn all_of<'a, const N: usize>(
    values: [(Option<&'a str>, &str); N],
    sentence: &str,
) -> Result<[&'a str; N], SignatureError> {
    let missing = values
        .iter()
        .filter(|(value, _)| value.is_none_or(str::is_empty));
    let missing: Vec<_> = missing
        .map(|(_, name)| format!("{sentence} {name}."))
        .collect();
    if missing.is_empty() {
        Ok(values.map(|(value, _)| value.unwrap_or_default()))
    } else {
        Err(SignatureError::Incomplete(missing.join(" ")))
    }
}

const CREDENTIAL: &str = "Credential";
const SIGNATURE_PARAMETER: &str = "Signature";
const SIGNED_HEADERS: &str = "SignedHeaders";
/// What a presigned query has to hold besides the algorithm.
const QUERY: [&str; 5] = [
    "X-Amz-Credential",
    SIGNATURE,
    "X-Amz-SignedHeaders",
    "X-Amz-Date",
    "X-Amz-Expires",
];
/// The one parameter of a presigned query that is not signed.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";
/// Headers that must be signed wherever they are.
const COVERED: [&str; 3] = ["x-amz-date", "x-amz-security-token", "x-amz-target"];
const MIN_EXPIRY: Duration = Duration::from_secs(1);
