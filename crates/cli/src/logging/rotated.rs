//! The user's own log: one file for all processes, with a few old ones beside it.

use std::fs;
use std::fs::Metadata;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use super::appender::Appender;
use crate::state_folder::StateFolder;

/// The file `log` of the state folder. One that is full becomes `log.1`, that `log.2`, and so on.
///
/// Any number of processes may write to it. None of them has it for itself: before each line it is seen whether the file
/// is still the one of that name.
#[derive(Debug)]
pub(super) struct RotatedLog {
    place: PathBuf,
    full: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    folder: StateFolder,
    log: Appender,
}

impl RotatedLog {
    /// The log in a folder, which is made with the first line.
    pub(super) fn new(place: PathBuf) -> Self {
        Self::full_at(place, FULL)
    }

    fn full_at(place: PathBuf, full: u64) -> Self {
        Self {
            place,
            full,
            open: None,
        }
    }

    /// Where the lines go.
    pub(super) fn path(&self) -> PathBuf {
        self.place.join(LOG)
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// What the system says, or what is wrong with the folder. The next line may be luckier.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) if open.is_current() => open,
            // Another process has rotated it, or somebody has removed it.
            _ => Open::at(&self.place)?,
        };
        if open.size()? + line.len() as u64 > self.full {
            open.rotate()?;
            open = Open::at(&self.place)?;
        }
        let written = open.log.write(line);
        self.open = Some(open);
        written
    }
}

impl Open {
    fn at(place: &Path) -> io::Result<Self> {
        let folder = StateFolder::open(place)?;
        let log = Appender::new(folder.append(LOG)?);
        Ok(Self { folder, log })
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.log.file().metadata()?.len())
    }

    /// Whether the file is still the one of its name.
    fn is_current(&self) -> bool {
        match (
            fs::symlink_metadata(self.folder.at(LOG)),
            self.log.file().metadata(),
        ) {
            (Ok(named), Ok(open)) => is_same(&named, &open),
            _ => false,
        }
    }

    /// Gives the file another name, unless another process has done so, or is at it.
    fn rotate(&self) -> io::Result<()> {
        let lock = self.folder.append(LOCK)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(()),
            // Where files cannot be locked, two processes may rotate at once: then a file is begun twice.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if !self.is_current() {
            return Ok(());
        }
        let old = |number: u32| self.folder.at(format!("{LOG}.{number}"));
        for number in (1..KEPT).rev() {
            match fs::rename(old(number), old(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(self.folder.at(LOG), old(1))
    }
}

#[cfg(unix)]
fn is_same(named: &Metadata, open: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    (named.dev(), named.ino()) == (open.dev(), open.ino())
}

/// A file that was rotated away is full, and the new one of its name is not yet.
#[cfg(not(unix))]
fn is_same(named: &Metadata, open: &Metadata) -> bool {
    named.len() >= open.len()
}

const LOG: &str = "log";
/// Locked by who rotates. Not the log itself: on Windows nobody else could write to it then.
const LOCK: &str = "log.lock";

/// Bytes of a file. A day of sessions at DEBUG has less, and an editor still opens it.
const FULL: u64 = 10 * 1024 * 1024;

/// Old files.
const KEPT: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines there are, from the oldest file to the newest.
    fn lines(place: &Path) -> Vec<String> {
        let names = ["log.4", "log.3", "log.2", "log.1", "log"];
        names
            .iter()
            .filter_map(|name| fs::read_to_string(place.join(name)).ok())
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn a_full_log_is_set_aside_and_the_oldest_removed() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatedLog::full_at(directory.path().to_owned(), 20);
        for number in 10..24 {
            log.write(&format!("line {number}\n")).unwrap();
        }
        // Two lines a file, four files.
        let expected: Vec<_> = (16..24).map(|number| format!("line {number}")).collect();
        assert_eq!(lines(directory.path()), expected);
        assert!(!directory.path().join("log.4").exists());
    }

    #[test]
    fn a_line_that_is_longer_than_a_file_is_written_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatedLog::full_at(directory.path().to_owned(), 3);
        log.write("short\n").unwrap();
        log.write("long enough\n").unwrap();
        assert_eq!(lines(directory.path()), ["short", "long enough"]);
    }

    #[test]
    fn lines_of_many_writers_are_neither_lost_nor_mixed_while_files_are_rotated() {
        const WRITERS: usize = 8;
        const LINES: usize = 400;
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        let length = "writer 0 line 000\n".len() * WRITERS * LINES;
        let full = length as u64 * 2 / 5; // two rotations, and no file falls out
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                scope.spawn(move || {
                    let mut log = RotatedLog::full_at(place.to_owned(), full);
                    for line in 0..LINES {
                        log.write(&format!("writer {writer} line {line:03}\n"))
                            .unwrap();
                    }
                });
            }
        });
        let lines = lines(place);
        for writer in 0..WRITERS {
            let start = format!("writer {writer} ");
            let mut of_writer: Vec<_> = lines.iter().filter(|l| l.starts_with(&start)).collect();
            of_writer.sort();
            let expected: Vec<_> = (0..LINES)
                .map(|line| format!("{start}line {line:03}"))
                .collect();
            assert!(of_writer.into_iter().eq(&expected), "{start}");
        }
        assert_eq!(lines.len(), WRITERS * LINES);
        assert!(place.join("log.2").exists());
    }

    #[test]
    fn what_another_process_has_rotated_is_not_rotated_again() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        let (first, second) = (Open::at(place).unwrap(), Open::at(place).unwrap());
        first.rotate().unwrap();
        RotatedLog::new(place.to_owned()).write("new\n").unwrap();
        second.rotate().unwrap();
        assert_eq!(fs::read_to_string(place.join(LOG)).unwrap(), "new\n");
        assert!(!place.join("log.2").exists());
    }

    #[test]
    fn while_one_process_rotates_another_goes_on_writing() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        let rotating = StateFolder::open(place).unwrap().append(LOCK).unwrap();
        rotating.lock().unwrap();
        let mut log = RotatedLog::full_at(place.to_owned(), 1);
        log.write("first\n").unwrap();
        log.write("second\n").unwrap();
        assert_eq!(lines(place), ["first", "second"]);
        assert!(!place.join("log.1").exists());
        rotating.unlock().unwrap();
        log.write("third\n").unwrap();
        assert!(place.join("log.1").exists());
    }

    #[test]
    fn a_log_that_was_removed_with_its_folder_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("ours");
        let mut log = RotatedLog::new(place.clone());
        log.write("before\n").unwrap();
        fs::remove_dir_all(&place).unwrap();
        log.write("after\n").unwrap();
        assert_eq!(lines(&place), ["after"]);
    }
}
