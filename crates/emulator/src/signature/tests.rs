//! AWS's published test suite for Signature Version 4, of which these vectors are, and what must not pass.

use std::time::UNIX_EPOCH;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use ssm_session_proto::Secret;

use super::*;

/// A request as it is written on the wire, its body after the blank line.
struct Received {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
}

impl Received {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
        let sent = rest.strip_suffix(" HTTP/1.1").unwrap();
        let (path, query) = sent.split_once('?').unwrap_or((sent, ""));
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap();
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.to_owned(),
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: self.body.as_bytes(),
        }
    }

    fn verify(&self, known: &[Credentials]) -> Result<(), SignatureError> {
        self.verify_at(known, 0)
    }

    /// So many seconds after it was signed.
    fn verify_at(&self, known: &[Credentials], seconds: i64) -> Result<(), SignatureError> {
        let signed = time::parse_compact("20150830T123600Z").unwrap();
        let age = Duration::from_secs(seconds.unsigned_abs());
        let now = if seconds < 0 {
            signed - age
        } else {
            signed + age
        };
        verify(self.request(), known, SCOPE, now)
    }
}

#[test]
fn headers_of_the_test_suite_are_accepted() {
    for (line, headers, signed, signature, body) in [
        ("GET / HTTP/1.1", "", "host;x-amz-date", GET_VANILLA, ""),
        (
            "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1 HTTP/1.1",
            "",
            "host;x-amz-date",
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
            "",
        ),
        (
            "GET /?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz HTTP/1.1",
            "",
            "host;x-amz-date",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            "",
        ),
        (
            "GET /example/.. HTTP/1.1",
            "",
            "host;x-amz-date",
            GET_VANILLA,
            "",
        ),
        (
            "GET /example space/ HTTP/1.1",
            "",
            "host;x-amz-date",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
            "",
        ),
        (
            "GET /\u{1234} HTTP/1.1",
            "",
            "host;x-amz-date",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            "",
        ),
        (
            "GET / HTTP/1.1",
            "My-Header1: value1\nMy-Header2: \"a   b   c\"\n",
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            "",
        ),
        (
            "GET / HTTP/1.1",
            "My-Header1:value2\nMy-Header1:value2\nMy-Header1:value1\n",
            "host;my-header1;x-amz-date",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            "",
        ),
        (
            "POST / HTTP/1.1",
            "Content-Type:application/x-www-form-urlencoded\nContent-Length:13\nx-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e\n",
            "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
            "Param1=value1",
        ),
    ] {
        let received = signed_by_header(line, headers, signed, signature, body);
        assert_eq!(received.verify(&[long_lived()]), Ok(()), "{line}");
    }
}

#[test]
fn a_session_token_is_part_of_what_is_signed() {
    let token = format!("X-Amz-Security-Token:{TOKEN}\n");
    let received = signed_by_header(
        "GET / HTTP/1.1",
        &token,
        "host;x-amz-date;x-amz-security-token",
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        "",
    );
    assert_eq!(received.verify(&[temporary()]), Ok(()));
    // The key alone is not enough, nor is a token for a key that has none.
    for known in [
        long_lived(),
        Credentials {
            session_token: Some(Secret::new("another")),
            ..long_lived()
        },
    ] {
        assert_eq!(received.verify(&[known]), Err(SignatureError::Unrecognized));
    }
    let without = signed_by_header("GET / HTTP/1.1", "", "host;x-amz-date", GET_VANILLA, "");
    assert_eq!(
        without.verify(&[temporary()]),
        Err(SignatureError::Unrecognized)
    );
}

#[test]
fn presigned_requests_of_the_test_suite_are_accepted_until_they_expire() {
    let plain = presigned(
        "",
        "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d",
    );
    let with_token = presigned(
        &format!("&X-Amz-Security-Token={TOKEN}"),
        "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c",
    );
    for (received, known) in [(&plain, long_lived()), (&with_token, temporary())] {
        let known = [known];
        assert_eq!(received.verify(&known), Ok(()));
        assert_eq!(received.verify_at(&known, 3600), Ok(()));
        let late = invalid(received.verify_at(&known, 3601));
        assert_eq!(
            late,
            "Signature expired: 20150830T133600Z is now earlier than 20150830T133601Z"
        );
        let early = invalid(received.verify_at(&known, -301));
        assert!(early.starts_with("Signature not yet current"), "{early}");
    }
}

#[test]
fn a_presigned_request_that_was_changed_is_refused() {
    let signature = "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d";
    let added = invalid(presigned("&more=1", signature).verify(&[long_lived()]));
    assert!(added.contains("does not match"), "{added}");
    let mut longer = presigned("", signature);
    longer.query = longer.query.replace("Expires=3600", "Expires=7200");
    let longer = invalid(longer.verify(&[long_lived()]));
    assert!(longer.contains("does not match"), "{longer}");
    for expires in ["0", "604801", "-1", "soon", ""] {
        let mut wrong = presigned("", signature);
        wrong.query = wrong
            .query
            .replace("Expires=3600", &format!("Expires={expires}"));
        let error = wrong.verify(&[long_lived()]).unwrap_err();
        assert!(
            matches!(&error, SignatureError::Incomplete(text) if text.contains("X-Amz-Expires")),
            "{error}"
        );
    }
}

#[test]
fn every_part_of_a_request_is_covered() {
    let good = || signed_by_header("GET / HTTP/1.1", "", "host;x-amz-date", GET_VANILLA, "");
    let mut changed = [good(), good(), good(), good(), good()];
    changed[0].method = "POST".to_owned();
    changed[1].path = "/x".to_owned();
    changed[2].query = "x=".to_owned();
    changed[3].body = "x".to_owned();
    let host = HeaderValue::from_static("example.com");
    changed[4].headers.insert("host", host);
    for received in changed {
        let error = invalid(received.verify(&[long_lived()]));
        assert!(error.contains("does not match"), "{error}");
    }
    let wrong_secret = Credentials {
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEz"),
        ..long_lived()
    };
    let error = invalid(good().verify(&[wrong_secret]));
    assert!(error.contains("does not match"), "{error}");
}

#[test]
fn a_signature_lives_five_minutes_either_way() {
    let good = signed_by_header("GET / HTTP/1.1", "", "host;x-amz-date", GET_VANILLA, "");
    for seconds in [-300, 300] {
        assert_eq!(good.verify_at(&[long_lived()], seconds), Ok(()));
    }
    assert_eq!(
        invalid(good.verify_at(&[long_lived()], 301)),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)"
    );
    assert_eq!(
        invalid(good.verify_at(&[long_lived()], -301)),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)"
    );
}

#[test]
fn credentials_may_expire() {
    let good = signed_by_header("GET / HTTP/1.1", "", "host;x-amz-date", GET_VANILLA, "");
    let until = |text| Credentials {
        expiration: Some(time::parse_compact(text).unwrap()),
        ..long_lived()
    };
    assert_eq!(good.verify(&[until("20150830T123601Z")]), Ok(()));
    let expired = good.verify(&[until("20150830T123600Z")]).unwrap_err();
    assert_eq!(expired, SignatureError::Expired);
    assert_eq!(expired.code(), "ExpiredTokenException");
}

#[test]
fn the_scope_has_to_be_this_service_here_and_today() {
    for (scope, text) in [
        (
            "20150830/eu-west-1/service/aws4_request",
            "Credential should be scoped to a valid region, not 'eu-west-1'.",
        ),
        (
            "20150830/us-east-1/kms/aws4_request",
            "Credential should be scoped to correct service: 'service'.",
        ),
        (
            "20150830/us-east-1/service/aws3_request",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws3_request'.",
        ),
        (
            "20150829/us-east-1/service/aws4_request",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150829' != '20150830', from '20150830T123600Z'.",
        ),
    ] {
        let authorization = format!(
            "{ALGORITHM} Credential=AKIDEXAMPLE/{scope}, SignedHeaders=host;x-amz-date, Signature={GET_VANILLA}"
        );
        assert_eq!(invalid(with_authorization(&authorization)), text);
    }
}

#[test]
fn an_unknown_key_is_not_recognized() {
    let authorization = format!(
        "{ALGORITHM} Credential=AKIDOTHER/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature={GET_VANILLA}"
    );
    assert_eq!(
        with_authorization(&authorization),
        Err(SignatureError::Unrecognized)
    );
}

#[test]
fn what_decides_who_asks_for_what_must_be_signed() {
    for (headers, signed, name) in [
        ("", "x-amz-date", "'Host' or ':authority'"),
        ("", "host", "'x-amz-date'"),
        ("X-Amz-Target:x\n", "host;x-amz-date", "'x-amz-target'"),
        (
            "X-Amz-Security-Token:x\n",
            "host;x-amz-date",
            "'x-amz-security-token'",
        ),
    ] {
        let received = signed_by_header("GET / HTTP/1.1", headers, signed, GET_VANILLA, "");
        assert_eq!(
            invalid(received.verify(&[long_lived()])),
            format!("{name} must be a 'SignedHeader' in the AWS Authorization.")
        );
    }
}

#[test]
fn half_a_signature_is_named_by_what_it_lacks() {
    for (authorization, text) in [
        ("Bearer hush", "Unsupported AWS 'algorithm'"),
        ("", "Unsupported AWS 'algorithm'"),
        (
            "AWS4-HMAC-SHA256",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=hush",
            "Credential must have exactly 5 slash-delimited elements",
        ),
    ] {
        let error = with_authorization(authorization).unwrap_err();
        assert_eq!(error.code(), "IncompleteSignatureException");
        let error = error.to_string();
        assert!(error.contains(text), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
    let mut dateless = signed_by_header("GET / HTTP/1.1", "", "host", GET_VANILLA, "");
    dateless.headers.remove("x-amz-date");
    let error = dateless.verify(&[long_lived()]).unwrap_err().to_string();
    assert!(error.contains("'X-Amz-Date' or a 'Date' header"), "{error}");
    let date = HeaderValue::from_static("Sun, 30 Aug 2015 12:36:00 GMT");
    dateless.headers.insert("date", date);
    let error = dateless.verify(&[long_lived()]).unwrap_err().to_string();
    assert!(error.contains("ISO-8601 'basic format'"), "{error}");
}

#[test]
fn a_request_without_signature_has_none() {
    let unsigned = Received::parse("GET /?a=b HTTP/1.1\nHost:example.amazonaws.com");
    assert!(!is_signed(unsigned.request()));
    assert_eq!(
        unsigned.verify(&[long_lived()]),
        Err(SignatureError::Missing)
    );
    let broken = Received::parse("GET /?X-Amz-Algorithm= HTTP/1.1\nHost:example.amazonaws.com");
    assert!(is_signed(broken.request()));
    let bad = Received::parse("GET / HTTP/1.1\nHost:a\nAuthorization:x");
    assert!(is_signed(bad.request()));
}

#[test]
fn no_text_a_peer_may_send_is_a_panic() {
    for text in [
        "GET /?%&%4&%zz&=&==&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%2F%2F%2F%2F HTTP/1.1\nHost:a",
        "GET /../../.. HTTP/1.1\nHost:a\nAuthorization:AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;;,Signature=0\nX-Amz-Date:20150830T123600Z",
        "GET / HTTP/1.1\nAuthorization:AWS4-HMAC-SHA256 Credential=/////,SignedHeaders=\u{e4},Signature=\u{e4}\nX-Amz-Date:\u{e4}",
    ] {
        assert!(Received::parse(text).verify(&[long_lived()]).is_err());
    }
}

#[test]
fn our_own_signature_is_the_one_of_the_test_suite() {
    let received =
        Received::parse("GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z");
    let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
    assert_eq!(
        authorization(received.request(), &long_lived(), SCOPE, now),
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature={GET_VANILLA}"
        )
    );
}

fn with_authorization(authorization: &str) -> Result<(), SignatureError> {
    let text = format!(
        "GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\nAuthorization:{authorization}"
    );
    Received::parse(&text).verify(&[long_lived()])
}

fn signed_by_header(
    line: &str,
    headers: &str,
    signed: &str,
    signature: &str,
    body: &str,
) -> Received {
    Received::parse(&format!(
        "{line}\nHost:example.amazonaws.com\n{headers}X-Amz-Date:20150830T123600Z\nAuthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={signed}, Signature={signature}\n\n{body}"
    ))
}

fn presigned(more: &str, signature: &str) -> Received {
    Received::parse(&format!(
        "GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600{more}&X-Amz-Signature={signature} HTTP/1.1\nHost:example.amazonaws.com"
    ))
}

fn invalid(result: Result<(), SignatureError>) -> String {
    match result {
        Err(SignatureError::Invalid(text)) => text,
        other => panic!("no invalid signature: {other:?}"),
    }
}

fn long_lived() -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: None,
        expiration: None,
    }
}

fn temporary() -> Credentials {
    Credentials {
        session_token: Some(Secret::new(TOKEN)),
        ..long_lived()
    }
}

const SCOPE: Scope<'_> = Scope {
    region: "us-east-1",
    service: "service",
};
const GET_VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
