//! Where a session's stream may lead.

/// Which addresses are taken for a session's stream. Whoever can put another address into
/// StartSession's answer gets the token and all keystrokes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPolicy {
    plain: bool,
}

impl StreamPolicy {
    /// Takes `ws`, which is without TLS, for any host and not only for this machine. Tokens and
    /// keystrokes then travel readable by everyone on the way.
    #[must_use]
    pub fn allow_plain(self) -> Self {
        Self { plain: true }
    }

    pub(crate) fn allows_plain(&self) -> bool {
        self.plain
    }
}
