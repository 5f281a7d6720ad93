//! What KMS is asked, and with whose credentials.

use serde_json::json;

use crate::kms::Kms;
use crate::program::KEY;
use crate::program::Program;

const PROFILE: &str = "[profile work]\nregion = eu-central-1\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = from-profile\n";

#[tokio::test]
async fn a_key_is_asked_for_with_length_and_context_and_signed() {
    let kms = Kms::willing().await;
    let program = Program::ready(&kms.endpoint)
        .arg("aws:ssm:SessionId=s-1")
        .arg("aws:ssm:TargetId=i-1");
    let outcome = program.run().await;
    assert_eq!(
        outcome.stdout, "a key of 64 bytes, 184 bytes under the KMS key\n",
        "{outcome:?}"
    );
    let asked = kms.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].target, "TrentService.GenerateDataKey");
    assert_eq!(
        asked[0].body,
        json!({
            "KeyId": KEY,
            "NumberOfBytes": 64,
            "EncryptionContext": { "aws:ssm:SessionId": "s-1", "aws:ssm:TargetId": "i-1" },
        })
    );
    let authorization = &asked[0].authorization;
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDENVIRONMENT/"),
        "{authorization}"
    );
    assert!(
        authorization.contains("/eu-west-1/kms/aws4_request"),
        "{authorization}"
    );
    assert!(authorization.contains("host;"), "{authorization}");
    assert_eq!(format!("http://{}", asked[0].host), kms.endpoint);
}

#[tokio::test]
async fn a_named_profile_is_used_alone_and_brings_its_region() {
    let kms = Kms::willing().await;
    let program = Program::ready(&kms.endpoint)
        .file("config", PROFILE)
        .arg("profile=work");
    let outcome = program.run().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        kms.asked()[0]
            .authorization
            .contains("Credential=AKIDPROFILE/")
    );
}

#[tokio::test]
async fn the_environment_goes_before_a_profile_nobody_named() {
    let kms = Kms::willing().await;
    let program = Program::ready(&kms.endpoint)
        .file("config", PROFILE)
        .env("AWS_PROFILE", "work");
    assert_eq!(program.run().await.code, Some(0));
    assert!(
        kms.asked()[0]
            .authorization
            .contains("Credential=AKIDENVIRONMENT/")
    );
}

#[tokio::test]
async fn a_named_region_goes_before_every_other() {
    let kms = Kms::willing().await;
    let program = Program::ready(&kms.endpoint)
        .file("config", PROFILE)
        .arg("profile=work")
        .arg("region=us-east-2");
    assert_eq!(program.run().await.code, Some(0));
    assert!(kms.asked()[0].authorization.contains("/us-east-2/kms/"));
}

#[tokio::test]
async fn an_endpoint_for_kms_goes_before_one_for_everything() {
    let (kms, other) = (Kms::willing().await, Kms::willing().await);
    let program = Program::ready(&other.endpoint).env("AWS_ENDPOINT_URL_KMS", &kms.endpoint);
    assert_eq!(program.run().await.code, Some(0));
    assert_eq!((kms.asked().len(), other.asked().len()), (1, 0));
}
