//! The recorded sessions of `tests/golden`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;
use ssm_session_proto::DataKey;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;

const FILES: [(&str, &str); 8] = [
    ("shell", include_str!("../golden/shell.jsonl")),
    (
        "shell-encrypted",
        include_str!("../golden/shell-encrypted.jsonl"),
    ),
    (
        "interactive-command",
        include_str!("../golden/interactive-command.jsonl"),
    ),
    (
        "noninteractive-command",
        include_str!("../golden/noninteractive-command.jsonl"),
    ),
    (
        "noninteractive-separate-streams",
        include_str!("../golden/noninteractive-separate-streams.jsonl"),
    ),
    ("port-mux", include_str!("../golden/port-mux.jsonl")),
    (
        "port-mux-refused",
        include_str!("../golden/port-mux-refused.jsonl"),
    ),
    ("port-stdio", include_str!("../golden/port-stdio.jsonl")),
];

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Agent,
}

pub(crate) struct Recording {
    pub(crate) name: &'static str,
    pub(crate) frames: Vec<(Sender, Frame)>,
    /// The line about the data key, in the encrypted session.
    pub(crate) kms: Option<Value>,
}

pub(crate) fn all() -> Vec<Recording> {
    FILES
        .iter()
        .map(|(name, lines)| Recording::parse(name, lines))
        .collect()
}

impl Recording {
    fn parse(name: &'static str, text: &str) -> Self {
        let mut frames = Vec::new();
        let mut kms = None;
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let from = match line["from"].as_str().unwrap() {
                "client" => Sender::Client,
                "agent" => Sender::Agent,
                _ => {
                    kms = Some(line);
                    continue;
                }
            };
            let bytes = unhex(line["hex"].as_str().unwrap());
            frames.push(match line["ws"].as_str().unwrap() {
                "text" => (from, Frame::Text(bytes)),
                _ => (from, Frame::Binary(bytes)),
            });
        }
        Self { name, frames, kms }
    }

    pub(crate) fn data_key(&self) -> Option<DataKey> {
        let kms = self.kms.as_ref()?;
        let bytes = |field: &str| BASE64_STANDARD.decode(kms[field].as_str().unwrap());
        Some(DataKey {
            plaintext: bytes("plaintext_b64").unwrap().into(),
            ciphertext: bytes("ciphertext_b64").unwrap(),
        })
    }
}

/// The message of a binary frame.
pub(crate) fn decoded(frame: &Frame) -> Option<Message> {
    match frame {
        Frame::Text(_) => None,
        Frame::Binary(bytes) => Some(Message::decode(bytes).unwrap()),
    }
}

fn unhex(text: &str) -> Bytes {
    let digits = text.as_bytes().as_chunks::<2>().0;
    digits
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
