//! All that is wrong with what a command was given.

use std::fmt;

use ssm_session_terminal::one_line;

/// What is wrong with arguments, environment and configuration file: each with the place it is in.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<String>);

impl Mistakes {
    pub(crate) fn add(&mut self, place: impl fmt::Display, what: impl fmt::Display) {
        self.0.push(format!("{place}: {what}"));
    }

    /// The value, or nothing once its fault is noted.
    pub(crate) fn keep<T>(
        &mut self,
        place: impl fmt::Display,
        parsed: Result<T, impl fmt::Display>,
    ) -> Option<T> {
        parsed.map_err(|fault| self.add(place, fault)).ok()
    }

    /// Notes a mistake unless something fits.
    pub(crate) fn check(
        &mut self,
        place: impl fmt::Display,
        fits: bool,
        mistake: impl fmt::Display,
    ) -> bool {
        if !fits {
            self.add(place, mistake);
        }
        fits
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// For the user of a command of ours: one line each, and where help is.
    pub(crate) fn list(&self, command: &str) -> String {
        let mut text = format!("{command}: this cannot be used\n");
        for mistake in &self.0 {
            text.push_str(&format!("  {}\n", one_line(mistake)));
        }
        text.push_str(&format!("See `session-manager-plugin {command} --help`.\n"));
        text
    }

    /// All in one sentence.
    pub(crate) fn sentence(&self) -> String {
        self.0.join("; ")
    }
}
