//! Managed nodes.

use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;
use ssm_session_emulator::Target;

use crate::support::ask;
use crate::support::call;
use crate::support::plan;
use crate::support::run;

#[test]
fn a_node_is_connected_or_not() {
    run(async {
        let emulator = nodes().await;
        for (target, status) in [
            ("i-00000000000000001", "connected"),
            ("mi-00000000000000002", "connected"),
            ("i-00000003", "notconnected"),
            ("i-ffffffff", "notconnected"),
        ] {
            let answer = ask(
                &emulator,
                "AmazonSSM.GetConnectionStatus",
                json!({"Target": target}),
            )
            .await;
            assert_eq!(answer, json!({"Target": target, "Status": status}));
        }
    });
}

#[test]
fn nodes_report_the_version_of_the_plans_agent() {
    run(async {
        let agent_version = "3.0.196.0".to_owned();
        let emulator = Emulator::start(Plan {
            agent_version,
            ..plan()
        })
        .await
        .unwrap();
        let answer = ask(&emulator, DESCRIBE, json!({})).await;
        let first = &answer["InstanceInformationList"][0];
        assert_eq!(first["AgentVersion"], "3.0.196.0");
    });
}

#[test]
fn nodes_are_described_in_the_order_of_the_plan() {
    run(async {
        let emulator = nodes().await;
        let answer = ask(&emulator, DESCRIBE, json!({})).await;
        assert_eq!(
            ids(&answer),
            ["i-00000000000000001", "mi-00000000000000002", "i-00000003"]
        );
        let first = &answer["InstanceInformationList"][0];
        assert_eq!(first["PingStatus"], "Online");
        assert_eq!(first["ResourceType"], "EC2Instance");
        assert_eq!(first["PlatformType"], "Linux");
        assert!(first["LastPingDateTime"].is_f64());
        assert_eq!(
            answer["InstanceInformationList"][1]["ResourceType"],
            "ManagedInstance"
        );
        assert_eq!(
            answer["InstanceInformationList"][2]["PingStatus"],
            "ConnectionLost"
        );
        assert!(answer.get("NextToken").is_none());
    });
}

#[test]
fn both_forms_of_filters_select_nodes() {
    run(async {
        let emulator = nodes().await;
        let online = json!({"Filters": [
            {"Key": "PingStatus", "Values": ["Online"]},
            {"Key": "ResourceType", "Values": ["EC2Instance"]},
        ]});
        assert_eq!(
            ids(&ask(&emulator, DESCRIBE, online).await),
            ["i-00000000000000001"]
        );
        let two = json!({"InstanceInformationFilterList": [
            {"key": "InstanceIds", "valueSet": ["i-00000003", "mi-00000000000000002", "i-ffffffff"]},
        ]});
        assert_eq!(
            ids(&ask(&emulator, DESCRIBE, two).await),
            ["mi-00000000000000002", "i-00000003"]
        );
        let tagged = json!({"Filters": [{"Key": "tag:Name", "Values": ["x"]}]});
        assert!(ids(&ask(&emulator, DESCRIBE, tagged).await).is_empty());
    });
}

#[test]
fn wrong_filters_pages_and_tokens_are_refused() {
    run(async {
        let emulator = nodes().await;
        let filter = json!({"Key": "PingStatus", "Values": ["Online"]});
        let legacy = json!({"key": "PingStatus", "valueSet": ["Online"]});
        for (request, code) in [
            (
                json!({"Filters": [{"Key": "Colour", "Values": ["x"]}]}),
                "InvalidFilterKey",
            ),
            (
                json!({"Filters": [{"Key": "PingStatus", "Values": []}]}),
                "ValidationException",
            ),
            (
                json!({"Filters": [filter], "InstanceInformationFilterList": [legacy]}),
                "ValidationException",
            ),
            (json!({"MaxResults": 4}), "ValidationException"),
            (json!({"NextToken": "made up"}), "InvalidNextToken"),
        ] {
            assert_eq!(call(&emulator, DESCRIBE, request).await.code(), code);
        }
    });
}

#[test]
fn many_nodes_come_in_pages() {
    run(async {
        let targets = (0..12)
            .map(|n| Target::new(format!("i-{n:017x}")).unwrap())
            .collect();
        let emulator = Emulator::start(Plan { targets, ..plan() }).await.unwrap();
        let mut all = Vec::new();
        let mut request = json!({"MaxResults": 5});
        loop {
            let page = ask(&emulator, DESCRIBE, request.clone()).await;
            all.push(ids(&page));
            match page.get("NextToken") {
                Some(token) => request["NextToken"] = token.clone(),
                None => break,
            }
        }
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 2]);
        let expected: Vec<_> = (0..12).map(|n| format!("i-{n:017x}")).collect();
        assert_eq!(all.concat(), expected);
    });
}

async fn nodes() -> Emulator {
    let targets = vec![
        Target::new("i-00000000000000001").unwrap(),
        Target::new("mi-00000000000000002").unwrap(),
        Target::new("i-00000003").unwrap().disconnected(),
    ];
    Emulator::start(Plan { targets, ..plan() }).await.unwrap()
}

fn ids(answer: &Value) -> Vec<String> {
    let list = answer["InstanceInformationList"].as_array().unwrap();
    list.iter()
        .map(|node| node["InstanceId"].as_str().unwrap().to_owned())
        .collect()
}

const DESCRIBE: &str = "AmazonSSM.DescribeInstanceInformation";
