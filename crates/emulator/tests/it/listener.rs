//! What is answered, and to whom.

use std::io::ErrorKind;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::json;
use ssm_session_emulator::Emulator;
use ssm_session_emulator::Plan;

use crate::support::call;
use crate::support::emulator;
use crate::support::plan;
use crate::support::post;
use crate::support::run;
use crate::support::send;

#[test]
fn an_address_others_can_reach_needs_to_be_allowed() {
    run(async {
        let listen = "0.0.0.0:0".parse().unwrap();
        let error = Emulator::start(Plan { listen, ..plan() })
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("--listen-anywhere"), "{error}");
    });
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    run(async {
        let first = emulator().await;
        let listen = first.local_addr();
        let error = Emulator::start(Plan { listen, ..plan() })
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn every_answer_has_a_request_id_of_its_own_and_the_protocols_content_type() {
    run(async {
        let emulator = emulator().await;
        let good = call(
            &emulator,
            "AmazonSSM.GetConnectionStatus",
            json!({"Target": "i-01234567"}),
        )
        .await;
        let bad = call(&emulator, "AmazonSSM.GetConnectionStatus", json!({})).await;
        for answer in [&good, &bad] {
            assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
            assert_eq!(answer.headers["x-amzn-requestid"].len(), 36);
        }
        assert_ne!(
            good.headers["x-amzn-requestid"],
            bad.headers["x-amzn-requestid"]
        );
    });
}

#[test]
fn unknown_operations_are_named_in_the_answer() {
    run(async {
        let emulator = emulator().await;
        let answer = call(&emulator, "AmazonSSM.SendCommand", json!({})).await;
        assert_eq!(answer.code(), "UnknownOperationException");
        assert!(answer.message().contains("AmazonSSM.SendCommand"));
        let answer = send(&emulator, Request::post("/").body(Full::default()).unwrap()).await;
        assert_eq!(answer.code(), "UnknownOperationException");
        assert!(answer.message().contains("X-Amz-Target"));
    });
}

#[test]
fn other_paths_and_methods_are_not_found() {
    run(async {
        let emulator = emulator().await;
        for (method, path) in [
            ("GET", "/"),
            ("POST", "/x"),
            ("DELETE", "/v1/data-channel/x"),
        ] {
            let request = Request::builder().method(method).uri(path);
            let answer = send(&emulator, request.body(Full::default()).unwrap()).await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    });
}

#[test]
fn bodies_that_are_no_request_are_refused_with_the_reason() {
    run(async {
        let emulator = emulator().await;
        let cases = [
            ("", "EOF"),
            ("{", "EOF"),
            ("[]", "no JSON object"),
            ("{}", "Target"),
            (r#"{"Target":7}"#, "string"),
            ("\u{0}\u{ff}", "expected value"),
        ];
        for (body, reason) in cases {
            let answer = post(&emulator, "AmazonSSM.StartSession", body).await;
            assert_eq!(answer.code(), "ValidationException", "{body}");
            assert!(
                answer.message().contains(reason),
                "{body}: {}",
                answer.message()
            );
        }
    });
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    run(async {
        let emulator = emulator().await;
        let answer = post(
            &emulator,
            "AmazonSSM.StartSession",
            vec![b' '; 1024 * 1024 + 1],
        )
        .await;
        assert_eq!(answer.code(), "ValidationException");
        assert!(
            answer.message().contains("1048576 bytes"),
            "{}",
            answer.message()
        );
    });
}

#[test]
fn web_pages_get_no_answer() {
    run(async {
        let emulator = emulator().await;
        let request = Request::post("/")
            .header("origin", "http://127.0.0.1")
            .header("x-amz-target", "AmazonSSM.StartSession")
            .body(Full::<Bytes>::from(r#"{"Target":"i-0123456789abcdef0"}"#))
            .unwrap();
        let answer = send(&emulator, request).await;
        assert_eq!(answer.status, 403);
        assert!(!answer.text.contains("TokenValue"));
    });
}
