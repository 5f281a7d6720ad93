//! Managed nodes and containers.

/// One emulated managed node, or one container of an ECS task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    id: String,
    connected: bool,
}

/// The parts of a container's target (`docs/PROTOCOL.md` 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Container<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) task_id: &'a str,
    pub(crate) runtime_id: &'a str,
}

impl Target {
    /// The container every emulator has, on the cluster `emulator`.
    pub const CONTAINER: &str =
        "ecs:emulator_0123456789abcdef0123456789abcdef_0123456789abcdef0123456789abcdef-0123456789";

    /// Takes an instance id: `i-` with 8 or 17 lower-case hexadecimal digits, `mi-` or `ssm-` with 17; or a
    /// container: `ecs:` with the cluster's name, the task's id and the container's runtime id, `_` between them.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] for anything else.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidTarget> {
        let id = id.into();
        let well_formed = match id.split_once('-') {
            _ if id.starts_with(CONTAINER_PREFIX) => Container::parse(&id).is_some(),
            Some(("i", digits)) => matches!(digits.len(), 8 | 17) && is_hex(digits),
            Some(("mi" | "ssm", digits)) => digits.len() == 17 && is_hex(digits),
            _ => false,
        };
        if well_formed {
            Ok(Self {
                id,
                connected: true,
            })
        } else {
            Err(InvalidTarget { id })
        }
    }

    /// A node the service knows but whose agent is not connected.
    #[must_use]
    pub fn disconnected(self) -> Self {
        Self {
            connected: false,
            ..self
        }
    }

    /// The instance id, or the container's target: its agent uses the same text as its instance id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether sessions can be started on it.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether it is an EC2 instance rather than a hybrid node or a container.
    pub fn is_ec2(&self) -> bool {
        self.id.starts_with("i-")
    }

    /// Whether it is a container of an ECS task.
    pub fn is_container(&self) -> bool {
        self.container().is_some()
    }

    pub(crate) fn container(&self) -> Option<Container<'_>> {
        Container::parse(&self.id)
    }

    pub(crate) fn default_container() -> Self {
        Self {
            id: Self::CONTAINER.to_owned(),
            connected: true,
        }
    }
}

/// `i-0123456789abcdef0`, connected.
impl Default for Target {
    fn default() -> Self {
        Self {
            id: "i-0123456789abcdef0".to_owned(),
            connected: true,
        }
    }
}

impl<'a> Container<'a> {
    /// Names of clusters may hold the separator, so the parts are taken from the end.
    fn parse(target: &'a str) -> Option<Self> {
        let (rest, runtime_id) = target.strip_prefix(CONTAINER_PREFIX)?.rsplit_once('_')?;
        let (cluster, task_id) = rest.rsplit_once('_')?;
        let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let well_formed = (1..=255).contains(&cluster.len())
            && cluster.bytes().all(name)
            && matches!(task_id.len(), 32 | 36)
            && is_id(task_id)
            && (1..=64).contains(&runtime_id.len())
            && is_id(runtime_id);
        well_formed.then_some(Self {
            cluster,
            task_id,
            runtime_id,
        })
    }
}

/// The text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{id}` is not an instance id: write `i-` and 8 or 17 hexadecimal digits, or `mi-` or `ssm-` and 17, such as \
     i-0123456789abcdef0; nor is it a container: write `ecs:CLUSTER_TASK_RUNTIME` with the ids of task and container"
)]
pub struct InvalidTarget {
    id: String,
}

fn is_hex(digits: &str) -> bool {
    digits
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id(text: &str) -> bool {
    text.split('-').all(|part| !part.is_empty() && is_hex(part))
}

const CONTAINER_PREFIX: &str = "ecs:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_ids_of_all_kinds_are_targets() {
        for id in [
            "i-0123456789abcdef0",
            "i-01234567",
            "mi-0123456789abcdef0",
            "ssm-0123456789abcdef0",
        ] {
            let target = Target::new(id).unwrap();
            assert_eq!(target.id(), id);
            assert!(!target.is_container());
        }
    }

    #[test]
    fn containers_are_targets_and_clusters_may_have_any_name() {
        let target = Target::new(Target::CONTAINER).unwrap();
        assert_eq!(target, Target::default_container());
        let container = target.container().unwrap();
        assert_eq!(container.cluster, "emulator");
        assert_eq!(container.task_id, "0123456789abcdef0123456789abcdef");
        assert_eq!(
            container.runtime_id,
            "0123456789abcdef0123456789abcdef-0123456789"
        );
        let id = "ecs:my_big-Cluster_01234567-89ab-cdef-0123-456789abcdef_0a";
        let target = Target::new(id).unwrap();
        assert_eq!(target.container().unwrap().cluster, "my_big-Cluster");
    }

    #[test]
    fn anything_else_is_no_target() {
        for id in [
            "",
            "i-",
            "i-0123",
            "i-0123456789ABCDEF0",
            "mi-01234567",
            "ssm-01234567",
            "ecs:a_b_c",
            "ecs:_0123456789abcdef0123456789abcdef_0a",
            "ecs:a_0123456789abcdef0123456789abcdef_",
            "ecs:a_0123456789abcdef0123456789abcdef",
            "ecs:a b_0123456789abcdef0123456789abcdef_0a",
            "x",
        ] {
            let error = Target::new(id).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{id}` is not an instance id")),
                "{error}"
            );
        }
    }
}
