//! The thread that writes the log, so that nothing the log is written to can hold up a session.

use std::io;
use std::path::PathBuf;

use ssm_session_terminal::one_line;

use super::appender::Appender;
use super::queue::Queue;
use super::queue::Work;
use super::rotated::RotatedLog;
use super::standard_error::StandardError;
use crate::report;
use crate::state_folder;

/// What the log is written to.
#[derive(Debug)]
pub(super) enum Sink {
    StandardError,
    /// A file the user named, once it is open.
    Named {
        path: PathBuf,
        file: Option<Appender>,
    },
    Rotated(RotatedLog),
    /// The user's own log, where the environment names no home for it.
    Nowhere,
}

/// Writes lines, and says once when that does not work.
#[derive(Debug)]
pub(super) struct LogWriter {
    sink: Sink,
    /// For the log itself or for a word on its failure; nothing where standard error is a caller's.
    user: Option<StandardError>,
    has_told: bool,
    missing: u64,
}

impl LogWriter {
    pub(super) fn new(sink: Sink, user: Option<StandardError>) -> Self {
        Self {
            sink,
            user,
            has_told: false,
            missing: 0,
        }
    }

    /// Writes what comes until the queue is closed.
    pub(super) fn run(mut self, queue: &Queue) {
        loop {
            match queue.take() {
                Work::Line { line, missing } => {
                    self.missing += missing;
                    self.write(&line);
                }
                Work::End { missing } => {
                    self.missing += missing;
                    break;
                }
            }
        }
        self.finish();
        queue.end();
    }

    fn write(&mut self, line: &str) {
        let written = self.write_missing().and_then(|()| self.put(line));
        if let Err(error) = written {
            self.missing += 1;
            self.tell(&error);
        }
    }

    /// Says in the log that it has a gap.
    fn write_missing(&mut self) -> io::Result<()> {
        if self.missing > 0 {
            let text = format!("lines of the log missing here: {}", self.missing);
            self.put(&report::line(&text))?;
            self.missing = 0;
        }
        Ok(())
    }

    fn put(&mut self, line: &str) -> io::Result<()> {
        match &mut self.sink {
            Sink::StandardError => match &mut self.user {
                Some(user) => user.write(line),
                None => Ok(()),
            },
            Sink::Named { path, file } => {
                let file = match file {
                    Some(file) => file,
                    none => none.insert(Appender::new(state_folder::append_to(path)?)),
                };
                file.write(line)
            }
            Sink::Rotated(log) => log.write(line),
            Sink::Nowhere => Err(io::Error::other("the environment names no home directory")),
        }
    }

    /// Tells the user, where there is one to be told, that there is no log or only a part of one.
    fn tell(&mut self, error: &io::Error) {
        let what = match &self.sink {
            Sink::StandardError => return,
            Sink::Named { path, .. } => format!("the log file {}", path.display()),
            Sink::Rotated(log) => format!("the log file {}", log.path().display()),
            Sink::Nowhere => "the log".to_owned(),
        };
        if !std::mem::replace(&mut self.has_told, true)
            && let Some(user) = &mut self.user
        {
            let text = format!("{what} cannot be written: {error}; this goes on without it");
            // There is nowhere else to say it.
            user.write(&report::line(&one_line(&text)))
                .unwrap_or_default();
        }
    }

    fn finish(&mut self) {
        if let Err(error) = self.write_missing() {
            self.tell(&error);
        }
        if let Some(user) = &mut self.user {
            user.release().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_works_again_says_how_much_it_lacks() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("later");
        let path = folder.join("log");
        let sink = Sink::Named {
            path: path.clone(),
            file: None,
        };
        let mut writer = LogWriter::new(sink, None);
        writer.write("first\n");
        writer.write("second\n");
        std::fs::create_dir(folder).unwrap();
        writer.write("third\n");
        writer.write("fourth\n");
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "session-manager-plugin: lines of the log missing here: 2\nthird\nfourth\n"
        );
    }

    #[test]
    fn what_had_no_room_on_the_way_is_missing_in_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let sink = Sink::Named {
            path: path.clone(),
            file: None,
        };
        let queue = Queue::default();
        queue.put("line\n".to_owned());
        queue.close(std::time::Duration::ZERO);
        queue.put("too late\n".to_owned());
        LogWriter::new(sink, None).run(&queue);
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "session-manager-plugin: lines of the log missing here: 1\nline\n"
        );
    }
}
