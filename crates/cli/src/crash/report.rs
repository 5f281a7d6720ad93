//! The report of a crash.

use std::backtrace::Backtrace;
use std::fs;
use std::io;
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use ssm_session_proto::CLIENT_VERSION;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime as _;
use tracing_subscriber::fmt::time::SystemTime;

use crate::logging::recent_events;
use crate::state_folder::StateFolder;

/// A panic, as far as it can be told to others: without its message, which may quote a session's data, unless that is
/// part of the program's text.
#[derive(Debug)]
pub(super) struct Crash {
    time: String,
    used_as: &'static str,
    place: String,
    thread: String,
    message: Option<&'static str>,
    backtrace: Backtrace,
}

impl Crash {
    /// To be called in the panic's hook.
    pub(super) fn of(panic: &PanicHookInfo<'_>, used_as: &'static str) -> Self {
        let place = panic.location().map_or_else(
            || "an unknown place".to_owned(),
            |at| format!("{}:{}", short(at.file()), at.line()),
        );
        Self {
            time: now(),
            used_as,
            place,
            thread: std::thread::current()
                .name()
                .unwrap_or("without a name")
                .to_owned(),
            message: panic.payload().downcast_ref::<&'static str>().copied(),
            backtrace: Backtrace::force_capture(),
        }
    }

    /// File and line of the source.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Writes the report to a new file of the folder, and removes the oldest ones there beyond [`KEPT`].
    ///
    /// # Errors
    ///
    /// When the folder cannot be used or the file cannot be written.
    pub(super) fn save(&self, folder: &Path) -> io::Result<PathBuf> {
        let folder = StateFolder::open(folder)?;
        let time = self.time.replace(['-', ':'], "");
        let seconds = time.split(['.', 'Z']).next().unwrap_or_default();
        let name = format!("{PREFIX}{seconds}Z-{}{SUFFIX}", std::process::id());
        let path = folder.at(&name);
        // Before the file is open: looking up names of functions takes a descriptor too, which may be the last one.
        let text = self.text();
        let mut file = folder.create(&name)?;
        if let Err(error) = file.write_all(text.as_bytes()) {
            drop(file);
            // Half a report would be sent as a whole one.
            fs::remove_file(&path).unwrap_or_default();
            return Err(error);
        }
        // What is left over costs a few kilobytes, and the next crash tries again.
        remove_oldest(folder.path()).unwrap_or_default();
        Ok(path)
    }

    fn text(&self) -> String {
        let message = self
            .message
            .unwrap_or("left out, for it may quote data of the session");
        let main = crate::main as fn() -> ExitCode;
        let frames = functions(&format!("{:#}", self.backtrace), main as usize);
        let events = recent_events();
        format!(
            "{HEADER}\
             version: {version}, reported to AWS: {CLIENT_VERSION}\n\
             platform: {os} {arch}{kernel}\n\
             used as: {used_as}\n\
             time: {time}\n\
             thread: {thread}\n\
             place: {place}\n\
             message: {message}\n\
             \nfunctions, from the innermost on:\n{frames}\
             \nlast events:\n{events}",
            version = env!("CARGO_PKG_VERSION"),
            os = std::env::consts::OS,
            arch = std::env::consts::ARCH,
            kernel = kernel(),
            used_as = self.used_as,
            time = self.time,
            thread = self.thread,
            place = self.place,
            frames = listed(&frames),
            events = listed(&events),
        )
    }
}

fn now() -> String {
    let mut time = String::new();
    // Writing to a string does not fail.
    SystemTime
        .format_time(&mut Writer::new(&mut time))
        .unwrap_or_default();
    time
}

/// A source file without what is before it on the machine that built this.
fn short(file: &str) -> &str {
    let Some((_, of_registry)) = file.split_once("/registry/src/") else {
        return file;
    };
    of_registry
        .split_once('/')
        .map_or(file, |(_index, rest)| rest)
}

/// The functions in a backtrace with addresses: lines such as `  3:     0x55d0c3462c33 - core::panicking::panic_fmt`. In a
/// build without names it is the distance from `main`, for which the build before it was stripped has the name.
fn functions(backtrace: &str, main: usize) -> Vec<String> {
    backtrace
        .lines()
        .filter_map(|line| {
            let (_number, frame) = line.split_once(": ")?;
            let (address, name) = frame.trim_start().split_once(" - ")?;
            let address = usize::from_str_radix(address.strip_prefix("0x")?, 16).ok()?;
            Some(match name {
                // The end of the stack.
                "<unknown>" if address == 0 => return None,
                "<unknown>" if address >= main => format!("main+{:#x}", address - main),
                "<unknown>" => format!("main-{:#x}", main - address),
                name => name.to_owned(),
            })
        })
        .take(FRAMES)
        .collect()
}

fn listed(lines: &[String]) -> String {
    if lines.is_empty() {
        return "  none\n".to_owned();
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

#[cfg(unix)]
fn kernel() -> String {
    let release = rustix::system::uname();
    format!(", kernel {}", release.release().to_string_lossy())
}

#[cfg(not(unix))]
fn kernel() -> String {
    String::new()
}

fn remove_oldest(folder: &Path) -> io::Result<()> {
    let mut reports = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
        {
            reports.push(name);
        }
    }
    // Their names begin with the time.
    reports.sort();
    let surplus = reports.len().saturating_sub(KEPT);
    for name in &reports[..surplus] {
        fs::remove_file(folder.join(name))?;
    }
    Ok(())
}

const HEADER: &str = "\
session-manager-plugin has crashed. This report holds no argument, token, key or data of a session.\n\
The last events may name your session, node, account and hosts: read them before you send this.\n\n";

const PREFIX: &str = "crash-";
const SUFFIX: &str = ".txt";

/// Reports. One mistake that strikes over and over is told by the last of them as well as by all.
const KEPT: usize = 10;

/// Functions. A stack that has overflowed has no report; any other is shorter.
const FRAMES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_without_paths_or_else_by_their_distance_from_main() {
        let backtrace = "   0:     0x55d0c3462c33 - std::backtrace::Backtrace::force_capture\n\
                         \x20                              at /home/builder/library/std/src/backtrace.rs:312:9\n\
                         \x20  1:     0x55d0c3462010 - <unknown>\n\
                         \x20 12:     0x55d0c3461ff0 - <unknown>\n\
                         \x20 13:     0x55d0c3462000 - session_manager_plugin::main\n\
                         \x20 14:                0x0 - <unknown>\n";
        assert_eq!(
            functions(backtrace, 0x55d0_c346_2000),
            [
                "std::backtrace::Backtrace::force_capture",
                "main+0x10",
                "main-0x10",
                "session_manager_plugin::main"
            ]
        );
    }

    #[test]
    fn a_place_in_a_dependency_is_named_without_the_builders_home() {
        let file = "/home/me/.cargo/registry/src/index.crates.io-1949cf8c/tokio-1.54.0/src/lib.rs";
        assert_eq!(short(file), "tokio-1.54.0/src/lib.rs");
        assert_eq!(short("crates/cli/src/main.rs"), "crates/cli/src/main.rs");
    }

    #[test]
    fn the_oldest_reports_are_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let name = |second: usize| format!("crash-20260101T0000{second:02}Z-1.txt");
        for second in 0..KEPT + 3 {
            fs::write(directory.path().join(name(second)), "").unwrap();
        }
        fs::write(directory.path().join("log"), "").unwrap();
        remove_oldest(directory.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected: Vec<_> = (3..KEPT + 3).map(name).collect();
        expected.push("log".to_owned());
        assert_eq!(left, expected);
    }
}
