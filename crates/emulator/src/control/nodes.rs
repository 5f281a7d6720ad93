//! Managed nodes: GetConnectionStatus and DescribeInstanceInformation.

use std::time::SystemTime;

use serde::Deserialize;
use serde::Serialize;

use super::admission::Subject;
use super::page;
use crate::error::ServiceError;
use crate::plan::Target;
use crate::service::Service;
use crate::time;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetConnectionStatus {
    target: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConnectionStatus {
    target: String,
    status: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInstanceInformation {
    #[serde(default)]
    filters: Vec<Filter>,
    /// The older form of `Filters`.
    #[serde(default)]
    instance_information_filter_list: Vec<LegacyFilter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: String,
    values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyFilter {
    key: String,
    value_set: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InstanceInformationPage {
    instance_information_list: Vec<InstanceInformation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceInformation {
    instance_id: String,
    ping_status: &'static str,
    last_ping_date_time: f64,
    agent_version: String,
    is_latest_version: bool,
    platform_type: &'static str,
    platform_name: &'static str,
    platform_version: &'static str,
    resource_type: &'static str,
    #[serde(rename = "IPAddress")]
    ip_address: &'static str,
    computer_name: String,
    /// Hybrid nodes have a name of their own and a date of registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_date: Option<f64>,
}

impl Subject for GetConnectionStatus {}

impl Subject for DescribeInstanceInformation {}

impl Service {
    pub(super) fn connection_status(&self, request: GetConnectionStatus) -> ConnectionStatus {
        let connected = self
            .target(&request.target)
            .is_some_and(Target::is_connected);
        ConnectionStatus {
            target: request.target,
            status: if connected {
                "connected"
            } else {
                "notconnected"
            },
        }
    }

    pub(super) fn describe_instances(
        &self,
        request: &DescribeInstanceInformation,
    ) -> Result<InstanceInformationPage, ServiceError> {
        let size = page::size(request.max_results, &PAGE)?;
        let filters = request.filters()?;
        for filter in &filters {
            filter.check()?;
        }
        let count = self.plan.targets.len();
        let matching = self
            .plan
            .targets
            .iter()
            .filter(|target| !target.is_container())
            .enumerate()
            .map(|(index, target)| ((count - index) as u64, self.information(target)))
            .filter(|(_, instance)| filters.iter().all(|filter| filter.matches(instance)))
            .collect();
        let (page, next_token) = page::page(
            matching,
            |(position, _)| *position,
            size,
            request.next_token.as_deref(),
        )?;
        Ok(InstanceInformationPage {
            instance_information_list: page.into_iter().map(|(_, instance)| instance).collect(),
            next_token,
        })
    }

    fn information(&self, target: &Target) -> InstanceInformation {
        let connected = target.is_connected();
        let hybrid = !target.is_ec2();
        let last_ping = if connected {
            SystemTime::now()
        } else {
            self.started
        };
        InstanceInformation {
            instance_id: target.id().to_owned(),
            ping_status: if connected {
                "Online"
            } else {
                "ConnectionLost"
            },
            last_ping_date_time: time::seconds(last_ping),
            agent_version: self.plan.agent_version.clone(),
            is_latest_version: true,
            platform_type: "Linux",
            platform_name: "Emulated Linux",
            platform_version: env!("CARGO_PKG_VERSION"),
            resource_type: if hybrid {
                "ManagedInstance"
            } else {
                "EC2Instance"
            },
            ip_address: "127.0.0.1",
            computer_name: format!("{}.emulator.internal", target.id()),
            name: hybrid.then(|| target.id().to_owned()),
            registration_date: hybrid.then(|| time::seconds(self.started)),
        }
    }
}

impl DescribeInstanceInformation {
    fn filters(&self) -> Result<Vec<Filter>, ServiceError> {
        if !self.filters.is_empty() && !self.instance_information_filter_list.is_empty() {
            return Err(ServiceError::validation(
                "Filters and InstanceInformationFilterList are two forms of the same; give one.",
            ));
        }
        let legacy = self
            .instance_information_filter_list
            .iter()
            .map(|filter| Filter {
                key: filter.key.clone(),
                values: filter.value_set.clone(),
            });
        Ok(self.filters.iter().cloned().chain(legacy).collect())
    }
}

impl Filter {
    fn check(&self) -> Result<(), ServiceError> {
        let known = FILTER_KEYS.contains(&self.key.as_str()) || self.key.starts_with("tag:");
        if !known {
            return Err(ServiceError::new(
                "InvalidFilterKey",
                format!(
                    "{} is no filter key; there are {} and tag:<name>.",
                    self.key,
                    FILTER_KEYS.join(", ")
                ),
            ));
        }
        if self.values.is_empty() {
            return Err(ServiceError::validation(format!(
                "Filter {} has no value.",
                self.key
            )));
        }
        Ok(())
    }

    /// No node of ours has an activation, a role, an association or a tag, so filters for those match nothing.
    fn matches(&self, instance: &InstanceInformation) -> bool {
        let of_instance = match self.key.as_str() {
            "InstanceIds" => instance.instance_id.as_str(),
            "AgentVersion" => &instance.agent_version,
            "PingStatus" => instance.ping_status,
            "PlatformTypes" => instance.platform_type,
            "ResourceType" => instance.resource_type,
            _ => return false,
        };
        self.values.iter().any(|value| value == of_instance)
    }
}

const FILTER_KEYS: [&str; 8] = [
    "InstanceIds",
    "AgentVersion",
    "PingStatus",
    "PlatformTypes",
    "ActivationIds",
    "IamRole",
    "ResourceType",
    "AssociationStatus",
];

/// Sizes DescribeInstanceInformation allows for a page.
const PAGE: std::ops::RangeInclusive<usize> = 5..=50;
