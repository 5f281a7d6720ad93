//! Containers: ECS's ExecuteCommand and DescribeTasks (`docs/PROTOCOL.md` 1.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use ssm_session_proto::Secret;

use super::admission::Subject;
use super::sessions::StartSession;
use crate::documents;
use crate::error::ServiceError;
use crate::plan::Container;
use crate::plan::Target;
use crate::service::ACCOUNT;
use crate::service::Service;
use crate::time;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecuteCommand {
    /// Name or ARN; without one, AWS means the cluster `default`.
    cluster: Option<String>,
    /// Needed only where a task has several, which none here has.
    container: Option<String>,
    command: String,
    interactive: bool,
    /// Id or ARN.
    task: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecutedCommand {
    cluster_arn: String,
    container_arn: String,
    container_name: &'static str,
    interactive: bool,
    session: ContainerSession,
    task_arn: String,
}

/// What Systems Manager's StartSession answers, spelt as ECS does.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerSession {
    session_id: String,
    stream_url: String,
    token_value: Secret,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeTasks {
    cluster: Option<String>,
    tasks: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Tasks {
    tasks: Vec<Task>,
    failures: Vec<Failure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    task_arn: String,
    cluster_arn: String,
    group: &'static str,
    launch_type: &'static str,
    last_status: &'static str,
    desired_status: &'static str,
    enable_execute_command: bool,
    created_at: f64,
    started_at: f64,
    containers: [TaskContainer; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskContainer {
    container_arn: String,
    task_arn: String,
    name: &'static str,
    last_status: &'static str,
    runtime_id: String,
    managed_agents: [ManagedAgent; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManagedAgent {
    name: &'static str,
    last_status: &'static str,
    last_started_at: f64,
}

#[derive(Serialize)]
struct Failure {
    arn: String,
    reason: &'static str,
}

impl Subject for ExecuteCommand {
    fn subject(&self) -> &str {
        &self.task
    }
}

impl Subject for DescribeTasks {
    fn subject(&self) -> &str {
        self.tasks.first().map_or("", String::as_str)
    }
}

impl Service {
    /// The container a target names.
    pub(crate) fn container<'a>(&'a self, target: &str) -> Option<Container<'a>> {
        self.target(target)?.container()
    }

    /// The ARN of a task given as id or ARN, on whatever cluster it is.
    pub(crate) fn task_arn(&self, task: &str) -> Option<String> {
        let containers = self.plan.targets.iter().filter_map(Target::container);
        let mut of_task = containers.filter(|container| last_part(task) == container.task_id);
        of_task.next().map(|container| container.task_arn(self))
    }

    pub(super) fn execute_command(
        self: &Arc<Self>,
        request: ExecuteCommand,
        authority: Option<&str>,
    ) -> Result<ExecutedCommand, ServiceError> {
        let cluster = self.cluster(request.cluster.as_deref())?;
        if !request.interactive {
            return Err(invalid("Interactive is the only mode supported currently."));
        }
        if request.command.trim().is_empty() {
            return Err(invalid("Command cannot be blank."));
        }
        let found = self.task(cluster, &request.task)?;
        let (target, container) =
            found.ok_or_else(|| invalid("The referenced task was not found."))?;
        if let Some(name) = request.container.filter(|name| name != NAME) {
            return Err(invalid(&format!(
                "The container {name} was not found in the task."
            )));
        }
        if !target.is_connected() {
            return Err(ServiceError::new(
                "TargetNotConnectedException",
                "The execute command failed due to an internal error. Try again later.",
            ));
        }
        let command = BTreeMap::from([("command".to_owned(), vec![request.command])]);
        let start = StartSession {
            target: target.id().to_owned(),
            document_name: Some(documents::EXECUTE_COMMAND.to_owned()),
            parameters: command,
            reason: None,
        };
        let session = self.start_session(start, authority)?;
        Ok(ExecutedCommand {
            cluster_arn: self.cluster_arn(container.cluster),
            container_arn: container.arn(self),
            container_name: NAME,
            interactive: true,
            session: ContainerSession {
                session_id: session.session_id,
                stream_url: session.stream_url,
                token_value: session.token,
            },
            task_arn: container.task_arn(self),
        })
    }

    pub(super) fn describe_tasks(&self, request: &DescribeTasks) -> Result<Tasks, ServiceError> {
        let cluster = self.cluster(request.cluster.as_deref())?;
        if request.tasks.is_empty() {
            return Err(invalid("Tasks cannot be empty."));
        }
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for task in &request.tasks {
            match self.task(cluster, task)? {
                Some((target, container)) => tasks.push(self.describe(target, container)),
                None => failures.push(Failure {
                    arn: self.ecs_arn(&format!("task/{cluster}/{}", last_part(task))),
                    reason: "MISSING",
                }),
            }
        }
        Ok(Tasks { tasks, failures })
    }

    fn describe(&self, target: &Target, container: Container<'_>) -> Task {
        let started = time::seconds(self.started);
        Task {
            task_arn: container.task_arn(self),
            cluster_arn: self.cluster_arn(container.cluster),
            group: "service:emulator",
            launch_type: "FARGATE",
            last_status: RUNNING,
            desired_status: RUNNING,
            enable_execute_command: true,
            created_at: started,
            started_at: started,
            containers: [TaskContainer {
                container_arn: container.arn(self),
                task_arn: container.task_arn(self),
                name: NAME,
                last_status: RUNNING,
                runtime_id: container.runtime_id.to_owned(),
                managed_agents: [ManagedAgent {
                    name: "ExecuteCommandAgent",
                    last_status: if target.is_connected() {
                        RUNNING
                    } else {
                        "STOPPED"
                    },
                    last_started_at: started,
                }],
            }],
        }
    }

    /// The cluster's name, of one that has a task.
    fn cluster<'a>(&self, given: Option<&'a str>) -> Result<&'a str, ServiceError> {
        let name = last_part(given.unwrap_or("default"));
        let mut containers = self.plan.targets.iter().filter_map(Target::container);
        if containers.any(|container| container.cluster == name) {
            Ok(name)
        } else {
            Err(ServiceError::new(
                "ClusterNotFoundException",
                "Cluster not found.",
            ))
        }
    }

    fn task(
        &self,
        cluster: &str,
        task: &str,
    ) -> Result<Option<(&Target, Container<'_>)>, ServiceError> {
        let id = last_part(task);
        if !matches!(id.len(), 32 | 36) {
            return Err(invalid("taskId length should be one of [32,36]"));
        }
        let targets = self.plan.targets.iter();
        let mut containers = targets.filter_map(|target| Some((target, target.container()?)));
        Ok(containers
            .find(|(_, container)| container.cluster == cluster && container.task_id == id))
    }

    fn cluster_arn(&self, name: &str) -> String {
        self.ecs_arn(&format!("cluster/{name}"))
    }

    fn ecs_arn(&self, rest: &str) -> String {
        format!("arn:aws:ecs:{}:{ACCOUNT}:{rest}", self.plan.region)
    }
}

impl Container<'_> {
    pub(crate) fn task_arn(&self, service: &Service) -> String {
        service.ecs_arn(&format!("task/{}/{}", self.cluster, self.task_id))
    }

    fn arn(&self, service: &Service) -> String {
        let Self {
            cluster,
            task_id,
            runtime_id,
        } = self;
        service.ecs_arn(&format!("container/{cluster}/{task_id}/{runtime_id}"))
    }
}

/// Of an ARN, or the name itself.
fn last_part(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

fn invalid(message: &str) -> ServiceError {
    ServiceError::new("InvalidParameterException", message)
}

/// The one container of every task.
const NAME: &str = "app";
const RUNNING: &str = "RUNNING";
