//! What a program knows of ports before its session is up.

use crate::local_end::LocalListener;
use crate::texts::PlainTexts;
use crate::texts::Texts;

/// What a program brings along for a session that may turn out to forward a port.
#[derive(Debug)]
pub struct Ports {
    /// The words for what happens, in other sessions too.
    pub texts: Box<dyn Texts>,
    /// The local end, where the request names it and the program has opened it. It is used if the session turns out
    /// to be for the same one.
    pub listener: Option<LocalListener>,
    /// Whether the session is known to be of type Port: the terminal is then not touched, not even before the far end
    /// answers, and the far end has a minute for that.
    pub are_expected: bool,
    /// Whether Ctrl-Z (SIGTSTP) ends a forward in order, as it does AWS's plugin, instead of stopping this process
    /// with its local end open. A session over standard input and output never ends by it.
    pub stop_ends: bool,
}

/// Plain words, nothing opened, nothing known.
impl Default for Ports {
    fn default() -> Self {
        Self {
            texts: Box::new(PlainTexts),
            listener: None,
            are_expected: false,
            stop_ends: false,
        }
    }
}
