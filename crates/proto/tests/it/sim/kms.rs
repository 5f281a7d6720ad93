//! As much of KMS as the ends need: a key opens only in the context it was made in.

use std::collections::BTreeMap;
use std::time::Instant;

use ssm_session_proto::DataKey;
use ssm_session_proto::DataKeyRequest;

use crate::support::random::Random;

pub(crate) struct Kms {
    random: Random,
    made: Vec<(DataKeyRequest, DataKey)>,
    /// Calls under way: when each ends.
    pub(crate) generating: Option<(Instant, DataKeyRequest)>,
    pub(crate) decrypting: Option<(Instant, Decrypt)>,
}

pub(crate) struct Decrypt {
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) key_id: String,
    pub(crate) encryption_context: BTreeMap<String, String>,
}

impl Kms {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random,
            made: Vec::new(),
            generating: None,
            decrypting: None,
        }
    }

    /// When the client's answer is there, and when the agent's.
    pub(crate) fn next_generated(&self) -> Option<Instant> {
        self.generating.as_ref().map(|(at, _)| *at)
    }

    pub(crate) fn next_decrypted(&self) -> Option<Instant> {
        self.decrypting.as_ref().map(|(at, _)| *at)
    }

    pub(crate) fn generated(&mut self, now: Instant) -> Option<DataKey> {
        let (_, request) = self.generating.take_if(|(at, _)| *at <= now)?;
        let key = DataKey {
            plaintext: self.random.bytes(64).into(),
            ciphertext: self.random.bytes(90),
        };
        self.made.push((request, key.clone()));
        Some(key)
    }

    pub(crate) fn decrypted(&mut self, now: Instant) -> Option<Result<DataKey, String>> {
        let (_, decrypt) = self.decrypting.take_if(|(at, _)| *at <= now)?;
        let found = self.made.iter().find(|(request, key)| {
            key.ciphertext == decrypt.ciphertext
                && request.key_id == decrypt.key_id
                && request.encryption_context == decrypt.encryption_context
        });
        Some(found.map_or_else(
            || Err("InvalidCiphertextException".to_owned()),
            |(_, key)| Ok(key.clone()),
        ))
    }

    /// The key of the session, once there is one.
    pub(crate) fn made(&self) -> Option<&(DataKeyRequest, DataKey)> {
        self.made.last()
    }
}
