//! Encryption of payloads with a data key (docs/PROTOCOL.md 6).

use std::fmt;

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use zeroize::Zeroizing;

/// Bytes of a data key: one AES-256 key for each direction.
pub const DATA_KEY_LENGTH: usize = 64;

const KEY_LENGTH: usize = DATA_KEY_LENGTH / 2;
const TAG_LENGTH: usize = 16;
/// Bytes by which a sealed payload is longer than its plaintext: nonce and tag.
pub(crate) const SEAL_OVERHEAD: usize = NONCE_LEN + TAG_LENGTH;

/// A data key as KMS made it.
#[derive(Clone)]
pub struct DataKey {
    /// The key: [`DATA_KEY_LENGTH`] bytes.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The same under the KMS key, which the agent has KMS open.
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey([secret])")
    }
}

/// Why a payload or key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The data key has another length than [`DATA_KEY_LENGTH`].
    #[error("the data key has {0} bytes instead of {DATA_KEY_LENGTH}")]
    KeyLength(usize),
    /// The payload is shorter than nonce and tag.
    #[error("the encrypted payload has {0} bytes, fewer than nonce and tag take")]
    TooShort(usize),
    /// The payload was not made with this key, or was altered.
    #[error("the payload does not open with the session's key")]
    Unauthentic,
    /// The payload is too long to be sealed.
    #[error("the payload cannot be sealed")]
    Seal,
}

/// Seals what one end sends and opens what it gets.
pub(crate) struct SessionCipher {
    seal: LessSafeKey,
    open: LessSafeKey,
}

impl SessionCipher {
    /// The client's cipher: the first half of the key opens, the second seals.
    pub(crate) fn client(key: &DataKey) -> Result<Self, CryptoError> {
        let (from_agent, from_client) = halves(key)?;
        Ok(Self {
            seal: from_client,
            open: from_agent,
        })
    }

    /// The agent's cipher, the other way round.
    pub(crate) fn agent(key: &DataKey) -> Result<Self, CryptoError> {
        let (from_agent, from_client) = halves(key)?;
        Ok(Self {
            seal: from_agent,
            open: from_client,
        })
    }

    /// Nonce, ciphertext and tag. A nonce must not be used twice.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let mut body = Vec::with_capacity(plaintext.len().saturating_add(SEAL_OVERHEAD));
        body.extend_from_slice(&nonce);
        body.extend_from_slice(plaintext);
        let plain = body.get_mut(NONCE_LEN..).ok_or(CryptoError::Seal)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .seal
            .seal_in_place_separate_tag(nonce, Aad::empty(), plain)
            .map_err(|_| CryptoError::Seal)?;
        body.extend_from_slice(tag.as_ref());
        Ok(body)
    }

    /// The plaintext of nonce, ciphertext and tag.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let (nonce, ciphertext) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .filter(|(_, rest)| rest.len() >= TAG_LENGTH)
            .ok_or(CryptoError::TooShort(sealed.len()))?;
        let mut body = ciphertext.to_vec();
        let length = self
            .open
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::empty(),
                &mut body,
            )
            .map_err(|_| CryptoError::Unauthentic)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

impl fmt::Debug for SessionCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionCipher([secret])")
    }
}

/// The agent's key and the client's, in the order of docs/PROTOCOL.md 6.
fn halves(key: &DataKey) -> Result<(LessSafeKey, LessSafeKey), CryptoError> {
    let wrong = || CryptoError::KeyLength(key.plaintext.len());
    if key.plaintext.len() != DATA_KEY_LENGTH {
        return Err(wrong());
    }
    let (agent, client) = key
        .plaintext
        .split_at_checked(KEY_LENGTH)
        .ok_or_else(wrong)?;
    let cipher = |half| {
        UnboundKey::new(&AES_256_GCM, half)
            .map(LessSafeKey::new)
            .map_err(|_| wrong())
    };
    Ok((cipher(agent)?, cipher(client)?))
}

/// Nonces of an agent: a random start, counted up as a little-endian number.
///
/// A client takes random ones; receivers take any (docs/PROTOCOL.md 6).
#[derive(Debug)]
pub(crate) struct NonceCounter(u128);

impl NonceCounter {
    pub(crate) fn new(start: [u8; NONCE_LEN]) -> Self {
        let mut wide = [0; 16];
        for (to, from) in wide.iter_mut().zip(start) {
            *to = from;
        }
        Self(u128::from_le_bytes(wide))
    }

    pub(crate) fn next(&mut self) -> [u8; NONCE_LEN] {
        let bytes = self.0.to_le_bytes();
        self.0 = self.0.wrapping_add(1);
        bytes.first_chunk().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DataKey {
        DataKey {
            plaintext: Zeroizing::new((0..64).collect()),
            ciphertext: b"blob".to_vec(),
        }
    }

    #[test]
    fn each_end_opens_what_the_other_seals_and_not_its_own() {
        let client = SessionCipher::client(&key()).unwrap();
        let agent = SessionCipher::agent(&key()).unwrap();
        let sealed = client.seal([7; 12], b"ls\r").unwrap();
        assert_eq!(sealed.len(), 3 + 28);
        assert_eq!(agent.open(&sealed).unwrap(), b"ls\r");
        assert_eq!(client.open(&sealed), Err(CryptoError::Unauthentic));
    }

    #[test]
    fn what_is_too_short_or_altered_does_not_open() {
        let cipher = SessionCipher::agent(&key()).unwrap();
        for length in 0..28 {
            assert_eq!(
                cipher.open(&vec![0; length]),
                Err(CryptoError::TooShort(length))
            );
        }
        let mut sealed = SessionCipher::client(&key())
            .unwrap()
            .seal([7; 12], b"x")
            .unwrap();
        for at in 0..sealed.len() {
            sealed[at] ^= 1;
            assert_eq!(
                cipher.open(&sealed),
                Err(CryptoError::Unauthentic),
                "byte {at}"
            );
            sealed[at] ^= 1;
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for length in [0, 32, 63, 65] {
            let key = DataKey {
                plaintext: Zeroizing::new(vec![0; length]),
                ciphertext: vec![],
            };
            assert_eq!(
                SessionCipher::client(&key).unwrap_err(),
                CryptoError::KeyLength(length)
            );
        }
    }

    #[test]
    fn an_agents_nonces_count_up_from_the_low_end() {
        let mut nonces = NonceCounter::new([0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(nonces.next(), [0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(nonces.next(), [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        let mut last = NonceCounter::new([0xff; 12]);
        last.next();
        assert_eq!(last.next(), [0; 12]);
    }

    #[test]
    fn keys_are_not_shown() {
        let shown = format!("{:?} {:?}", key(), SessionCipher::client(&key()).unwrap());
        assert_eq!(shown, "DataKey([secret]) SessionCipher([secret])");
    }
}
