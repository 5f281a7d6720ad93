//! Commands among what is typed.

use bytes::Buf as _;
use bytes::Bytes;

use super::EscapeChar;

/// Finds the commands among the bytes that a user types or pastes, however they are cut into chunks.
///
/// The escape character counts at the start of the session and behind CR or LF, and is held back until the next byte
/// says what it means. A line remains at its start behind a command.
#[derive(Debug)]
pub(crate) struct Recogniser {
    escape: EscapeChar,
    at: Position,
}

/// A piece of what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// The far end's, as they are.
    Bytes(Bytes),
    /// Ours.
    Command(Command),
}

/// What the byte behind the escape character asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `.`: end the session.
    Leave,
    /// `?`: say what there is.
    Help,
    /// `-`: no escapes from here on; the recogniser has done that already.
    Off,
    /// Ctrl-Z: stop this program.
    Suspend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    LineStart,
    /// Behind an escape character at the start of a line.
    Escaped,
    MidLine,
}

impl Recogniser {
    pub(crate) fn new(escape: EscapeChar) -> Self {
        Self {
            escape,
            at: Position::LineStart,
        }
    }

    /// The character that is looked for at present.
    pub(crate) fn escape(&self) -> EscapeChar {
        self.escape
    }

    /// Takes the next piece out of what was typed; `None` once it is empty, an escape character at its end being held
    /// back. All that was typed is to be taken before more is given.
    pub(crate) fn next(&mut self, typed: &mut Bytes) -> Option<Typed> {
        if typed.is_empty() {
            return None;
        }
        let Some(escape) = self.escape.byte() else {
            return Some(Typed::Bytes(std::mem::take(typed)));
        };
        if self.at == Position::Escaped {
            return Some(self.escaped(escape, typed));
        }
        let length = self.plain(escape, typed);
        let plain = typed.split_to(length);
        if !typed.is_empty() {
            typed.advance(1);
            self.at = Position::Escaped;
        }
        if plain.is_empty() {
            return self.next(typed);
        }
        Some(Typed::Bytes(plain))
    }

    /// How many bytes there are before an escape character that counts.
    fn plain(&mut self, escape: u8, typed: &[u8]) -> usize {
        for (index, byte) in typed.iter().enumerate() {
            if self.at == Position::LineStart && *byte == escape {
                return index;
            }
            self.at = behind(*byte);
        }
        typed.len()
    }

    /// What the byte behind a held escape character makes of both.
    fn escaped(&mut self, escape: u8, typed: &mut Bytes) -> Typed {
        let byte = typed.get_u8();
        self.at = Position::LineStart;
        let command = match byte {
            _ if byte == escape => {
                self.at = Position::MidLine;
                return Typed::Bytes(Bytes::copy_from_slice(&[escape]));
            }
            b'.' => Command::Leave,
            b'?' => Command::Help,
            b'-' => {
                self.escape = EscapeChar::NONE;
                Command::Off
            }
            CONTROL_Z => Command::Suspend,
            _ => {
                self.at = behind(byte);
                return Typed::Bytes(Bytes::copy_from_slice(&[escape, byte]));
            }
        };
        Typed::Command(command)
    }
}

fn behind(byte: u8) -> Position {
    match byte {
        b'\r' | b'\n' => Position::LineStart,
        _ => Position::MidLine,
    }
}

const CONTROL_Z: u8 = 0x1a;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out of chunks: the bytes, and the commands with the number of bytes before each.
    fn recognise<'a>(
        escape: EscapeChar,
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<u8>, Vec<(usize, Command)>) {
        let mut recogniser = Recogniser::new(escape);
        let (mut bytes, mut commands) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let mut typed = Bytes::copy_from_slice(chunk);
            while let Some(piece) = recogniser.next(&mut typed) {
                match piece {
                    Typed::Bytes(piece) => bytes.extend_from_slice(&piece),
                    Typed::Command(command) => commands.push((bytes.len(), command)),
                }
            }
            assert!(typed.is_empty());
        }
        (bytes, commands)
    }

    fn recognise_all(typed: &[u8]) -> (Vec<u8>, Vec<(usize, Command)>) {
        recognise(EscapeChar::default(), [typed])
    }

    #[test]
    fn commands_count_from_the_first_byte_on_and_behind_every_line_end() {
        for (typed, bytes, command) in [
            (&b"~."[..], &b""[..], Command::Leave),
            (b"ls\r~?", b"ls\r", Command::Help),
            (b"ls\n~\x1a", b"ls\n", Command::Suspend),
            (b"\r\r~-", b"\r\r", Command::Off),
        ] {
            let found = vec![(bytes.len(), command)];
            assert_eq!(recognise_all(typed), (bytes.to_vec(), found), "{typed:?}");
        }
    }

    #[test]
    fn amid_a_line_the_character_is_one_like_any_other() {
        assert_eq!(recognise_all(b"cd ~.~?"), (b"cd ~.~?".to_vec(), vec![]));
    }

    #[test]
    fn the_character_twice_is_sent_once_and_begins_the_line() {
        assert_eq!(recognise_all(b"~~.\r~~~?"), (b"~.\r~~?".to_vec(), vec![]));
    }

    #[test]
    fn any_other_byte_passes_with_its_escape_character() {
        assert_eq!(recognise_all(b"~/bin\r~x"), (b"~/bin\r~x".to_vec(), vec![]));
        // A line end behind it begins a line.
        let found = vec![(2, Command::Leave)];
        assert_eq!(recognise_all(b"~\r~."), (b"~\r".to_vec(), found));
    }

    #[test]
    fn behind_a_command_the_line_still_begins() {
        let found = vec![(0, Command::Help), (0, Command::Leave)];
        assert_eq!(recognise_all(b"~?~."), (vec![], found));
    }

    #[test]
    fn once_switched_off_nothing_counts_any_more() {
        let found = vec![(1, Command::Off)];
        assert_eq!(recognise_all(b"\r~-~.\r~."), (b"\r~.\r~.".to_vec(), found));
    }

    #[test]
    fn the_character_is_held_back_until_the_next_byte() {
        let mut recogniser = Recogniser::new(EscapeChar::default());
        assert_eq!(recogniser.next(&mut Bytes::from_static(b"~")), None);
        let mut next = Bytes::from_static(b"x");
        let both = Typed::Bytes(Bytes::from_static(b"~x"));
        assert_eq!(recogniser.next(&mut next), Some(both));
    }

    #[test]
    fn another_character_leaves_the_tilde_alone() {
        let escape = "^]".parse().unwrap();
        let found = vec![(3, Command::Leave)];
        let typed = b"~.\r\x1d.";
        assert_eq!(recognise(escape, [&typed[..]]), (b"~.\r".to_vec(), found));
    }

    /// The same rules, line by line instead of byte by byte; without commands.
    fn expected(typed: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for line in typed.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            match line {
                [b'~', b'.' | b'?' | b'-' | CONTROL_Z, ..] => return None,
                [b'~', b'~', ..] => bytes.extend_from_slice(&line[1..]),
                [b'~'] => {} // held back
                _ => bytes.extend_from_slice(line),
            }
        }
        Some(bytes)
    }

    /// What a terminal sends, with many a line start and escape among it.
    fn typing() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            3 => Just(b'~'),
            2 => Just(b'\r'),
            1 => Just(b'\n'),
            1 => prop_oneof![Just(b'.'), Just(b'?'), Just(b'-'), Just(CONTROL_Z)],
            4 => any::<u8>(),
        ];
        prop::collection::vec(byte, 0..60)
    }

    fn cut(typed: &[u8], mut cuts: Vec<prop::sample::Index>) -> Vec<&[u8]> {
        cuts.sort_by_key(|cut| cut.index(typed.len() + 1));
        let (mut chunks, mut from) = (Vec::new(), 0);
        for cut in cuts {
            let to = cut.index(typed.len() + 1);
            chunks.push(&typed[from..to]);
            from = to;
        }
        chunks.push(&typed[from..]);
        chunks
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 1000,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn without_commands_what_comes_out_is_what_went_in(
            typed in typing(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            if let Some(expected) = expected(&typed) {
                let (bytes, commands) = recognise(EscapeChar::default(), cut(&typed, cuts));
                prop_assert_eq!(bytes, expected);
                prop_assert!(commands.is_empty());
            }
        }

        #[test]
        fn how_it_is_cut_into_chunks_makes_no_difference(
            typed in typing(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let chunks = cut(&typed, cuts);
            prop_assert_eq!(recognise(EscapeChar::default(), chunks), recognise_all(&typed));
        }

        #[test]
        fn without_an_escape_character_everything_passes(typed in prop::collection::vec(any::<u8>(), 0..200)) {
            let passed = recognise(EscapeChar::NONE, [&typed[..]]);
            prop_assert_eq!(passed, (typed, vec![]));
        }
    }
}
