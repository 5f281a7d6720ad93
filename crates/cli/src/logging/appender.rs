//! Whole lines at the end of a file.

use std::fs::File;
use std::io;
use std::io::Write as _;

/// A file opened to append to: each line is one write, so that lines of several processes do not mix.
#[derive(Debug)]
pub(super) struct Appender {
    file: File,
    /// Whether the last line is there in part, so that the next begins by ending it.
    torn: bool,
}

impl Appender {
    pub(super) fn new(file: File) -> Self {
        Self { file, torn: false }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes a line, its end included. Waits for room where the file is a pipe or a terminal.
    ///
    /// # Errors
    ///
    /// What the system says. The line is then lost, and the next one can be tried.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        if self.torn {
            self.put(format!("\n{line}").as_bytes())
        } else {
            self.put(line.as_bytes())
        }
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        let mut rest = line;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until_writable(&self.file)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn wait_until_writable(file: &File) -> io::Result<()> {
    use rustix::event::PollFd;
    use rustix::event::PollFlags;

    rustix::io::retry_on_intr(|| {
        rustix::event::poll(&mut [PollFd::new(file, PollFlags::OUT)], None)
    })?;
    Ok(())
}

/// Windows files always block.
#[cfg(not(unix))]
fn wait_until_writable(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_behind_one_that_was_cut_off_begins_a_line_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "half a li").unwrap();
        let mut log = Appender {
            file: File::options().append(true).open(&path).unwrap(),
            torn: true,
        };
        log.write("next\n").unwrap();
        log.write("last\n").unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, "half a li\nnext\nlast\n");
    }
}
