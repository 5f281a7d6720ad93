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
    Remote(i32),
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
            // Windows nodes have wider codes; of those the low byte is kept unless it would read as success.
            Self::Remote(0) => 0,
            Self::Remote(code) => code.to_le_bytes()[0].max(1),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_status_is_passed_through() {
        for code in [0, 1, 3, 42, 127, 255] {
            assert_eq!(i32::from(ExitStatus::Remote(code).number()), code);
        }
    }

    #[test]
    fn a_failure_never_becomes_success() {
        assert_eq!(ExitStatus::Remote(256).number(), 1);
        assert_eq!(ExitStatus::Remote(-1).number(), 255);
        assert_eq!(ExitStatus::Remote(0x0000_0103).number(), 3);
    }
}
