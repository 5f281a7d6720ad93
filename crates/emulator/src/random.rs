//! Random bytes, for what must not be guessed.

/// Bytes from the operating system.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Fills a buffer with bytes from the operating system.
pub(crate) fn fill(buffer: &mut [u8]) {
    getrandom::fill(buffer)
        .expect("the operating system has random numbers, or nothing here is safe to run");
}

/// Lower-case hexadecimal digits, `digits` of them.
pub(crate) fn hex(digits: usize) -> String {
    (0..digits.div_ceil(32))
        .flat_map(|_| bytes::<32>())
        .map(|byte| char::from(b"0123456789abcdef"[usize::from(byte & 15)]))
        .take(digits)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_has_the_length_asked_for() {
        for digits in [0, 1, 17, 32, 33, 100] {
            let text = hex(digits);
            assert_eq!(text.len(), digits);
            assert!(text.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
        }
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(hex(32), hex(32));
    }
}
