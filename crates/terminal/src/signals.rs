//! Signals, as what they mean for a session.

#[cfg(unix)]
mod caller;
#[cfg_attr(windows, path = "signals/windows.rs")]
#[cfg_attr(unix, path = "signals/unix.rs")]
mod platform;

pub(crate) use platform::Signals;

/// A signal that ends a session in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// SIGINT; on Windows also Ctrl-C and Ctrl-Break.
    Interrupt,
    /// SIGTERM; on Windows the system going down.
    Terminate,
    /// SIGHUP; on Windows the console window being closed.
    Hangup,
    /// SIGQUIT, where there is no remote shell to pass it to.
    Quit,
    /// SIGTSTP, where it is taken for a wish to end.
    Stop,
}

impl Signal {
    /// The exit status that tells of this signal: 128 and the signal's number.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Hangup => 129,
            Self::Interrupt => 130,
            Self::Quit => 131,
            Self::Terminate => 143,
            Self::Stop => 148,
        }
    }

    /// What it is to a session that is ending already: who asks twice means it. A terminal that goes away is no second
    /// wish, though several tell of it: the system, the user's shell and the death of the parent process.
    pub(crate) fn if_asked_again(self) -> Option<Self> {
        (self != Self::Hangup).then_some(self)
    }
}

/// Something the operating system told this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    all(windows, not(test)),
    expect(dead_code, reason = "some of the signals exist on Unix alone")
)]
pub(crate) enum Notice {
    /// End the session.
    End(Signal),
    /// SIGQUIT: the far end's, once there is a far end.
    Quit,
    /// SIGTSTP: the far end's, or the forward's end; only after [`Signals::take_stop`].
    Stop,
    /// The window has another size, perhaps.
    Resized,
    /// The process was stopped and goes on.
    Continued,
}
