//! The exit statuses, all of them.

use std::process::ExitCode;

use ssm_session_terminal::Signal;

/// How the program ends, as its callers see it.
///
/// | status | meaning |
/// |---|---|
/// | 0 | done; in use as a drop-in always, for the AWS CLI prints the command line at any other |
/// | 1 | the session could not be started, was cut off, or its output could not be written |
/// | 2 | mistakes in the arguments |
/// | 129, 130, 131, 143 | ended by SIGHUP, SIGINT, SIGQUIT, SIGTERM |
/// | 255 | a mistake in this program |
/// | any | what the remote command ended with |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Success,
    Failed,
    Usage,
    Signal(Signal),
    Bug,
    /// As the session's outcome has it.
    Session(u8),
}

impl ExitStatus {
    /// The number, 0 to 255.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Signal(signal) => signal.status(),
            Self::Bug => 255,
            Self::Session(status) => status,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.number())
    }
}
