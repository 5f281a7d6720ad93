//! ECS: containers are described, commands run in them.

use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::StartedSession;
use ssm_session_emulator::Target;
use ssm_session_proto::MessageType;
use ssm_session_proto::Secret;

use crate::support::Channel;
use crate::support::ask;
use crate::support::call;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

#[test]
fn the_task_of_every_emulator_is_described_as_the_cli_needs_it() {
    run(async {
        let emulator = emulator().await;
        for (cluster, task) in [("emulator", TASK), (CLUSTER_ARN, TASK_ARN)] {
            let request = json!({"cluster": cluster, "tasks": [task]});
            let answer = ask(&emulator, DESCRIBE, request).await;
            assert_eq!(answer["failures"], json!([]));
            let task = &answer["tasks"][0];
            assert_eq!(task["taskArn"], TASK_ARN);
            assert_eq!(task["clusterArn"], CLUSTER_ARN);
            assert_eq!(task["lastStatus"], "RUNNING");
            assert_eq!(task["enableExecuteCommand"], true);
            let container = &task["containers"][0];
            assert_eq!(container["name"], "app");
            assert_eq!(container["lastStatus"], "RUNNING");
            let agent = &container["managedAgents"][0];
            assert_eq!(agent["name"], "ExecuteCommandAgent");
            assert_eq!(agent["lastStatus"], "RUNNING");
            // What the CLI makes a target of.
            let runtime_id = container["runtimeId"].as_str().unwrap();
            assert_eq!(
                format!("ecs:emulator_{TASK}_{runtime_id}"),
                Target::CONTAINER
            );
        }
    });
}

#[test]
fn tasks_that_are_not_there_are_named() {
    run(async {
        let emulator = emulator().await;
        let other = "f".repeat(32);
        let request = json!({"cluster": "emulator", "tasks": [TASK, other]});
        let answer = ask(&emulator, DESCRIBE, request).await;
        assert_eq!(answer["tasks"].as_array().unwrap().len(), 1);
        let arn = format!("arn:aws:ecs:us-east-1:123456789012:task/emulator/{other}");
        assert_eq!(
            answer["failures"],
            json!([{"arn": arn, "reason": "MISSING"}])
        );
        for (request, code) in [
            (json!({"tasks": [TASK]}), "ClusterNotFoundException"),
            (
                json!({"cluster": "other", "tasks": [TASK]}),
                "ClusterNotFoundException",
            ),
            (
                json!({"cluster": "emulator", "tasks": []}),
                "InvalidParameterException",
            ),
            (
                json!({"cluster": "emulator", "tasks": ["short"]}),
                "InvalidParameterException",
            ),
        ] {
            assert_eq!(call(&emulator, DESCRIBE, request).await.code(), code);
        }
    });
}

#[test]
fn a_command_runs_in_the_container() {
    run(async {
        let emulator = emulator().await;
        let answer = ask(&emulator, EXECUTE, execute("echo a$((1+1))b", "app")).await;
        assert_eq!(answer["clusterArn"], CLUSTER_ARN);
        assert_eq!(answer["taskArn"], TASK_ARN);
        assert_eq!(answer["containerName"], "app");
        assert_eq!(answer["interactive"], true);
        let session = &answer["session"];
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        let started = StartedSession {
            session_id: text("sessionId"),
            stream_url: text("streamUrl"),
            token: Secret::new(text("tokenValue")),
        };
        let request = json!({"State": "Active"});
        let described = ask(&emulator, "AmazonSSM.DescribeSessions", request).await;
        assert_eq!(described["Sessions"][0]["SessionId"], started.session_id);
        assert_eq!(described["Sessions"][0]["Target"], Target::CONTAINER);
        assert_eq!(
            described["Sessions"][0]["DocumentName"],
            "AmazonECS-ExecuteInteractiveCommand"
        );
        let mut channel = Channel::open(&started).await;
        let output = channel.receive(MessageType::OUTPUT_STREAM_DATA).await;
        let output = String::from_utf8_lossy(&output.payload).into_owned();
        assert!(output.starts_with("a2b"), "{output}");
    });
}

#[test]
fn the_container_is_a_target_of_systems_manager_too() {
    run(async {
        let emulator = emulator().await;
        let target = json!({"Target": Target::CONTAINER});
        let status = ask(&emulator, "AmazonSSM.GetConnectionStatus", target.clone()).await;
        assert_eq!(status["Status"], "connected");
        let session = ask(&emulator, "AmazonSSM.StartSession", target).await;
        assert!(session["SessionId"].is_string());
        // It is no managed node.
        let nodes = ask(
            &emulator,
            "AmazonSSM.DescribeInstanceInformation",
            json!({}),
        )
        .await;
        let nodes = nodes["InstanceInformationList"].as_array().unwrap();
        assert_eq!(nodes.len(), 1);
        assert_eq!(nodes[0]["InstanceId"], "i-0123456789abcdef0");
    });
}

#[test]
fn what_cannot_be_executed_is_refused_with_awss_own_words() {
    run(async {
        let emulator = emulator().await;
        let with = |name: &str, value: Value| {
            let mut request = execute("sh", "app");
            request[name] = value;
            request
        };
        for (request, code, text) in [
            (
                with("interactive", json!(false)),
                "InvalidParameterException",
                "Interactive is the only mode supported currently.",
            ),
            (
                with("command", json!(" ")),
                "InvalidParameterException",
                "Command cannot be blank.",
            ),
            (
                with("cluster", json!("other")),
                "ClusterNotFoundException",
                "Cluster not found.",
            ),
            (
                with("cluster", Value::Null),
                "ClusterNotFoundException",
                "Cluster not found.",
            ),
            (
                with("task", json!("task")),
                "InvalidParameterException",
                "taskId length should be one of [32,36]",
            ),
            (
                with("task", json!("f".repeat(32))),
                "InvalidParameterException",
                "The referenced task was not found.",
            ),
            (
                with("container", json!("web")),
                "InvalidParameterException",
                "The container web was not found in the task.",
            ),
            (with("task", Value::Null), "ValidationException", "null"),
        ] {
            let answer = call(&emulator, EXECUTE, request).await;
            assert_eq!(answer.code(), code);
            assert!(answer.message().contains(text), "{answer:?}");
        }
    });
}

#[test]
fn a_container_whose_agent_is_gone_is_not_connected() {
    run(async {
        let container = Target::new(Target::CONTAINER).unwrap().disconnected();
        let emulator = Emulator::start(Plan {
            targets: vec![container],
            ..plan()
        })
        .await
        .unwrap();
        let answer = call(&emulator, EXECUTE, execute("sh", "app")).await;
        assert_eq!(answer.code(), "TargetNotConnectedException");
        assert_eq!(
            answer.message(),
            "The execute command failed due to an internal error. Try again later."
        );
        let request = json!({"cluster": "emulator", "tasks": [TASK]});
        let answer = ask(&emulator, DESCRIBE, request).await;
        let agent = &answer["tasks"][0]["containers"][0]["managedAgents"][0];
        assert_eq!(agent["lastStatus"], "STOPPED");
    });
}

fn execute(command: &str, container: &str) -> Value {
    json!({
        "cluster": "emulator",
        "task": TASK,
        "container": container,
        "command": command,
        "interactive": true,
    })
}

const EXECUTE: &str = "AmazonEC2ContainerServiceV20141113.ExecuteCommand";
const DESCRIBE: &str = "AmazonEC2ContainerServiceV20141113.DescribeTasks";
const TASK: &str = "0123456789abcdef0123456789abcdef";
const TASK_ARN: &str =
    "arn:aws:ecs:us-east-1:123456789012:task/emulator/0123456789abcdef0123456789abcdef";
const CLUSTER_ARN: &str = "arn:aws:ecs:us-east-1:123456789012:cluster/emulator";
