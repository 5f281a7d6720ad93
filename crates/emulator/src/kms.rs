//! The emulated KMS: data keys sealed under master keys that live as long as the emulator.
//!
//! The ciphertext of a data key is an envelope: a version byte, the master key's id, a nonce, and the data key under
//! AES-256-GCM with the key id and the encryption context as additional data. So a wrong context cannot be decrypted,
//! as in the real service (`docs/PROTOCOL.md` 6).

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::plan::KmsKey;
use crate::random;

/// All keys of one emulator.
pub(crate) struct Kms {
    arn_prefix: String,
    keys: Vec<MasterKey>,
}

struct MasterKey {
    key: KmsKey,
    arn: String,
    material: LessSafeKey,
}

/// A data key as GenerateDataKey answers it.
pub(crate) struct GeneratedDataKey {
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) key_arn: String,
}

/// A data key as Decrypt answers it.
pub(crate) struct DataKeyPlaintext {
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
    pub(crate) key_arn: String,
}

impl Kms {
    /// Makes key material for every key.
    pub(crate) fn new(region: &str, account: &str, keys: Vec<KmsKey>) -> Self {
        let arn_prefix = format!("arn:aws:kms:{region}:{account}:");
        let keys = keys
            .into_iter()
            .map(|key| MasterKey {
                arn: format!("{arn_prefix}key/{}", key.id),
                material: new_material(),
                key,
            })
            .collect();
        Self { arn_prefix, keys }
    }

    /// Makes a data key of `length` bytes under a key given as id, ARN, alias or alias ARN.
    pub(crate) fn generate_data_key(
        &self,
        key_id: &str,
        length: usize,
        context: &BTreeMap<String, String>,
    ) -> Result<GeneratedDataKey, KmsError> {
        let key = self.find(key_id)?.usable()?;
        let mut plaintext = Zeroizing::new(vec![0; length]);
        random::fill(&mut plaintext);
        Ok(GeneratedDataKey {
            ciphertext: key.seal(&plaintext, context),
            plaintext,
            key_arn: key.arn.clone(),
        })
    }

    /// Opens a sealed data key. The key named, if any, must be the one that sealed it.
    pub(crate) fn decrypt(
        &self,
        ciphertext: &[u8],
        key_id: Option<&str>,
        context: &BTreeMap<String, String>,
    ) -> Result<DataKeyPlaintext, KmsError> {
        let named = key_id.map(|id| self.find(id)).transpose()?;
        let envelope = Envelope::parse(ciphertext).ok_or(KmsError::InvalidCiphertext)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.key.id == envelope.key_id)
            .ok_or(KmsError::InvalidCiphertext)?;
        if named.is_some_and(|named| named.key.id != key.key.id) {
            return Err(KmsError::IncorrectKey);
        }
        Ok(DataKeyPlaintext {
            plaintext: key.usable()?.open(envelope, context)?,
            key_arn: key.arn.clone(),
        })
    }

    /// The ARN of a key given as id, ARN, alias or alias ARN.
    pub(crate) fn arn(&self, key_id: &str) -> Option<&str> {
        self.find(key_id).ok().map(|key| key.arn.as_str())
    }

    fn find(&self, key_id: &str) -> Result<&MasterKey, KmsError> {
        let local = match key_id.strip_prefix("arn:") {
            Some(_) => key_id
                .strip_prefix(&self.arn_prefix)
                .ok_or_else(|| KmsError::NotFound(format!("Key '{key_id}' does not exist")))?,
            None => key_id,
        };
        if local.starts_with("alias/") {
            return self
                .keys
                .iter()
                .find(|key| key.key.aliases.iter().any(|alias| alias == local))
                .ok_or_else(|| {
                    KmsError::NotFound(format!("Alias {}{local} is not found.", self.arn_prefix))
                });
        }
        let bare = local
            .strip_prefix("key/")
            .filter(|_| local.len() < key_id.len());
        let id = bare.unwrap_or(local);
        self.keys
            .iter()
            .find(|key| key.key.id.to_string() == id)
            .ok_or_else(|| match Uuid::try_parse(id) {
                Ok(id) => {
                    KmsError::NotFound(format!("Key '{}key/{id}' does not exist", self.arn_prefix))
                }
                Err(_) => KmsError::NotFound(format!("Invalid keyId '{key_id}'")),
            })
    }
}

/// The material has no text form: no key ever reaches a log.
impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.arn))
            .finish()
    }
}

impl MasterKey {
    fn usable(&self) -> Result<&Self, KmsError> {
        if self.key.enabled {
            Ok(self)
        } else {
            Err(KmsError::Disabled {
                key_arn: self.arn.clone(),
            })
        }
    }

    fn seal(&self, plaintext: &[u8], context: &BTreeMap<String, String>) -> Vec<u8> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut sealed = plaintext.to_vec();
        self.material
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(additional_data(self.key.id, context)),
                &mut sealed,
            )
            .expect("a data key is far below the cipher's length limit");
        [
            &[ENVELOPE_VERSION][..],
            self.key.id.as_bytes(),
            &nonce,
            &sealed,
        ]
        .concat()
    }

    fn open(
        &self,
        envelope: Envelope<'_>,
        context: &BTreeMap<String, String>,
    ) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let mut opened = Zeroizing::new(envelope.sealed.to_vec());
        let length = self
            .material
            .open_in_place(
                Nonce::assume_unique_for_key(envelope.nonce),
                Aad::from(additional_data(self.key.id, context)),
                &mut opened,
            )
            .map_err(|_| KmsError::InvalidCiphertext)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }
}

struct Envelope<'a> {
    key_id: Uuid,
    nonce: [u8; NONCE_LEN],
    sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn parse(ciphertext: &'a [u8]) -> Option<Self> {
        let (&[ENVELOPE_VERSION], rest) = ciphertext.split_first_chunk()? else {
            return None;
        };
        let (key_id, rest) = rest.split_first_chunk()?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        Some(Self {
            key_id: Uuid::from_bytes(*key_id),
            nonce: *nonce,
            sealed,
        })
    }
}

/// Each text with its length in front, so that no two contexts give the same bytes.
fn additional_data(key_id: Uuid, context: &BTreeMap<String, String>) -> Vec<u8> {
    let mut data = key_id.as_bytes().to_vec();
    for text in context.iter().flat_map(|(name, value)| [name, value]) {
        data.extend_from_slice(&(text.len() as u64).to_be_bytes());
        data.extend_from_slice(text.as_bytes());
    }
    data
}

fn new_material() -> LessSafeKey {
    let bytes = Zeroizing::new(random::bytes::<32>());
    LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, bytes.as_slice()).expect("AES-256 takes 32 bytes"),
    )
}

const ENVELOPE_VERSION: u8 = 1;

/// Why the emulated KMS refuses. Messages are in the service's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KmsError {
    #[error("{0}")]
    NotFound(String),
    #[error("{key_arn} is disabled.")]
    Disabled { key_arn: String },
    #[error(
        "The ciphertext is not of this KMS, was changed, or belongs to another encryption context."
    )]
    InvalidCiphertext,
    #[error("The key ID in the request does not identify a CMK that can perform this operation.")]
    IncorrectKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_key_opens_with_its_own_context_only() {
        let kms = kms();
        let context = context(&[("aws:ssm:SessionId", "a"), ("aws:ssm:TargetId", "b")]);
        let key = kms
            .generate_data_key("alias/emulator-session", 64, &context)
            .unwrap();
        assert_eq!(key.plaintext.len(), 64);
        let opened = kms.decrypt(&key.ciphertext, None, &context).unwrap();
        assert_eq!(opened.plaintext, key.plaintext);
        assert_eq!(opened.key_arn, key.key_arn);
        for wrong in [
            self::context(&[]),
            self::context(&[("aws:ssm:SessionId", "a")]),
            self::context(&[("aws:ssm:SessionId", "b"), ("aws:ssm:TargetId", "a")]),
            self::context(&[("aws:ssm:SessionIda", ""), ("aws:ssm:TargetId", "b")]),
        ] {
            assert_eq!(
                kms.decrypt(&key.ciphertext, None, &wrong).err(),
                Some(KmsError::InvalidCiphertext)
            );
        }
    }

    #[test]
    fn two_data_keys_differ() {
        let (kms, context) = (kms(), context(&[]));
        let first = kms
            .generate_data_key("alias/emulator-session", 64, &context)
            .unwrap();
        let second = kms
            .generate_data_key("alias/emulator-session", 64, &context)
            .unwrap();
        assert_ne!(first.plaintext, second.plaintext);
    }

    #[test]
    fn a_key_is_found_by_id_arn_alias_and_alias_arn() {
        let kms = kms();
        for id in [
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/emulator-session",
            "arn:aws:kms:eu-west-1:123456789012:alias/emulator-session",
        ] {
            let key = kms.generate_data_key(id, 32, &context(&[])).unwrap();
            assert_eq!(
                key.key_arn,
                "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
            );
            kms.decrypt(&key.ciphertext, Some(id), &context(&[]))
                .unwrap();
        }
    }

    #[test]
    fn unknown_keys_are_not_found_with_the_reason() {
        let cases = [
            (
                "alias/other",
                "Alias arn:aws:kms:eu-west-1:123456789012:alias/other is not found.",
            ),
            (
                "00000000-0000-0000-0000-000000000000",
                "Key 'arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000' does not exist",
            ),
            (
                "arn:aws:kms:us-east-1:123456789012:alias/emulator-session",
                "Key 'arn:aws:kms:us-east-1:123456789012:alias/emulator-session' does not exist",
            ),
            ("my-key", "Invalid keyId 'my-key'"),
            (
                "key/1234abcd-12ab-34cd-56ef-1234567890ab",
                "Invalid keyId 'key/1234abcd-12ab-34cd-56ef-1234567890ab'",
            ),
            ("", "Invalid keyId ''"),
        ];
        for (id, message) in cases {
            let error = kms()
                .generate_data_key(id, 32, &context(&[]))
                .err()
                .unwrap();
            assert_eq!(error, KmsError::NotFound(message.to_owned()));
        }
    }

    #[test]
    fn a_disabled_key_does_nothing() {
        let disabled = KmsKey {
            enabled: false,
            ..KmsKey::default()
        };
        let kms = Kms::new("eu-west-1", "123456789012", vec![disabled]);
        let error = kms
            .generate_data_key("alias/emulator-session", 64, &context(&[]))
            .err()
            .unwrap();
        assert!(matches!(error, KmsError::Disabled { .. }), "{error}");
    }

    #[test]
    fn a_changed_or_foreign_ciphertext_is_refused() {
        let kms = kms();
        let sealed = kms
            .generate_data_key("alias/emulator-session", 64, &context(&[]))
            .unwrap()
            .ciphertext;
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(
                kms.decrypt(&changed, None, &context(&[])).is_err(),
                "byte {at}"
            );
        }
        for length in 0..sealed.len() {
            assert!(
                kms.decrypt(&sealed[..length], None, &context(&[])).is_err(),
                "length {length}"
            );
        }
        let other = self::kms();
        assert_eq!(
            other.decrypt(&sealed, None, &context(&[])).err(),
            Some(KmsError::InvalidCiphertext)
        );
    }

    #[test]
    fn the_key_named_must_be_the_one_that_sealed() {
        let second = KmsKey {
            id: Uuid::from_u128(7),
            aliases: vec!["alias/second".to_owned()],
            enabled: true,
        };
        let kms = Kms::new("eu-west-1", "123456789012", vec![KmsKey::default(), second]);
        let sealed = kms
            .generate_data_key("alias/second", 64, &context(&[]))
            .unwrap()
            .ciphertext;
        assert_eq!(
            kms.decrypt(&sealed, Some("alias/emulator-session"), &context(&[]))
                .err(),
            Some(KmsError::IncorrectKey)
        );
    }

    fn kms() -> Kms {
        Kms::new("eu-west-1", "123456789012", vec![KmsKey::default()])
    }

    fn context(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }
}
