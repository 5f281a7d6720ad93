//! What a session can be with.

/// Completes the sentence "it is …".
pub(super) const FORMS: &str = "i-… for an EC2 instance, mi-… or ssm-… for another machine that Systems Manager manages, \
                                or ecs:CLUSTER_TASK_RUNTIME for a container";

/// The target, if it has the form of one (`docs/PROTOCOL.md` 1.2).
///
/// # Errors
///
/// Says what the form is that was probably meant.
pub(super) fn check(target: String) -> Result<String, String> {
    let fits = if let Some(rest) = target.strip_prefix("ecs:") {
        is_container(rest)
    } else if let Some(rest) = target.strip_prefix("mi-") {
        is_id(rest, &[17])
    } else if let Some(rest) = target.strip_prefix("ssm-") {
        !rest.is_empty() && rest.bytes().all(|byte| is_word(byte) || byte == b'-')
    } else if let Some(rest) = target.strip_prefix("i-") {
        is_id(rest, &[8, 17])
    } else {
        false
    };
    if fits && target.len() <= 400 {
        return Ok(target);
    }
    Err(explanation(&target))
}

fn explanation(target: &str) -> String {
    let form = if target.is_empty() {
        return format!("is empty; it is {FORMS}");
    } else if target.len() > 400 {
        return "has more than 400 characters".to_owned();
    } else if target.starts_with("ecs:") {
        "a container is named ecs:CLUSTER_TASK_RUNTIME: the cluster's name, the task's id, and the container's \
         runtimeId, which `aws ecs describe-tasks` shows"
    } else if target.starts_with("mi-") {
        "the id of a managed machine is mi- and 17 letters and digits"
    } else if target.starts_with("ssm-") {
        "the id of a managed machine is ssm- and letters and digits"
    } else if target.starts_with("i-") {
        "the id of an EC2 instance is i- and 8 or 17 letters and digits"
    } else if target.starts_with("arn:") {
        return format!("{target:?} is an ARN, and a target is the id in it: {FORMS}");
    } else {
        return format!(
            "{target:?} is not the id of a target, which is {FORMS}; `aws ssm describe-instance-information` lists the \
             machines there are, with their names and addresses"
        );
    };
    format!("{target:?} is not complete, or has too much: {form}")
}

fn is_id(rest: &str, lengths: &[usize]) -> bool {
    lengths.contains(&rest.len()) && rest.bytes().all(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// The cluster's name may have underscores of its own.
fn is_container(rest: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| is_word(byte) || byte == b'-' || byte == b'_')
    };
    let parts: Vec<&str> = rest.rsplitn(3, '_').collect();
    parts.len() == 3 && parts.into_iter().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_taken() {
        for target in [
            "i-0123456789abcdef0",
            "i-01234567",
            "mi-0123456789abcdef0",
            "ssm-0123456789abcdef0",
            "ecs:my_cluster-1_0123456789abcdef0123456789abcdef_0123456789abcdef0123456789abcdef-527074092",
        ] {
            assert_eq!(check(target.to_owned()).unwrap(), target);
        }
    }

    #[test]
    fn everything_else_is_explained() {
        for (target, words) in [
            ("", "is empty; it is i-…"),
            ("web-1", "is not the id of a target"),
            ("10.0.0.7", "describe-instance-information"),
            ("i-0123", "i- and 8 or 17"),
            ("i-0123456789abcdef0x", "i- and 8 or 17"),
            ("mi-01234567", "mi- and 17"),
            ("ssm-", "ssm- and letters"),
            ("ecs:cluster", "ecs:CLUSTER_TASK_RUNTIME"),
            ("ecs:cluster_task", "describe-tasks"),
            ("ecs:cluster__x", "describe-tasks"),
            ("arn:aws:ec2:us-east-1:1:instance/i-01234567", "is an ARN"),
            ("I-01234567", "is not the id of a target"),
            (&"i".repeat(401), "more than 400"),
        ] {
            let explained = check(target.to_owned()).unwrap_err();
            assert!(explained.contains(words), "{target}: {explained}");
        }
    }
}
