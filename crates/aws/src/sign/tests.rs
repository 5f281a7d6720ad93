use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::hmac;

use super::*;

/// 2026-11-21T11:22:33Z
const NOW: Duration = Duration::from_secs(1_795_260_153);
const STAMP: &str = "20261121T112233Z";
const HOST: &str = "ssmmessages.eu-west-1.amazonaws.com";
const PATH: &str =
    "/v1/data-channel/me-0a1b2c3d4e5f67890?role=publish_subscribe&cell-number=AAEAAb%2FdAg%3D%3D";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn sign_with(path: &str, token: Option<&str>) -> Vec<(&'static str, String)> {
    let credentials = Credentials::new(
        "AKIDEXAMPLE",
        SECRET,
        token.map(str::to_owned),
        None,
        "test",
    );
    let request = UpgradeRequest {
        host: HOST.to_owned(),
        path_and_query: Secret::new(path),
    };
    let now = SystemTime::UNIX_EPOCH + NOW;
    let mut fields: Vec<_> = fields(&request, credentials, "eu-west-1", now)
        .unwrap()
        .into_iter()
        .map(|field| (field.name, field.value.expose().to_owned()))
        .collect();
    fields.sort();
    fields
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// Signature Version 4 as AWS publishes it, written out for this one request.
fn expected(path: &str, query: &str, token: Option<&str>) -> String {
    let mut headers = format!("host:{HOST}\nx-amz-date:{STAMP}\n");
    let mut names = "host;x-amz-date".to_owned();
    if let Some(token) = token {
        writeln!(headers, "x-amz-security-token:{token}").unwrap();
        names.push_str(";x-amz-security-token");
    }
    let empty = sha256("");
    let request = format!("GET\n{path}\n{query}\n{headers}\n{names}\n{empty}");
    let scope = "20261121/eu-west-1/ssmmessages/aws4_request";
    let text = format!("AWS4-HMAC-SHA256\n{STAMP}\n{scope}\n{}", sha256(&request));
    let key = ["20261121", "eu-west-1", "ssmmessages", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| {
            mac(&key, part)
        });
    let signature = hex(&mac(&key, &text));
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, Signature={signature}"
    )
}

#[test]
fn the_opening_is_signed_as_aws_publishes_it() {
    let query = "cell-number=AAEAAb%2FdAg%3D%3D&role=publish_subscribe";
    let path = "/v1/data-channel/me-0a1b2c3d4e5f67890";
    assert_eq!(
        sign_with(PATH, None),
        [
            ("authorization", expected(path, query, None)),
            ("x-amz-date", STAMP.to_owned()),
        ]
    );
}

#[test]
fn a_session_token_is_sent_and_signed() {
    let query = "cell-number=AAEAAb%2FdAg%3D%3D&role=publish_subscribe";
    let path = "/v1/data-channel/me-0a1b2c3d4e5f67890";
    let token = "IQoJb3JpZ2luX2VjEXAMPLE//token==";
    assert_eq!(
        sign_with(PATH, Some(token)),
        [
            ("authorization", expected(path, query, Some(token))),
            ("x-amz-date", STAMP.to_owned()),
            ("x-amz-security-token", token.to_owned()),
        ]
    );
}

#[test]
fn an_escape_in_the_path_is_escaped_once_more() {
    let path = "/v1/data-channel/a%252Cb";
    assert_eq!(
        sign_with("/v1/data-channel/a%2Cb", None)[0].1,
        expected(path, "", None)
    );
}

#[test]
fn a_name_with_an_at_sign_and_a_plus_in_the_query_are_signed_as_gos_sdk_does() {
    let expected = expected(
        "/v1/data-channel/me%40example.com-1",
        "cell-number=a%20b",
        None,
    );
    assert_eq!(
        sign_with("/v1/data-channel/me@example.com-1?cell-number=a+b", None)[0].1,
        expected
    );
}

#[test]
fn what_is_no_url_is_refused_without_being_shown() {
    let request = UpgradeRequest {
        host: HOST.to_owned(),
        path_and_query: Secret::new("/a b\u{7f}secret-in-the-path"),
    };
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET, None, None, "test");
    let error = fields(&request, credentials, "eu-west-1", SystemTime::now()).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("secret"), "{shown}");
}
