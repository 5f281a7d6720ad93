//! A row of the terminal that says what is the matter, and goes away.

use std::time::Duration;

use bytes::Bytes;
use ssm_session_proto::TerminalSize;
use tokio::time::Instant;

use crate::text::one_line;

/// The row below the cursor, lent from the far end's screen.
///
/// The cursor stands where the far end has left it at all times but within a write, so that what comes next is where
/// it belongs even if the row can never be erased. Before anything else is written the row is to be [erased](Self::erase);
/// after output of the far end it comes back when that has been quiet for a while.
#[derive(Debug, Default)]
pub(super) struct Row {
    text: Option<String>,
    is_shown: bool,
    back: Option<Instant>,
}

impl Row {
    /// Shows a text in place of what is shown; answers with what is to be written.
    pub(super) fn show(&mut self, text: &str, size: TerminalSize) -> Bytes {
        let erased = self.erase();
        self.text = Some(one_line(text));
        self.draw(erased, size)
    }

    /// Shows the text again, if there is one, in a window that may have another size.
    pub(super) fn show_again(&mut self, size: TerminalSize) -> Bytes {
        let erased = self.erase();
        self.draw(erased, size)
    }

    /// Takes the row off the screen for a moment; answers with what is to be written.
    pub(super) fn erase(&mut self) -> Bytes {
        self.back = None;
        if std::mem::take(&mut self.is_shown) {
            Bytes::from_static(ERASE.as_bytes())
        } else {
            Bytes::new()
        }
    }

    /// The far end is about to write; answers with what is to be written before that.
    pub(super) fn make_way(&mut self, now: Instant) -> Bytes {
        let erased = self.erase();
        self.back = self.text.is_some().then(|| now + QUIET);
        erased
    }

    /// There is nothing to be said any more; answers with what is to be written.
    pub(super) fn remove(&mut self) -> Bytes {
        self.text = None;
        self.erase()
    }

    /// When the row is to be shown again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.back
    }

    fn draw(&mut self, erased: Bytes, size: TerminalSize) -> Bytes {
        let Some(text) = self.text.as_deref().filter(|_| size.rows > 1) else {
            return erased;
        };
        self.is_shown = true;
        let text = cut(text, size.cols);
        let mut bytes = erased.to_vec();
        bytes.extend_from_slice(format!("{MAKE_ROOM}{BEGIN}{text}{ERASE_TO_END}{END}").as_bytes());
        bytes.into()
    }
}

/// As much of a line as fits into `columns`. A character beyond ASCII is taken to be two columns wide, which some are.
fn cut(line: &str, columns: u32) -> &str {
    let mut left = columns;
    for (index, character) in line.char_indices() {
        let width = if character.is_ascii() { 1 } else { 2 };
        if left < width {
            return &line[..index];
        }
        left -= width;
    }
    line
}

/// Down and up again, which scrolls if the cursor is in the last row. Not by LF, of which a terminal that processes
/// output makes CR LF; VT does the same otherwise.
const MAKE_ROOM: &str = "\x0b\x1b[A";
/// Saves the cursor and how characters look (DECSC), then goes to the next row with characters as they are by default.
const BEGIN: &str = "\x1b7\x1b[m\x1b(B\x0f\r\n";
const ERASE_TO_END: &str = "\x1b[K";
/// Back to the cursor and to how characters looked (DECRC).
const END: &str = "\x1b8";
const ERASE: &str = "\x1b7\x1b[m\r\n\x1b[K\x1b8";
/// How long the far end's output rests before the row comes back below it.
const QUIET: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
