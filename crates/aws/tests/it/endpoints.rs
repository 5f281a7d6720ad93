//! Where calls go: endpoints, regions, FIPS, dual stack.

use crate::program::Program;
use crate::server::Asked;
use crate::server::Server;

const STATUS: &str = "status i-0123456789abcdef0";
const KEY: &str = "data-key arn:aws:kms:eu-west-1:123456789012:key/1";

#[tokio::test]
async fn an_endpoint_for_one_service_goes_before_one_for_all() {
    let (ssm, kms, other) = (
        Server::willing().await,
        Server::willing().await,
        Server::willing().await,
    );
    Program::ready(&other.endpoint)
        .env("AWS_ENDPOINT_URL_SSM", &ssm.endpoint)
        .env("AWS_ENDPOINT_URL_KMS", &kms.endpoint)
        .args(&format!("{STATUS} , {KEY}"))
        .success()
        .await;
    assert_eq!(
        (ssm.calls().len(), kms.calls().len(), other.calls().len()),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn the_endpoint_of_the_caller_is_for_systems_manager_alone() {
    let (named, other) = (Server::willing().await, Server::willing().await);
    let config = "[profile base]\naws_access_key_id = A\naws_secret_access_key = 5EKRET\n\
        [profile ops]\nrole_arn = arn:aws:iam::1:role/ops\nsource_profile = base\n";
    Program::near(&other.endpoint)
        .file("config", config)
        .args(&format!(
            "profile=ops endpoint={} {STATUS} , {KEY}",
            named.endpoint
        ))
        .success()
        .await;
    assert_eq!(named.asked().len(), 1);
    assert_eq!(
        named.calls()[0].operation(),
        "AmazonSSM.GetConnectionStatus"
    );
    let others: Vec<_> = other
        .asked()
        .iter()
        .map(|asked| asked.operation().to_owned())
        .collect();
    assert_eq!(others, ["", "TrentService.GenerateDataKey"]);
}

#[tokio::test]
async fn endpoints_in_the_configuration_are_used() {
    let (all, ssm) = (Server::willing().await, Server::willing().await);
    let config = format!(
        "[profile work]\nregion = eu-west-1\nendpoint_url = {}\nservices = mine\n\
         [services mine]\nssm =\n  endpoint_url = {}\n",
        all.endpoint, ssm.endpoint
    );
    Program::new()
        .keys()
        .env("AWS_PROFILE", "work")
        .file("config", &config)
        .args(&format!("{STATUS} , {KEY}"))
        .success()
        .await;
    assert_eq!((ssm.calls().len(), all.calls().len()), (1, 1));
}

#[tokio::test]
async fn an_endpoint_that_is_set_to_nothing_is_none() {
    let server = Server::willing().await;
    for (empty, filled) in [
        ("AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM"),
    ] {
        let program = Program::new()
            .keys()
            .env("AWS_REGION", "eu-west-1")
            .env(empty, "")
            .env(filled, &server.endpoint);
        assert_eq!(program.args(STATUS).success().await, "Connected");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_set_to_nothing_is_named_where_it_cannot_be_passed_over() {
    let program = Program::near("").file("config", ROLES).file(CACHE, TOKEN);
    assert_eq!(
        program
            .args(&format!("profile=work {STATUS}"))
            .failure()
            .await,
        "AWS_ENDPOINT_URL is set to nothing, so that no credentials can be fetched; \
         give it a URL or remove it"
    );
}

/// A role with or without a second factor, its source a sign-in.
const ROLES: &str = "[profile work]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = dev\n\
    [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n\
    [profile ops]\nrole_arn = arn:aws:iam::1:role/ops\nsource_profile = work\n\
    [profile mfa]\nrole_arn = arn:aws:iam::1:role/ops\nsource_profile = work\nmfa_serial = m\n";
const TOKEN: &str = r#"{"accessToken":"5EKRET","expiresAt":"2020-01-01T00:00:00Z","refreshToken":"5EKRET","clientId":"c",
    "clientSecret":"5EKRET","registrationExpiresAt":"2096-01-01T00:00:00Z"}"#;
const CACHE: &str = "sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

fn paths(server: &Server) -> Vec<String> {
    let asked = server.asked();
    asked
        .iter()
        .map(|asked| asked.path.split('?').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn endpoints_of_sts_and_sso_are_used_for_credentials() {
    for profile in ["ops", "mfa"] {
        let (ssm, sts, sso, oidc) = (
            Server::willing().await,
            Server::willing().await,
            Server::willing().await,
            Server::willing().await,
        );
        Program::new()
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ENDPOINT_URL_SSM", &ssm.endpoint)
            .env("AWS_ENDPOINT_URL_STS", &sts.endpoint)
            .env("AWS_ENDPOINT_URL_SSO", &sso.endpoint)
            .env("AWS_ENDPOINT_URL_SSO_OIDC", &oidc.endpoint)
            .file("config", ROLES)
            .file(CACHE, TOKEN)
            .args(&format!("profile={profile} code=1 {STATUS}"))
            .success()
            .await;
        assert_eq!(sts.sts("AssumeRole").len(), 1);
        assert_eq!(paths(&sso), ["/federation/credentials"]);
        assert_eq!(paths(&oidc), ["/token"]);
    }
}

#[tokio::test]
async fn the_endpoint_of_sts_in_the_configuration_is_used_for_a_web_identity() {
    let (all, sts) = (Server::willing().await, Server::willing().await);
    let config = format!(
        "[default]\nendpoint_url = {}\nservices = mine\n[services mine]\nsts =\n  endpoint_url = {}\n",
        all.endpoint, sts.endpoint
    );
    let program = Program::new()
        .file("config", &config)
        .file("token", "5EKRET");
    let file = program.path("token").display().to_string();
    program
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &file)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ops")
        .args(STATUS)
        .success()
        .await;
    assert_eq!(sts.sts("AssumeRoleWithWebIdentity").len(), 1);
    assert_eq!(all.calls().len(), 1);
}

/// The hosts that calls go to, seen by a proxy that lets nothing through.
async fn hosts(program: impl FnOnce(Program) -> Program, operations: &str) -> Vec<String> {
    let proxy = Server::new(|asked: &Asked| {
        (asked.method == "CONNECT").then(|| (403, "5EKRET is not shown".to_owned()))
    })
    .await;
    let ready = Program::new().keys().env("AWS_MAX_ATTEMPTS", "1");
    let outcome = program(ready)
        .args(&format!("proxy={} {operations}", proxy.endpoint))
        .run()
        .await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("could not be reached: "),
        "{outcome:?}"
    );
    let asked = proxy.asked();
    asked.iter().map(|asked| asked.path.clone()).collect()
}

#[tokio::test]
async fn calls_go_to_the_endpoint_of_the_region() {
    let region = |program: Program| program.env("AWS_REGION", "eu-west-1");
    assert_eq!(
        hosts(region, &format!("{STATUS} , {KEY}")).await,
        [
            "ssm.eu-west-1.amazonaws.com:443",
            "kms.eu-west-1.amazonaws.com:443"
        ]
    );
    assert_eq!(
        hosts(region, &format!("region=cn-north-1 {STATUS}")).await,
        ["ssm.cn-north-1.amazonaws.com.cn:443"]
    );
}

#[tokio::test]
async fn fips_and_dual_stack_choose_other_endpoints() {
    let fips = |program: Program| program.env("AWS_USE_FIPS_ENDPOINT", "true");
    assert_eq!(
        hosts(fips, &format!("region=us-east-1 {STATUS} , {KEY}")).await,
        [
            "ssm-fips.us-east-1.amazonaws.com:443",
            "kms-fips.us-east-1.amazonaws.com:443"
        ]
    );
    let in_file = |program: Program| {
        program.file(
            "config",
            "[default]\nuse_fips_endpoint = true\nregion = us-east-1\n",
        )
    };
    assert_eq!(
        hosts(in_file, STATUS).await,
        ["ssm-fips.us-east-1.amazonaws.com:443"]
    );
    let dual = |program: Program| program.env("AWS_USE_DUALSTACK_ENDPOINT", "true");
    assert_eq!(
        hosts(dual, &format!("region=us-east-1 {STATUS}")).await,
        ["ssm.us-east-1.api.aws:443"]
    );
}

#[tokio::test]
async fn fips_reaches_the_sts_that_assumes_a_role() {
    for profile in ["ops", "mfa"] {
        let program = |program: Program| {
            let config = "[profile base]\naws_access_key_id = A\naws_secret_access_key = 5EKRET\n\
                [profile ops]\nrole_arn = arn:aws:iam::1:role/ops\nsource_profile = base\n\
                [profile mfa]\nrole_arn = arn:aws:iam::1:role/ops\nsource_profile = base\nmfa_serial = m\n";
            program
                .file("config", config)
                .env("AWS_USE_FIPS_ENDPOINT", "true")
        };
        let proxy =
            Server::new(|asked: &Asked| (asked.method == "CONNECT").then(|| (403, String::new())))
                .await;
        let outcome = program(Program::new().env("AWS_MAX_ATTEMPTS", "1"))
            .args(&format!(
                "proxy={} region=us-east-1 profile={profile} code=1 {STATUS}",
                proxy.endpoint
            ))
            .run()
            .await;
        assert!(
            outcome.stderr.contains("could not be fetched: "),
            "{outcome:?}"
        );
        let asked = proxy.asked();
        assert_eq!(asked[0].path, "sts-fips.us-east-1.amazonaws.com:443");
    }
}

#[tokio::test]
async fn the_region_is_the_callers_then_the_environments_then_the_profiles() {
    for (arguments, variable, expected) in [
        ("region=us-east-2", Some("AWS_REGION"), "us-east-2"),
        ("", Some("AWS_REGION"), "eu-west-1"),
        ("", Some("AWS_DEFAULT_REGION"), "eu-west-1"),
        ("", None, "eu-central-1"),
    ] {
        let server = Server::willing().await;
        let mut program = Program::new()
            .keys()
            .env("AWS_ENDPOINT_URL", &server.endpoint)
            .file("config", "[default]\nregion = eu-central-1\n");
        if let Some(variable) = variable {
            program = program.env(variable, "eu-west-1");
        }
        program
            .args(&format!("{arguments} {STATUS}"))
            .success()
            .await;
        let calls = server.calls();
        let authorization = calls[0].header("authorization");
        assert!(
            authorization.contains(&format!("/{expected}/ssm/")),
            "{authorization}"
        );
    }
}

#[tokio::test]
async fn the_authorities_of_a_profile_are_found() {
    let config = "[default]\nca_bundle = /etc/ours.pem\n[profile work]\nca_bundle = ~/theirs.pem\n[profile none]\n";
    let settings = |arguments: &'static str| {
        let program = Program::new().file("config", config);
        program.args(arguments).success()
    };
    assert_eq!(
        settings("settings").await,
        r#"NetworkSettings { ca_bundle: Some("/etc/ours.pem") }"#
    );
    assert!(
        settings("profile=work settings")
            .await
            .contains("/theirs.pem")
    );
    assert!(!settings("profile=work settings").await.contains('~'));
    assert_eq!(
        settings("profile=none settings").await,
        "NetworkSettings { ca_bundle: None }"
    );
}

#[tokio::test]
async fn what_is_no_region_is_named() {
    for operation in [STATUS, "sign host.example /"] {
        let program = Program::new().keys().env("AWS_REGION", "eu west");
        assert_eq!(
            program.args(operation).failure().await,
            "\"eu west\" is no AWS region; name one such as eu-west-1, or correct AWS_REGION or the profile"
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_told_with_its_variable() {
    let program = Program::ready("ftp://x").args(STATUS);
    assert_eq!(
        program.failure().await,
        "GetConnectionStatus of Systems Manager failed: an endpoint must begin with https:// or http://; \
         check AWS_ENDPOINT_URL_SSM"
    );
}

#[tokio::test]
async fn settings_of_retries_that_only_the_aws_cli_knows_do_no_harm() {
    for (name, value) in [("AWS_RETRY_MODE", "legacy"), ("AWS_MAX_ATTEMPTS", "0")] {
        let server = Server::willing().await;
        let program = Program::ready(&server.endpoint).env(name, value);
        assert_eq!(program.args(STATUS).success().await, "Connected");
    }
    let server = Server::answering(500, serde_json::json!({})).await;
    let program = Program::ready(&server.endpoint).file(
        "config",
        "[default]\nmax_attempts = 1\nretry_mode = legacy\n",
    );
    program.args(STATUS).failure().await;
    assert_eq!(server.calls().len(), 1);
}
