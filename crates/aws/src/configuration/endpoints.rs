//! Endpoints from environment and files, without those that are set to nothing.

use aws_config::SdkConfig;
use aws_types::service_config::LoadServiceConfig;
use aws_types::service_config::ServiceConfigKey;

/// What the SDK has loaded, except for values that are blank: its clients panic at an empty URL,
/// which to the AWS CLI is none.
#[derive(Debug)]
struct Filled(SdkConfig);

impl LoadServiceConfig for Filled {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let value = self.0.service_config()?.load_config(key)?;
        (!value.trim().is_empty()).then_some(value)
    }
}

/// The same configuration with blank endpoints left out.
pub(super) fn filled(sdk: SdkConfig) -> SdkConfig {
    let for_all = sdk.endpoint_url().filter(|url| !url.trim().is_empty());
    let for_all = for_all.map(str::to_owned);
    let mut builder = sdk.to_builder().service_config(Filled(sdk));
    builder.set_endpoint_url(for_all);
    builder.build()
}
