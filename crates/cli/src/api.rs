//! AWS's API and the way there, made once for every command from what that was given.

use std::sync::Arc;

use ssm_session::ControlPlane;
use ssm_session::Options;
use ssm_session_aws::Aws;
use ssm_session_aws::SecondFactor;

use crate::args::AwsArgs;
use crate::args::NetworkArgs;
use crate::endpoint;
use crate::settings::ConfigFile;
use crate::settings::Mistakes;
use crate::settings::Network;
use crate::settings::Variables;
use crate::settings::checks;

/// What a command was given about AWS.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiSettings {
    /// The session's, where it is known without the environment.
    pub region: Option<String>,
    pub profile: Option<String>,
    /// That of Systems Manager alone.
    pub endpoint: Option<String>,
    pub network: Network,
}

impl ApiSettings {
    /// Takes options, environment and configuration file together.
    pub(crate) fn read(
        args: AwsArgs,
        network: &NetworkArgs,
        variables: Variables<'_>,
        file: &ConfigFile,
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut keep = |option, checked: Option<Result<String, String>>| {
            checked.and_then(|checked| mistakes.keep(option, checked))
        };
        let profile = args.profile.map(|profile| checks::name(profile, 256));
        let profile = keep("--profile", profile);
        let region = keep("--region", args.region.map(checks::region));
        let endpoint = keep("--endpoint-url", args.endpoint_url.map(checks::endpoint));
        let network = Network::read(network, profile.as_deref(), variables, file, mistakes);
        Self {
            region,
            profile,
            endpoint,
            network,
        }
    }

    /// The API. Nothing is looked up before it is needed.
    pub(crate) fn control_plane(
        &self,
        second_factor: Option<Arc<dyn SecondFactor>>,
    ) -> Arc<dyn ControlPlane> {
        let mut aws = Aws::new(self.network.connector.clone());
        if let Some(region) = &self.region {
            aws = aws.region(region);
        }
        if let Some(profile) = &self.profile {
            aws = aws.profile(profile);
        }
        if let Some(endpoint) = &self.endpoint {
            aws = aws.endpoint(endpoint);
        }
        if let Some(second_factor) = second_factor {
            aws = aws.second_factor(second_factor);
        }
        Arc::new(aws)
    }

    /// What a session is made with besides.
    pub(crate) fn options(&self, control_plane: Arc<dyn ControlPlane>) -> Options {
        Options {
            control_plane: Some(control_plane),
            unsigned: self.network.unsigned,
            connector: self.network.connector.clone(),
            stream_policy: self.network.policy.clone(),
            ..Options::default()
        }
    }
}

/// The region of a session that others started: the one they named, unless it is none or the pseudo region that some
/// SDKs have; then the one in the stream URL.
pub(crate) fn region(named: Option<String>, stream_url: &str) -> Option<String> {
    named
        .filter(|region| !region.is_empty() && region != "aws-global")
        .or_else(|| endpoint::region_of_stream(stream_url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_the_callers_or_else_the_streams() {
        let region_for = |named: Option<&str>, url: &str| region(named.map(str::to_owned), url);
        let url = "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/s";
        assert_eq!(region_for(Some("us-east-1"), url).unwrap(), "us-east-1");
        for none in [None, Some(""), Some("aws-global")] {
            assert_eq!(region_for(none, url).unwrap(), "eu-west-1");
        }
        assert_eq!(region_for(None, "ws://127.0.0.1:80/x"), None);
    }
}
