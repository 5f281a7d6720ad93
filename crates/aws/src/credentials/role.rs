//! Roles of profiles, with second factors.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use ssm_session::Secret;

use crate::configuration::Configuration;
use crate::credentials::Search;
use crate::credentials::cli_cache;
use crate::credentials::metadata;
use crate::credentials::profile;
use crate::credentials::profiles::Base;
use crate::credentials::profiles::Role;
use crate::credentials::profiles::RoleChain;
use crate::credentials::within_limit;
use crate::error::CredentialsError;
use crate::error::Origin;
use crate::second_factor::SecondFactor;

/// Assumes one role after the other, from the last on for which the AWS CLI has credentials.
///
/// # Errors
///
/// When one of them may not be assumed, or there is nobody to ask for the code.
pub(crate) async fn assume(
    chain: &RoleChain,
    search: &Search<'_>,
) -> Result<Credentials, CredentialsError> {
    let (known, roles) = match known(&chain.roles, search) {
        Some((credentials, rest)) => (Some(credentials), rest),
        None => (None, &chain.roles[..]),
    };
    // Before anybody is called in vain.
    refuse_without(search.second_factor, roles)?;
    let mut credentials = match known {
        Some(credentials) => credentials,
        None => base(&chain.base, search).await?,
    };
    for role in roles {
        credentials = step(role, credentials, search).await?;
    }
    Ok(credentials)
}

/// The last role that the AWS CLI has credentials for, and those that remain to be assumed.
fn known<'a>(roles: &'a [Role], search: &Search<'_>) -> Option<(Credentials, &'a [Role])> {
    if !search.trusts_cache {
        return None;
    }
    (0..roles.len())
        .rev()
        .find_map(|index| Some((cli_cache::role(&roles[index])?, &roles[index + 1..])))
}

fn refuse_without(
    second_factor: Option<&dyn SecondFactor>,
    roles: &[Role],
) -> Result<(), CredentialsError> {
    if second_factor.is_some() {
        return Ok(());
    }
    for role in roles {
        if let Some(serial) = &role.mfa_serial {
            return Err(CredentialsError::SecondFactorMissing {
                profile: role.profile.clone(),
                serial: serial.clone(),
            });
        }
    }
    Ok(())
}

async fn base(base: &Base, search: &Search<'_>) -> Result<Credentials, CredentialsError> {
    let configuration = search.configuration;
    let source = match base {
        Base::Keys(keys) => return Ok(keys.clone()),
        Base::Profile(name) => return profile(name, search).await,
        Base::Source(source) => source,
    };
    let config = &configuration.provider;
    let (found, origin) = match source.to_ascii_lowercase().as_str() {
        "environment" => {
            let provider = EnvironmentVariableCredentialsProvider::new();
            (provider.provide_credentials().await, Origin::Environment)
        }
        "ecscontainer" => {
            let provider = EcsCredentialsProvider::builder().configure(config).build();
            let found = within_limit(provider.provide_credentials()).await?;
            (found, Origin::Container)
        }
        "ec2instancemetadata" => {
            let found = within_limit(metadata(configuration).provide_credentials()).await?;
            (found, Origin::InstanceMetadata)
        }
        _ => {
            return Err(CredentialsError::ProfileUnusable {
                profile: configuration.profiles.name().to_owned(),
                words: format!(
                    "credential_source {source} is none of Environment, EcsContainer, Ec2InstanceMetadata"
                ),
            });
        }
    };
    found.map_err(|error| CredentialsError::of(&error, &origin))
}

async fn step(
    role: &Role,
    source: Credentials,
    search: &Search<'_>,
) -> Result<Credentials, CredentialsError> {
    tracing::debug!(role = role.arn, serial = role.mfa_serial, "assuming a role");
    let mut request = request(role, source, search.configuration);
    if let (Some(serial), Some(second_factor)) = (&role.mfa_serial, search.second_factor) {
        let code = code(serial, second_factor).await?;
        request = request
            .serial_number(serial)
            .token_code(code.expose().trim());
    }
    let answer = request.send().await.map_err(|error| {
        CredentialsError::of_assume_role_call(&error, &role.arn, role.mfa_serial.as_deref())
    })?;
    assumed(answer).ok_or_else(|| CredentialsError::RoleRefused {
        role: role.arn.clone(),
        words: "STS answered without credentials".to_owned(),
    })
}

fn request(
    role: &Role,
    source: Credentials,
    configuration: &Configuration,
) -> AssumeRoleFluentBuilder {
    let config = aws_sdk_sts::config::Builder::from(&configuration.sdk)
        .credentials_provider(source)
        .build();
    let session_name = role.session_name.clone().unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        format!("ssm-session-{}", now.unwrap_or_default().as_secs())
    });
    aws_sdk_sts::Client::from_conf(config)
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(session_name)
        .set_external_id(role.external_id.clone())
        .set_duration_seconds(role.duration)
}

async fn code(serial: &str, second_factor: &dyn SecondFactor) -> Result<Secret, CredentialsError> {
    second_factor
        .code(serial)
        .await
        .map_err(|source| CredentialsError::SecondFactorUnread {
            serial: serial.to_owned(),
            source,
        })
}

fn assumed(answer: AssumeRoleOutput) -> Option<Credentials> {
    let credentials = answer.credentials?;
    let builder = Credentials::builder()
        .access_key_id(credentials.access_key_id)
        .secret_access_key(credentials.secret_access_key)
        .session_token(credentials.session_token)
        .expiry(SystemTime::try_from(credentials.expiration).ok()?)
        .provider_name("an assumed role");
    Some(builder.build())
}
