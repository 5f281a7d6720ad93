//! Text from the other side, made fit for a terminal.

/// The text with every character replaced that could act on a terminal: a peer's text must not move the cursor, set
/// the title, or be answered by the terminal as if the user had typed. Line ends and tabs stay.
#[must_use]
pub fn sanitised(text: &str) -> String {
    let mut characters = text.chars().peekable();
    let mut clean = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        clean.push(match character {
            '\n' | '\t' => character,
            '\r' if characters.peek() == Some(&'\n') => character,
            _ if acts_on_terminal(character) => char::REPLACEMENT_CHARACTER,
            _ => character,
        });
    }
    clean
}

/// The same for text that is to stay within a line: runs of white space become one space.
#[must_use]
pub fn one_line(text: &str) -> String {
    sanitised(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The text with the line ends a terminal in raw mode needs.
pub(crate) fn with_returns(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn acts_on_terminal(character: char) -> bool {
    // The second range overrides the direction of writing, so that a line reads as something else than it is.
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_other_controls_are_replaced() {
        assert_eq!(
            sanitised("a\x1b]0;title\x07b"),
            "a\u{fffd}]0;title\u{fffd}b"
        );
        assert_eq!(
            sanitised("c1 \u{9b}31m, delete \x7f"),
            "c1 \u{fffd}31m, delete \u{fffd}"
        );
        assert_eq!(
            sanitised("over\rwritten \u{202e}txt"),
            "over\u{fffd}written \u{fffd}txt"
        );
    }

    #[test]
    fn line_ends_tabs_and_letters_of_any_script_stay() {
        let text = "\n----------ERROR-------\r\n\tgrüße, 世界 🦀\n";
        assert_eq!(sanitised(text), text);
    }

    #[test]
    fn one_line_has_no_line_end() {
        assert_eq!(one_line("  two\r\nlines\t \x1b[A "), "two lines \u{fffd}[A");
    }

    #[test]
    fn line_ends_for_raw_terminals_are_not_doubled() {
        assert_eq!(with_returns("a\nb\r\nc"), "a\r\nb\r\nc");
    }
}
