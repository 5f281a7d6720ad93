//! The form of a request that both ends sign.

use aws_lc_rs::digest;

use super::Request;
use super::claim::SIGNATURE;
use super::hex;

/// The canonical request over the headers named.
pub(super) fn request(request: Request<'_>, signed: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    text.extend_from_slice(request.method.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(path(request.path).as_bytes());
    text.push(b'\n');
    text.extend_from_slice(query(request.query).as_bytes());
    text.push(b'\n');
    for name in signed {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        let values = request.headers.get_all(*name).into_iter();
        let values: Vec<_> = values.map(|value| trimmed(value.as_bytes())).collect();
        text.extend_from_slice(&values.join(&b','));
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(signed.join(";").as_bytes());
    text.push(b'\n');
    let digest = digest::digest(&digest::SHA256, request.body);
    text.extend_from_slice(hex(digest.as_ref()).as_bytes());
    text
}

/// Name and value pairs of a query, decoded.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
}

/// Without `.`, `..` and empty segments, and encoded once more than it is sent: all services but S3 want that.
fn path(sent: &str) -> String {
    let mut segments = Vec::new();
    for segment in sent.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(encoded(segment.as_bytes())),
        }
    }
    let directory = ["/", "/.", "/.."].iter().any(|end| sent.ends_with(end));
    let end = if directory && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", segments.join("/"))
}

/// Sorted by encoded name and value, without the signature itself.
fn query(sent: &str) -> String {
    let pairs = pairs(sent).filter(|(name, _)| name != SIGNATURE.as_bytes());
    let mut pairs: Vec<_> = pairs
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// Without blanks around it, and with single ones in it.
fn trimmed(value: &[u8]) -> Vec<u8> {
    let words = value.split(|byte| matches!(byte, b' ' | b'\t'));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(&b' ')
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    text
}

/// As forms are: a plus is a blank, and what is no escape stands for itself.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = after.split_first_chunk().filter(|_| first == b'%');
        let value = escape.and_then(|(digits, after)| Some((escaped(*digits)?, after)));
        let (byte, after) = match value {
            Some((byte, after)) => (byte, after),
            None if first == b'+' => (b' ', after),
            None => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn escaped(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}
