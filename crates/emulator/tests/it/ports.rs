//! Port sessions: whole ones through the gateway, with our protocol crate or bare messages at the client's end, and real
//! servers at the other.

mod faults;
mod multiplexed;
mod old_clients;
pub(crate) mod peer;
pub(crate) mod server;
mod single;

use bytes::Bytes;

/// Every byte alone in a message of its own is left to the caller; this is every pair of bytes, LF alone and in every
/// company included.
fn pairs() -> Bytes {
    let pairs = (0..=255_u8).flat_map(|first| (0..=255).flat_map(move |second| [first, second]));
    pairs.collect()
}

/// Bytes without a period that a lost or repeated message could hide behind.
pub(crate) fn noise(length: usize) -> Bytes {
    let mut state = 0x2545_f491_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Bytes that a terminal passes as they are, whatever its mode.
pub(crate) fn letters(length: usize) -> Bytes {
    noise(length).iter().map(|byte| b'A' + byte % 26).collect()
}
