//! Why there is no session.

use crate::error::AwsError;
use crate::error::Call;
use crate::error::Failure;

/// Why Systems Manager started, resumed or ended no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no agent on the other side.
    #[error(
        "target {target} is not connected in {region}: {}",
        hint(target, region)
    )]
    TargetNotConnected {
        /// The target.
        target: String,
        /// Where it was looked for.
        region: String,
    },
    /// There is no such document, or it is none for sessions.
    #[error(
        "session document {document} cannot be used in {region}: {words}; \
         check its name, and that it is a session document of this account and region"
    )]
    InvalidDocument {
        /// The document.
        document: String,
        /// Where it was looked for.
        region: String,
        /// AWS's words.
        words: String,
    },
    /// The document does not take these parameters.
    #[error(
        "session document {document} does not take these parameters: {words}; \
         check their names, which are case-sensitive, and their values"
    )]
    InvalidParameters {
        /// The document.
        document: String,
        /// AWS's words.
        words: String,
    },
    /// What the target is called is none of the forms there are.
    #[error(
        "Systems Manager does not take {target} as a target: {words}; use i-…, mi-…, or ecs:cluster_task_runtime"
    )]
    InvalidTarget {
        /// The target.
        target: String,
        /// AWS's words.
        words: String,
    },
    /// The session is over, or never was.
    #[error("session {session_id} is over; start another one")]
    Gone {
        /// The session.
        session_id: String,
    },
}

/// What StartSession was asked for.
pub(crate) struct Asked<'a> {
    pub(crate) target: &'a str,
    pub(crate) document: Option<&'a str>,
}

impl SessionError {
    pub(crate) fn of_start(failure: Failure, asked: &Asked<'_>, call: &Call<'_>) -> AwsError {
        let Failure::Refused { code, words, .. } = &failure else {
            return AwsError::common(failure, call);
        };
        let (words, region) = (words.clone(), call.region.to_owned());
        let document = asked.document.unwrap_or(DEFAULT_DOCUMENT).to_owned();
        let target = asked.target.to_owned();
        match code.as_str() {
            "TargetNotConnected" => Self::TargetNotConnected { target, region }.into(),
            "InvalidDocument" => Self::InvalidDocument {
                document,
                region,
                words,
            }
            .into(),
            "InvalidParameters" => Self::InvalidParameters { document, words }.into(),
            "ValidationException" if words.contains("'target'") => {
                Self::InvalidTarget { target, words }.into()
            }
            _ => AwsError::common(failure, call),
        }
    }

    pub(crate) fn of_session(failure: Failure, session_id: &str, call: &Call<'_>) -> AwsError {
        match &failure {
            Failure::Refused { code, .. } if code == "DoesNotExistException" => Self::Gone {
                session_id: session_id.to_owned(),
            }
            .into(),
            _ => AwsError::common(failure, call),
        }
    }
}

/// Why there may be no agent, by the kind of target.
fn hint(target: &str, region: &str) -> String {
    let elsewhere = format!("or it is in another region than {region} or in another account");
    if target.starts_with("ecs:") {
        format!(
            "the task is over, was started without enableExecuteCommand, its role lacks ssmmessages, \
             {elsewhere}; check the task's enableExecuteCommand and the status of its ExecuteCommandAgent"
        )
    } else if target.starts_with("mi-") {
        format!(
            "its SSM Agent is stopped, cannot reach Systems Manager, or is registered no more, {elsewhere}; \
             check the agent and its registration"
        )
    } else {
        format!(
            "it is stopped, its SSM Agent is offline or has no instance profile with \
             AmazonSSMManagedInstanceCore, {elsewhere}; check the instance, its role and AWS_REGION"
        )
    }
}

/// What a session is of unless a document is named.
const DEFAULT_DOCUMENT: &str = "SSM-SessionManagerRunShell";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_target_has_its_own_reasons_for_being_offline() {
        let sentence = |target: &str| {
            let error = SessionError::TargetNotConnected {
                target: target.to_owned(),
                region: "eu-west-1".to_owned(),
            };
            error.to_string()
        };
        for (target, reason) in [
            ("i-0123456789abcdef0", "has no instance profile"),
            ("mi-0123456789abcdef0", "registered no more"),
            ("ecs:c_t_r", "without enableExecuteCommand"),
        ] {
            let sentence = sentence(target);
            assert!(
                sentence.starts_with(&format!("target {target} is not connected in eu-west-1: "))
            );
            assert!(sentence.contains(reason), "{sentence}");
            assert!(sentence.contains("another region than eu-west-1 or in another account"));
        }
    }
}
