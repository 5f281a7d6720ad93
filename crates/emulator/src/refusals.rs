//! Which calls the plan wants refused, and with what words.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use crate::error::ServiceError;
use crate::operation::Operation;
use crate::plan::Refusal;
use crate::service::ACCOUNT;
use crate::service::Service;
use crate::service::owner_arn;

/// The plan's refusals, counted down as they are used.
#[derive(Debug)]
pub(crate) struct Refusals(Vec<Counted>);

#[derive(Debug)]
struct Counted {
    refusal: Refusal,
    /// Calls still to refuse, where their number is limited.
    left: AtomicU32,
}

impl Refusals {
    pub(crate) fn new(refusals: Vec<Refusal>) -> Self {
        let counted = refusals.into_iter().map(|refusal| Counted {
            left: AtomicU32::new(refusal.times.map_or(0, u32::from)),
            refusal,
        });
        Self(counted.collect())
    }

    /// The refusal this call gets, which is then used up by one.
    fn take(&self, operation: Operation) -> Option<&Refusal> {
        let of_operation = self.0.iter().filter(|c| c.refusal.operation == operation);
        let mut ready = of_operation.filter(|counted| counted.take());
        ready.next().map(|counted| &counted.refusal)
    }
}

impl Counted {
    fn take(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.refusal.times.is_none()
            || self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                .is_ok()
    }
}

impl Service {
    /// Lets a call pass unless the plan refuses it. `subject` is what it is about, as the request names it: a target,
    /// a session, a key, a task's ARN, or nothing in particular.
    pub(crate) fn permit(&self, operation: Operation, subject: &str) -> Result<(), ServiceError> {
        let Some(refusal) = self.refusals.take(operation) else {
            return Ok(());
        };
        let message = refusal
            .message
            .clone()
            .unwrap_or_else(|| self.message(operation, &refusal.code, subject));
        Err(ServiceError::new(refusal.code.clone(), message))
    }

    /// What AWS says with an error code.
    fn message(&self, operation: Operation, code: &str, subject: &str) -> String {
        match code {
            "AccessDeniedException" | "AccessDenied" => self.access_denied(operation, subject),
            "ThrottlingException" | "Throttling" | "TooManyRequestsException" => {
                "Rate exceeded".to_owned()
            }
            "ExpiredTokenException" => {
                "The security token included in the request is expired".to_owned()
            }
            "UnrecognizedClientException" | "InvalidClientTokenId" => {
                "The security token included in the request is invalid.".to_owned()
            }
            "TargetNotConnected" => format!("{subject} is not connected."),
            "TargetNotConnectedException" => {
                "The execute command failed due to an internal error. Try again later.".to_owned()
            }
            "ClusterNotFoundException" => "Cluster not found.".to_owned(),
            "DisabledException" => format!("{} is disabled.", self.resource(operation, subject)),
            "NotFoundException" => {
                format!("Key '{}' does not exist", self.resource(operation, subject))
            }
            "InternalServerError" | "InternalFailure" | "InternalServerException" => {
                "An error occurred on the server side.".to_owned()
            }
            "ServiceUnavailable" | "ServiceUnavailableException" => {
                "Service is unavailable, please try again later.".to_owned()
            }
            _ => format!("{operation} was told to answer {code}."),
        }
    }

    fn access_denied(&self, operation: Operation, subject: &str) -> String {
        let action = operation.action();
        format!(
            "User: {} is not authorized to perform: {action} on resource: {} because no identity-based policy allows the {action} action",
            owner_arn(),
            self.resource(operation, subject)
        )
    }

    /// The ARN a policy would have to name.
    fn resource(&self, operation: Operation, subject: &str) -> String {
        let region = &self.plan.region;
        let arn =
            |service: &str, rest: &str| format!("arn:aws:{service}:{region}:{ACCOUNT}:{rest}");
        match operation {
            Operation::StartSession if subject.starts_with("i-") => {
                arn("ec2", &format!("instance/{subject}"))
            }
            Operation::StartSession => match self.container(subject) {
                Some(container) => container.task_arn(self),
                None => arn("ssm", &format!("managed-instance/{subject}")),
            },
            Operation::ResumeSession | Operation::TerminateSession | Operation::OpenDataChannel => {
                arn("ssm", &format!("session/{subject}"))
            }
            _ if subject.starts_with("arn:") => subject.to_owned(),
            Operation::GenerateDataKey | Operation::Decrypt => {
                let known = self.kms.arn(subject).map(str::to_owned);
                known.unwrap_or_else(|| arn("kms", &format!("key/{subject}")))
            }
            Operation::ExecuteCommand | Operation::DescribeTasks => {
                let known = self.task_arn(subject);
                known.unwrap_or_else(|| arn("ecs", &format!("task/{subject}")))
            }
            _ => arn(operation.api().signing_name(), "*"),
        }
    }
}
