//! The operations of the emulated services.

use std::fmt;
use std::str::FromStr;

/// An operation of one of the emulated services, by the name IAM gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Systems Manager: starts a session.
    StartSession,
    /// Systems Manager: a new token for a session that runs.
    ResumeSession,
    /// Systems Manager: ends a session.
    TerminateSession,
    /// Systems Manager: lists sessions.
    DescribeSessions,
    /// Systems Manager: whether a node's agent is connected.
    GetConnectionStatus,
    /// Systems Manager: lists managed nodes.
    DescribeInstanceInformation,
    /// KMS: a data key, in clear and sealed.
    GenerateDataKey,
    /// KMS: opens what is sealed.
    Decrypt,
    /// ECS: starts a session in a container.
    ExecuteCommand,
    /// ECS: describes tasks.
    DescribeTasks,
    /// The message gateway: the WebSocket upgrade of a data channel (`docs/PROTOCOL.md` 2.1).
    OpenDataChannel,
}

/// A service, as far as its requests differ from those of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    SystemsManager,
    Kms,
    Ecs,
    MessageGateway,
}

impl Operation {
    /// Its name, such as `StartSession`.
    pub fn name(self) -> &'static str {
        match self {
            Self::StartSession => "StartSession",
            Self::ResumeSession => "ResumeSession",
            Self::TerminateSession => "TerminateSession",
            Self::DescribeSessions => "DescribeSessions",
            Self::GetConnectionStatus => "GetConnectionStatus",
            Self::DescribeInstanceInformation => "DescribeInstanceInformation",
            Self::GenerateDataKey => "GenerateDataKey",
            Self::Decrypt => "Decrypt",
            Self::ExecuteCommand => "ExecuteCommand",
            Self::DescribeTasks => "DescribeTasks",
            Self::OpenDataChannel => "OpenDataChannel",
        }
    }

    /// The operation that the header `X-Amz-Target` names.
    pub(crate) fn from_target(target: &str) -> Option<Self> {
        ALL.into_iter().find(|operation| {
            let prefix = operation.api().target_prefix();
            let name = prefix.and_then(|prefix| target.strip_prefix(prefix));
            name == Some(operation.name())
        })
    }

    pub(crate) fn api(self) -> Api {
        match self {
            Self::StartSession
            | Self::ResumeSession
            | Self::TerminateSession
            | Self::DescribeSessions
            | Self::GetConnectionStatus
            | Self::DescribeInstanceInformation => Api::SystemsManager,
            Self::GenerateDataKey | Self::Decrypt => Api::Kms,
            Self::ExecuteCommand | Self::DescribeTasks => Api::Ecs,
            Self::OpenDataChannel => Api::MessageGateway,
        }
    }

    /// The action a policy allows or not, such as `ssm:StartSession`.
    pub(crate) fn action(self) -> String {
        format!("{}:{}", self.api().signing_name(), self.name())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(name: &str) -> Result<Self, UnknownOperation> {
        let found = ALL.into_iter().find(|operation| operation.name() == name);
        found.ok_or_else(|| UnknownOperation {
            name: name.to_owned(),
        })
    }
}

/// The name of no operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no operation `{name}`; the emulator has {known}", known = names())]
pub struct UnknownOperation {
    name: String,
}

fn names() -> String {
    ALL.map(Operation::name).join(", ")
}

impl Api {
    /// The service's name in the scope of a signature, and in front of its actions.
    pub(crate) fn signing_name(self) -> &'static str {
        match self {
            Self::SystemsManager => "ssm",
            Self::Kms => "kms",
            Self::Ecs => "ecs",
            Self::MessageGateway => "ssmmessages",
        }
    }

    fn target_prefix(self) -> Option<&'static str> {
        match self {
            Self::SystemsManager => Some("AmazonSSM."),
            Self::Kms => Some("TrentService."),
            Self::Ecs => Some("AmazonEC2ContainerServiceV20141113."),
            Self::MessageGateway => None,
        }
    }
}

const ALL: [Operation; 11] = [
    Operation::StartSession,
    Operation::ResumeSession,
    Operation::TerminateSession,
    Operation::DescribeSessions,
    Operation::GetConnectionStatus,
    Operation::DescribeInstanceInformation,
    Operation::GenerateDataKey,
    Operation::Decrypt,
    Operation::ExecuteCommand,
    Operation::DescribeTasks,
    Operation::OpenDataChannel,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_name() {
        for operation in ALL {
            assert_eq!(operation.name().parse(), Ok(operation));
        }
        let error = "SendCommand".parse::<Operation>().unwrap_err().to_string();
        assert!(error.contains("`SendCommand`; the emulator has StartSession, "));
    }

    #[test]
    fn only_operations_of_the_json_protocol_have_a_target() {
        for (target, operation) in [
            ("AmazonSSM.StartSession", Some(Operation::StartSession)),
            ("TrentService.Decrypt", Some(Operation::Decrypt)),
            (
                "AmazonEC2ContainerServiceV20141113.DescribeTasks",
                Some(Operation::DescribeTasks),
            ),
            ("AmazonSSM.Decrypt", None),
            ("AmazonSSM.OpenDataChannel", None),
            ("StartSession", None),
            ("", None),
        ] {
            assert_eq!(Operation::from_target(target), operation, "{target}");
        }
    }
}
