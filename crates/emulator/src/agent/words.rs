//! Splits a command line into words the way the agent does before it runs one directly.
//!
//! Close to a POSIX shell, with the agent's own differences kept, because a command that works here must work
//! on a node: a backslash inside double quotes stands for the next character whatever that is, and a `#` at
//! the start of a word begins a comment. Nothing is expanded.

use thiserror::Error;

/// A command line that is not complete words.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum SplitError {
    #[error("EOF found when expecting closing quote")]
    OpenQuote,
    #[error("EOF found after escape character")]
    OpenEscape,
    #[error("the command line holds no words, only blanks or a comment")]
    NoWords,
}

/// The words of `line`, at least one.
pub(super) fn split(line: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut rest = line.chars();
    while let Some(first) = rest.next() {
        match first {
            blank if is_blank(blank) => {}
            '#' => skip_comment(&mut rest),
            first => words.push(word(first, &mut rest)?),
        }
    }
    if words.is_empty() {
        return Err(SplitError::NoWords);
    }
    Ok(words)
}

/// The word that begins with `first`, reading up to the blank behind it.
fn word(first: char, rest: &mut impl Iterator<Item = char>) -> Result<String, SplitError> {
    let mut word = String::new();
    let mut next = Some(first);
    while let Some(character) = next {
        match character {
            blank if is_blank(blank) => break,
            '\\' => word.push(rest.next().ok_or(SplitError::OpenEscape)?),
            '\'' => quoted(&mut word, rest)?,
            '"' => double_quoted(&mut word, rest)?,
            other => word.push(other),
        }
        next = rest.next();
    }
    Ok(word)
}

fn quoted(word: &mut String, rest: &mut impl Iterator<Item = char>) -> Result<(), SplitError> {
    loop {
        match rest.next().ok_or(SplitError::OpenQuote)? {
            '\'' => return Ok(()),
            other => word.push(other),
        }
    }
}

fn double_quoted(
    word: &mut String,
    rest: &mut impl Iterator<Item = char>,
) -> Result<(), SplitError> {
    loop {
        match rest.next().ok_or(SplitError::OpenQuote)? {
            '"' => return Ok(()),
            '\\' => word.push(rest.next().ok_or(SplitError::OpenEscape)?),
            other => word.push(other),
        }
    }
}

fn skip_comment(rest: &mut impl Iterator<Item = char>) {
    for character in rest {
        if character == '\n' {
            return;
        }
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::SplitError;
    use super::split;

    #[test]
    fn blanks_of_every_kind_separate_words() {
        assert_eq!(split(" ls\t-l \r\n /tmp ").unwrap(), ["ls", "-l", "/tmp"]);
    }

    #[test]
    fn quotes_join_and_may_stand_inside_a_word() {
        assert_eq!(
            split(r#"echo 'a  b'"c  d"e '' "#).unwrap(),
            ["echo", "a  bc  de", ""]
        );
    }

    #[test]
    fn a_backslash_is_literal_in_single_quotes_alone() {
        assert_eq!(
            split(r#"a\ b 'c\d' "e\"\nf""#).unwrap(),
            ["a b", r"c\d", "e\"nf"]
        );
    }

    #[test]
    fn a_comment_begins_only_where_a_word_could() {
        assert_eq!(
            split("echo a#b # gone 'unclosed\nc").unwrap(),
            ["echo", "a#b", "c"]
        );
    }

    #[test]
    fn shell_operators_and_variables_are_ordinary_characters() {
        assert_eq!(
            split("echo $HOME | cat; true").unwrap(),
            ["echo", "$HOME", "|", "cat;", "true"]
        );
    }

    #[test]
    fn an_unfinished_line_is_refused() {
        assert_eq!(split("echo 'a"), Err(SplitError::OpenQuote));
        assert_eq!(split("echo \"a"), Err(SplitError::OpenQuote));
        assert_eq!(split("echo a\\"), Err(SplitError::OpenEscape));
        assert_eq!(split("echo \"a\\"), Err(SplitError::OpenEscape));
        assert_eq!(split("  # nothing"), Err(SplitError::NoWords));
    }
}
