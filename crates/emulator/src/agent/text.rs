//! Keeps multi-byte characters whole across output messages.

use bytes::Bytes;

/// The longest tail that can be held: one byte less than the longest UTF-8 character.
const LONGEST_TAIL: usize = 3;

/// Holds the bytes at the end of one read that may be the start of a character, and puts them in front of the
/// next read. Messages grow by up to 3 bytes so.
///
/// The agent's filter, with its two defects left out: it loses what it still holds when the output ends, and
/// two of the three bytes of a genuine U+FFFD. A client could do nothing about either, and a user of the
/// emulator would take them for the client's fault. Like the agent's, it also holds bytes that can never become
/// a character while they are among the last three.
#[derive(Debug, Default)]
pub(super) struct WholeCharacters {
    held: Vec<u8>,
}

impl WholeCharacters {
    /// What may be sent when `read` has come; empty when all of it must wait for more.
    pub(super) fn push(&mut self, read: &[u8]) -> Bytes {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(read);
        self.held = bytes.split_off(complete(&bytes));
        Bytes::from(bytes)
    }

    /// What is held when no more will come.
    pub(super) fn finish(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.held))
    }
}

/// How many bytes of `bytes` come before the tail to hold.
fn complete(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(LONGEST_TAIL);
    let mut end = 0;
    for chunk in bytes.utf8_chunks() {
        let invalid = end + chunk.valid().len();
        end = invalid + chunk.invalid().len();
        if invalid.max(tail) < end {
            return invalid.max(tail);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::WholeCharacters;

    #[test]
    fn a_character_cut_anywhere_is_sent_whole() {
        let text = "aé€😀z".as_bytes();
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            let mut filter = WholeCharacters::default();
            let first = filter.push(head);
            assert!(std::str::from_utf8(&first).is_ok(), "cut at {cut}");
            let second = filter.push(tail);
            assert_eq!([first, second].concat(), text, "cut at {cut}");
            assert!(filter.finish().is_empty());
        }
    }

    #[test]
    fn no_more_than_three_bytes_are_held() {
        let mut filter = WholeCharacters::default();
        assert_eq!(filter.push(b"ok\xf0\x9f\x98").as_ref(), b"ok");
        assert_eq!(filter.push(b"").as_ref(), b"");
        assert_eq!(filter.push(b"x").as_ref(), b"\xf0");
        assert_eq!(filter.finish().as_ref(), b"\x9f\x98x");
    }

    #[test]
    fn bytes_that_are_no_text_pass_unchanged() {
        let noise: Vec<u8> = (0..=255u8).cycle().take(4096).collect();
        let mut filter = WholeCharacters::default();
        let mut passed = Vec::new();
        for read in noise.chunks(7) {
            passed.extend_from_slice(&filter.push(read));
        }
        passed.extend_from_slice(&filter.finish());
        assert_eq!(passed, noise);
    }

    #[test]
    fn what_is_held_at_the_end_is_not_lost() {
        let mut filter = WholeCharacters::default();
        assert_eq!(filter.push(b"half \xe2\x82").as_ref(), b"half ");
        assert_eq!(filter.finish().as_ref(), b"\xe2\x82");
    }

    #[test]
    fn the_replacement_character_stays_whole() {
        let mut filter = WholeCharacters::default();
        let sent = [filter.push("a\u{fffd}b".as_bytes()), filter.finish()].concat();
        assert_eq!(sent, "a\u{fffd}b".as_bytes());
    }
}
