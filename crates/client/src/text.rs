//! Text fit to be shown.

use std::error::Error;
use std::iter::successors;

/// `error` and what caused it, in one clause.
pub(crate) fn with_sources(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<_> = successors(Some(error), |error| (*error).source())
        .map(ToString::to_string)
        .collect();
    causes.join(": ")
}

/// `text` on one line of at most `limit` characters: runs of control characters and white space
/// become one blank, a cut is marked by an ellipsis.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let mut words = text
        .split(|c: char| c.is_control() || c.is_whitespace() || is_invisible(c))
        .filter(|word| !word.is_empty());
    let mut line = String::new();
    let mut length = 0;
    while let Some(word) = words.next() {
        let blank = usize::from(!line.is_empty());
        if blank == 1 {
            line.push(' ');
        }
        let room = limit.saturating_sub(length + blank);
        let characters = word.chars().count();
        if characters > room || (characters == room && words.clone().next().is_some()) {
            line.extend(word.chars().take(room.saturating_sub(1)));
            line.push('…');
            return line;
        }
        line.push_str(word);
        length += blank + characters;
    }
    line
}

/// Marks that reorder or hide the text around them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_what_caused_it() {
        let cause = std::io::Error::other("the cable is cut");
        let error = crate::error::ConnectError::Tcp {
            host: "h".to_owned(),
            port: 1,
            source: cause,
        };
        assert_eq!(
            with_sources(&error),
            "h port 1 could not be reached: the cable is cut"
        );
    }

    #[test]
    fn control_characters_become_single_blanks() {
        assert_eq!(printable("\x1b[31mred\r\n\ttext \0", 80), "[31mred text");
    }

    #[test]
    fn marks_that_reorder_text_are_dropped() {
        assert_eq!(printable("exe\u{202e}txt", 80), "exe txt");
    }

    #[test]
    fn long_text_is_cut_at_the_limit_and_marked() {
        assert_eq!(printable("abcdef", 6), "abcdef");
        assert_eq!(printable("abcdefg", 6), "abcde…");
        let cut = printable(&"añb ".repeat(100), 50);
        assert!(cut.chars().count() <= 50 && cut.ends_with('…'), "{cut}");
    }
}
