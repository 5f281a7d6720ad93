//! Errors as one sentence for the user.

use ssm_session_terminal::one_line;

/// The error and its causes in one line, fit for a terminal whatever the other side put into it.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    one_line(&format!("{error:#}"))
}

/// A line of this program's own for standard error.
pub(crate) fn line(text: &str) -> String {
    format!("session-manager-plugin: {text}\n")
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn causes_follow_in_one_line_without_control_characters() {
        let error = Err::<(), _>(anyhow::anyhow!("the peer said\n\x1b[2J"))
            .context("no session")
            .unwrap_err();
        assert_eq!(sentence(&error), "no session: the peer said \u{fffd}[2J");
    }
}
