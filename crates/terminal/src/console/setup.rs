//! What a program brings along for a session.

use crate::escape::EscapeChar;
use crate::local_end::LocalListener;
use crate::texts::PlainTexts;
use crate::texts::Texts;

/// What a program brings along for a session, and takes back from it.
#[derive(Debug)]
pub struct Setup {
    /// The words for what happens.
    pub texts: Box<dyn Texts>,
    /// The character that makes a command of the next one, at the start of a line that is typed in a shell. It counts
    /// where standard input is a terminal.
    pub escape: EscapeChar,
    /// The local end of a forward, where the request names it and the program has opened it. It is used if the session
    /// turns out to be for the same one, and is here again, still open, when the session has ended without the user's
    /// asking: connections wait there for the next session.
    pub listener: Option<LocalListener>,
    /// Whether the session is known to be of type Port: the terminal is then not touched, not even before the far end
    /// answers, and the far end has a minute for that.
    pub is_port: bool,
    /// Whether Ctrl-Z (SIGTSTP) ends a forward in order, as it does AWS's plugin, instead of stopping this process
    /// with its local end open. A session over standard input and output never ends by it.
    pub stop_ends: bool,
}

/// Plain words, `~`, nothing opened, nothing known.
impl Default for Setup {
    fn default() -> Self {
        Self {
            texts: Box::new(PlainTexts),
            escape: EscapeChar::default(),
            listener: None,
            is_port: false,
            stop_ends: false,
        }
    }
}
