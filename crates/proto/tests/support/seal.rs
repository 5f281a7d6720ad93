//! AES-256-GCM as the reference ends do it, apart from the crate's own code: nonce, ciphertext,
//! tag (docs/PROTOCOL.md 6).

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;

/// The halves of a data key.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    FromAgent,
    FromClient,
}

fn cipher(data_key: &[u8], direction: Direction) -> LessSafeKey {
    let half = match direction {
        Direction::FromAgent => &data_key[..32],
        Direction::FromClient => &data_key[32..64],
    };
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, half).unwrap())
}

pub(crate) fn open(data_key: &[u8], direction: Direction, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_first_chunk()?;
    let mut body = ciphertext.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = cipher(data_key, direction)
        .open_in_place(nonce, Aad::empty(), &mut body)
        .ok()?;
    Some(plain.to_vec())
}

pub(crate) fn seal(data_key: &[u8], direction: Direction, plain: &[u8]) -> Vec<u8> {
    let nonce = [0x5a; 12];
    let mut body = plain.to_vec();
    cipher(data_key, direction)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body)
        .unwrap();
    [nonce.to_vec(), body].concat()
}
