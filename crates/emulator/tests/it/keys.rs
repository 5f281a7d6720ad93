//! KMS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::KmsKey;
use ssm_session_emulator::Plan;

use crate::support::ask;
use crate::support::call;
use crate::support::emulator;
use crate::support::plan;
use crate::support::run;

#[test]
fn decrypt_undoes_generate_data_key_in_the_same_context() {
    run(async {
        let emulator = emulator().await;
        let context = json!({"aws:ssm:SessionId": "s", "aws:ssm:TargetId": "t"});
        let key = ask(&emulator, GENERATE, generate(&context)).await;
        assert_eq!(
            STANDARD
                .decode(key["Plaintext"].as_str().unwrap())
                .unwrap()
                .len(),
            64
        );
        let request =
            json!({"CiphertextBlob": key["CiphertextBlob"], "EncryptionContext": context});
        let opened = ask(&emulator, DECRYPT, request).await;
        assert_eq!(
            opened,
            json!({
                "KeyId": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                "Plaintext": key["Plaintext"],
                "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            })
        );
        assert_eq!(key["KeyId"], opened["KeyId"]);
    });
}

#[test]
fn another_context_does_not_decrypt() {
    run(async {
        let emulator = emulator().await;
        let key = ask(&emulator, GENERATE, generate(&json!({"a": "b"}))).await;
        for context in [json!({}), json!({"a": "c"}), json!({"a": "b", "c": "d"})] {
            let request =
                json!({"CiphertextBlob": key["CiphertextBlob"], "EncryptionContext": context});
            assert_eq!(
                call(&emulator, DECRYPT, request).await.code(),
                "InvalidCiphertextException"
            );
        }
    });
}

#[test]
fn keys_that_cannot_be_used_are_refused_by_their_reason() {
    run(async {
        let disabled = KmsKey {
            id: uuid::Uuid::from_u128(1),
            aliases: vec!["alias/off".to_owned()],
            enabled: false,
        };
        let kms_keys = vec![KmsKey::default(), disabled];
        let emulator = Emulator::start(Plan { kms_keys, ..plan() }).await.unwrap();
        for (key_id, code) in [
            ("alias/off", "DisabledException"),
            ("alias/none", "NotFoundException"),
        ] {
            let request = json!({"KeyId": key_id, "NumberOfBytes": 64});
            assert_eq!(call(&emulator, GENERATE, request).await.code(), code);
        }
    });
}

#[test]
fn the_length_is_given_once_and_in_range() {
    run(async {
        let emulator = emulator().await;
        for (size, length) in [
            (json!({"NumberOfBytes": 1024}), 1024),
            (json!({"KeySpec": "AES_256"}), 32),
            (json!({"KeySpec": "AES_128"}), 16),
        ] {
            let key = ask(&emulator, GENERATE, with_key(size)).await;
            assert_eq!(
                STANDARD
                    .decode(key["Plaintext"].as_str().unwrap())
                    .unwrap()
                    .len(),
                length
            );
        }
        for size in [
            json!({}),
            json!({"NumberOfBytes": 0}),
            json!({"NumberOfBytes": 1025}),
            json!({"NumberOfBytes": -1}),
            json!({"KeySpec": "AES_512"}),
            json!({"KeySpec": "AES_256", "NumberOfBytes": 32}),
        ] {
            let answer = call(&emulator, GENERATE, with_key(size.clone())).await;
            assert_eq!(answer.code(), "ValidationException", "{size}");
        }
    });
}

#[test]
fn a_ciphertext_that_is_none_is_refused() {
    run(async {
        let emulator = emulator().await;
        for (blob, code) in [
            ("not base64!", "ValidationException"),
            ("AAAA", "InvalidCiphertextException"),
            ("", "InvalidCiphertextException"),
        ] {
            let answer = call(&emulator, DECRYPT, json!({"CiphertextBlob": blob})).await;
            assert_eq!(answer.code(), code);
        }
    });
}

fn generate(context: &Value) -> Value {
    json!({"KeyId": "alias/emulator-session", "NumberOfBytes": 64, "EncryptionContext": context})
}

fn with_key(mut size: Value) -> Value {
    size["KeyId"] = json!("alias/emulator-session");
    size
}

const GENERATE: &str = "TrentService.GenerateDataKey";
const DECRYPT: &str = "TrentService.Decrypt";
