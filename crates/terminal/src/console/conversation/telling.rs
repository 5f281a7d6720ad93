//! What the user at a terminal is told beside the session's output.

use std::fmt;

use bytes::Bytes;
use ssm_session::SessionEvent;
use ssm_session_proto::OutputStream;
use tokio::time::Instant;

use super::Conversation;
use super::Phase;
use crate::console::printable;
use crate::console::row::Row;
use crate::console::waiting;
use crate::escape::EscapeChar;
use crate::size::window_size;
use crate::texts::News;
use crate::texts::WayOut;

impl Conversation<'_> {
    /// Takes note of an event if it is about the far end's being out of reach.
    pub(super) fn watch_outage(&mut self, event: &SessionEvent) {
        let was_told = self.outage.is_told();
        self.outage.handle(event);
        if was_told && !self.outage.is_told() {
            self.has_refused = false;
            self.draw(Row::remove);
        }
    }

    pub(super) fn handle_outage(&mut self) {
        self.outage.tell();
        self.show_news();
    }

    /// Tells the user that input is refused: by the bell each time, in words once.
    pub(super) fn refuse_input(&mut self) {
        if let Some(stream) = self.screen
            && !self.is_blocked()
        {
            self.push(stream, Bytes::from_static(BELL));
        }
        if !std::mem::replace(&mut self.has_refused, true) {
            tracing::warn!("input is refused: the far end takes none, and no more can be kept");
            self.show_news();
        }
    }

    /// Shows what is the matter at present.
    fn show_news(&mut self) {
        let texts = &self.setup.texts;
        let text = if self.has_refused {
            let way_out = self.way_out(true);
            texts.row(&News::InputRefused { way_out })
        } else {
            let way_out = self.way_out(self.outage.is_lost());
            let news = self.outage.news(way_out);
            news.and_then(|news| texts.row(&news))
        };
        if let Some(text) = text {
            self.draw(|row| row.show(&text, window_size()));
        }
    }

    /// How the user can leave; in a shell Ctrl-C is the far end's as long as that can be reached.
    fn way_out(&self, takes_interrupt: bool) -> WayOut {
        match self.phase {
            Phase::Terminal => WayOut {
                interrupt: takes_interrupt,
                escape: self.escapes.escape(),
            },
            // A signal.
            Phase::Waiting | Phase::Command => WayOut {
                interrupt: true,
                escape: EscapeChar::NONE,
            },
        }
    }

    pub(super) fn show_again(&mut self) {
        self.draw(|row| row.show_again(window_size()));
    }

    pub(super) fn erase_row(&mut self) {
        self.draw(Row::erase);
    }

    /// The far end's output comes next.
    pub(super) fn make_way(&mut self) {
        self.draw(|row| row.make_way(Instant::now()));
    }

    /// Takes the row away for good; answers with what is to be written.
    pub(super) fn remove_row(&mut self) -> Option<(OutputStream, Bytes)> {
        let erased = self.row.remove();
        let stream = self.screen?;
        (!erased.is_empty()).then_some((stream, erased))
    }

    fn draw(&mut self, change: impl FnOnce(&mut Row) -> Bytes) {
        if let Some(stream) = self.screen
            && !self.is_blocked()
        {
            let bytes = change(&mut self.row);
            self.push(stream, bytes);
        }
    }

    pub(super) fn answer_help(&mut self) {
        let escape = self.escapes.escape();
        self.answer("?", &help(escape));
    }

    pub(super) fn answer_off(&mut self) {
        self.answer(
            "-",
            "Escape sequences are off for the rest of this session.\n",
        );
        // What is shown may name them.
        if self.outage.is_told() {
            self.show_news();
        }
    }

    /// Answers an escape: what was typed, which nobody has echoed, then a text on lines of its own.
    pub(super) fn answer(&mut self, typed: &str, text: &str) {
        let escape = self.setup.escape;
        self.tell(&format!("{escape}{typed}\n{text}"));
    }

    /// Tells a user at a terminal something, where the cursor is.
    pub(super) fn tell(&mut self, text: &str) {
        if let Some(stream) = self.screen
            && !self.is_blocked()
        {
            self.erase_row();
            self.amid_line = false;
            self.push(stream, printable(stream, text));
            self.show_again();
        }
    }

    /// Prints text among the session's output, where its messages go.
    pub(super) fn say(&mut self, text: &str) {
        let stream = self.console.text_stream();
        self.make_way();
        self.push(stream, printable(stream, text));
    }

    pub(super) fn say_waiting(&mut self, what: &(impl fmt::Display + ?Sized)) {
        let stream = OutputStream::Stderr;
        self.push(stream, printable(stream, &waiting(what)));
    }

    /// Whether so much waits for a terminal that takes nothing that nobody would read what comes on top. The far end's
    /// output is no part of that: it is taken only when nothing waits.
    fn is_blocked(&self) -> bool {
        self.unwritten.len() >= UNWRITTEN
    }

    fn push(&mut self, stream: OutputStream, bytes: Bytes) {
        if !bytes.is_empty() {
            self.unwritten.push_back((stream, bytes));
        }
    }
}

fn help(escape: EscapeChar) -> String {
    format!(
        "Escape sequences:\n  \
         {escape}.   end the session\n  \
         {escape}^Z  suspend this program\n  \
         {escape}-   switch escape sequences off for the rest of the session\n  \
         {escape}?   show this list\n  \
         {escape}{escape}   type {escape}\n\
         They count at the start of a line only: press Enter before.\n"
    )
}

/// Texts and bells besides those in the writer's queue.
const UNWRITTEN: usize = 64;
const BELL: &[u8] = b"\x07";
