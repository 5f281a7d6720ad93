//! The AWS CLI's cache, `~/.aws/cli/cache`. A session that the AWS CLI started has credentials there
//! already: nobody need be asked for a code again, and nobody called.

use std::fmt::Write as _;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::Value;
use sha1::Digest as _;
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::credentials::Kept;
use crate::credentials::environment;
use crate::credentials::profiles::Grant;
use crate::credentials::profiles::Role;

/// Marks credentials as from here.
#[derive(Clone, Debug)]
struct FromCache;

/// Whether credentials are from here.
pub(crate) fn is_source_of(credentials: &Credentials) -> bool {
    credentials.get_property::<FromCache>().is_some()
}

/// What the AWS CLI has for an assumed role and can still be used.
pub(crate) fn role(role: &Role) -> Option<Credentials> {
    load(&role_key(role))
}

/// What the AWS CLI has for a role that a sign-in grants and can still be used.
pub(crate) fn grant(grant: &Grant) -> Option<Credentials> {
    load(&grant_key(grant)?)
}

fn load(key: &str) -> Option<Credentials> {
    let directory = environment::home()?.join(".aws").join("cli").join("cache");
    let path = directory.join(format!("{key}.json"));
    let contents = Zeroizing::new(std::fs::read(&path).ok()?);
    let found = parse(&contents);
    let usable = found.filter(|found| Kept::new(found.clone()).is_usable(SystemTime::now()));
    tracing::debug!(path = %path.display(), usable = usable.is_some(), "the AWS CLI's cache");
    usable
}

/// The SHA-1 of AssumeRole's arguments as Python writes them in JSON, by name.
fn role_key(role: &Role) -> String {
    let text = |text: &Option<String>| text.as_deref().map(python);
    let members = [
        (
            "DurationSeconds",
            role.duration.map(|seconds| seconds.to_string()),
        ),
        ("ExternalId", text(&role.external_id)),
        ("RoleArn", Some(python(&role.arn))),
        ("RoleSessionName", text(&role.session_name)),
        ("SerialNumber", text(&role.mfa_serial)),
    ];
    key(&members, ": ", ", ")
}

/// The same for a sign-in, without blanks.
fn grant_key(grant: &Grant) -> Option<String> {
    let (name, from) = match (&grant.session, &grant.start_url) {
        (Some(session), _) => ("sessionName", session),
        (None, Some(url)) => ("startUrl", url),
        (None, None) => return None,
    };
    let members = [
        ("accountId", Some(python(&grant.account_id))),
        ("roleName", Some(python(&grant.role_name))),
        (name, Some(python(from))),
    ];
    Some(key(&members, ":", ","))
}

fn key(members: &[(&str, Option<String>)], colon: &str, comma: &str) -> String {
    let members: Vec<_> = members
        .iter()
        .filter_map(|(name, value)| Some(format!("\"{name}\"{colon}{}", value.as_ref()?)))
        .collect();
    let json = format!("{{{}}}", members.join(comma));
    Sha1::digest(json.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes everything");
            hex
        })
}

/// A string in JSON, with everything beyond ASCII escaped.
fn python(text: &str) -> String {
    let mut json = String::new();
    for character in Value::from(text).to_string().chars() {
        if character.is_ascii() {
            json.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(json, "\\u{unit:04x}").expect("a string takes everything");
            }
        }
    }
    json
}

fn parse(contents: &[u8]) -> Option<Credentials> {
    let answer: Value = serde_json::from_slice(contents).ok()?;
    let credentials = answer.get("Credentials")?;
    let text = |name: &str| credentials.get(name)?.as_str();
    // Python's name for the offset of zero.
    let expiration = text("Expiration")?.replace("UTC", "Z");
    let expiration = DateTime::from_str(&expiration, Format::DateTimeWithOffset).ok()?;
    let builder = Credentials::builder()
        .access_key_id(text("AccessKeyId")?)
        .secret_access_key(text("SecretAccessKey")?)
        .session_token(text("SessionToken")?)
        .expiry(SystemTime::try_from(expiration).ok()?)
        .provider_name("the AWS CLI's cache");
    let mut credentials = builder.build();
    credentials.set_property(FromCache);
    Some(credentials)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn example() -> Role {
        Role {
            profile: "ops".to_owned(),
            arn: "arn:aws:iam::123456789012:role/ops".to_owned(),
            mfa_serial: Some("arn:aws:iam::123456789012:mfa/me".to_owned()),
            ..Role::default()
        }
    }

    /// Names that `AssumeRoleCredentialFetcher._cache_key` of botocore 1.44.5 gave.
    #[test]
    fn a_file_is_named_as_botocore_names_it() {
        let all = Role {
            session_name: Some("jürgen \"j\" \u{1f511}".to_owned()),
            external_id: Some("a/b\\c".to_owned()),
            duration: Some(7200),
            ..example()
        };
        assert_eq!(
            role_key(&example()),
            "42f273b37ec1354bbda551a6d6014fec6dd86e9c",
        );
        assert_eq!(role_key(&all), "486146f7e6dd6063c4ff15cb04c66c4b251569e3",);
    }

    /// Names that `SSOCredentialFetcher._cache_key` gave.
    #[test]
    fn a_file_for_a_sign_in_is_named_as_botocore_names_it() {
        let older = Grant {
            account_id: "123456789012".to_owned(),
            role_name: "dev".to_owned(),
            session: None,
            start_url: Some("https://corp.awsapps.com/start".to_owned()),
        };
        assert_eq!(
            grant_key(&older).unwrap(),
            "a7dfbf3501ed9a747ddd22a4d44896511a3a9032"
        );
        let newer = Grant {
            session: Some("corp".to_owned()),
            start_url: None,
            ..older
        };
        assert_eq!(
            grant_key(&newer).unwrap(),
            "df9e4b71e9a8d8a52fa7c4b994f925408ca39a5b"
        );
    }

    #[test]
    fn every_form_of_expiration_is_understood() {
        for text in [
            "2030-01-02T03:04:05UTC",
            "2030-01-02T03:04:05Z",
            "2030-01-02T04:04:05+01:00",
        ] {
            let file = format!(
                r#"{{"Credentials":{{"AccessKeyId":"A","SecretAccessKey":"s","SessionToken":"t","Expiration":"{text}"}}}}"#
            );
            let credentials = parse(file.as_bytes()).unwrap();
            assert_eq!(credentials.access_key_id(), "A");
            assert_eq!(credentials.session_token(), Some("t"));
            let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_553_445);
            assert_eq!(credentials.expiry(), Some(expiry), "{text}");
        }
    }

    #[test]
    fn a_file_without_credentials_is_of_no_use() {
        for file in ["", "{}", r#"{"Credentials":{"AccessKeyId":"A"}}"#] {
            assert!(parse(file.as_bytes()).is_none(), "{file}");
        }
    }
}
