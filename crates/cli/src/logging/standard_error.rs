//! Lines for standard error, which are kept back while a session has its terminal.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::IsTerminal as _;

use super::appender::Appender;
use crate::report;

/// Standard error. While it is a terminal in raw mode nothing is written over what the far end shows there: lines are
/// held until it is restored, the last [`MOST_HELD`] bytes of them.
#[derive(Debug)]
pub(super) struct StandardError {
    out: Appender,
    is_terminal: bool,
    held: Held,
}

impl StandardError {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            out: Appender::new(duplicate()?),
            is_terminal: io::stderr().is_terminal(),
            held: Held::default(),
        })
    }

    /// # Errors
    ///
    /// What the system says.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        if self.is_terminal && is_raw() {
            self.held.push(line);
            return Ok(());
        }
        self.release()?;
        self.out.write(line)
    }

    /// Writes what is held, whatever the terminal is in.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(super) fn release(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        if held.dropped > 0 {
            let text = format!(
                "{} earlier lines of the log were left out; --log keeps all of them in a file",
                held.dropped
            );
            self.out.write(&report::line(&text))?;
        }
        for line in held.lines {
            self.out.write(&line)?;
        }
        Ok(())
    }
}

/// Lines that wait, the oldest of which fall out.
#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

impl Held {
    fn push(&mut self, line: &str) {
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.bytes > MOST_HELD
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }
}

/// Whether the terminal that standard error is leaves its output as it comes. Standard input, whose mode the session
/// sets, may be another one.
#[cfg(unix)]
fn is_raw() -> bool {
    use rustix::termios::OutputModes;

    rustix::termios::tcgetattr(rustix::stdio::stderr())
        .is_ok_and(|settings| !settings.output_modes.contains(OutputModes::OPOST))
}

#[cfg(not(unix))]
fn is_raw() -> bool {
    ssm_session_terminal::is_raw()
}

#[cfg(unix)]
fn duplicate() -> io::Result<File> {
    use std::os::fd::AsFd as _;

    Ok(io::stderr().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn duplicate() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;

    Ok(io::stderr().as_handle().try_clone_to_owned()?.into())
}

/// Bytes; some thousand lines.
const MOST_HELD: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_lines_that_wait_fall_out_and_are_counted() {
        let mut held = Held::default();
        let line = |number: usize| format!("{number:0>1023}\n");
        for number in 0..300 {
            held.push(&line(number));
        }
        assert_eq!(held.dropped, 300 - 256);
        assert_eq!(held.lines.front(), Some(&line(300 - 256)));
        assert_eq!(held.lines.back(), Some(&line(299)));
        assert_eq!(held.bytes, MOST_HELD);
    }
}
