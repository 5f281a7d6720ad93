//! What is left of this program when it crashes: a word for the user, and a report for us.
//!
//! A crash is a panic, whichever thread it is in. Session and user are never to blame for one, whatever they sent.

use std::io;
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::panic::UnwindSafe;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use ssm_session_terminal::is_raw;
use ssm_session_terminal::one_line;

use crate::exit::ExitStatus;
use crate::report as words;

mod report;

use report::Crash;

/// Runs the program. A crash of it, or of a thread or task that it has started, is reported, in a file of the state folder
/// if there is a place for one, and is [`ExitStatus::Bug`].
pub(crate) fn guard(
    state_folder: Option<PathBuf>,
    program: impl FnOnce() -> ExitStatus + UnwindSafe,
) -> ExitStatus {
    // Instead of the standard library's, which prints a panic's message, whatever is in it. The terminal's hook, once a
    // session sets a mode, restores the terminal and then calls this one.
    std::panic::set_hook(Box::new(move |panic| {
        on_panic(panic, state_folder.as_ref());
    }));
    let status = std::panic::catch_unwind(program).unwrap_or(ExitStatus::Bug);
    if HAS_CRASHED.load(Ordering::Relaxed) {
        ExitStatus::Bug
    } else {
        status
    }
}

/// Notes what this program is used as, for a report.
pub(crate) fn note_use(name: &'static str) {
    // Noted once, for there is one task to a process.
    USE.get_or_init(|| name);
}

fn on_panic(panic: &PanicHookInfo<'_>, state_folder: Option<&PathBuf>) {
    // The first one says what went wrong, those in its wake do not.
    if HAS_CRASHED.swap(true, Ordering::Relaxed) {
        return;
    }
    let used_as = USE.get().copied().unwrap_or("starting");
    let crash = Crash::of(panic, used_as);
    let place = crash.place().to_owned();
    let report = state_folder.and_then(|folder| saved(crash, folder.clone()));
    tracing::error!(place, report = ?report, "this program has crashed");
    tell(&sentence(&place, report));
}

/// The report's file, unless it cannot be written within a moment: a home directory on a server that does not answer must
/// not keep a broken program from its end.
fn saved(crash: Crash, folder: PathBuf) -> Option<PathBuf> {
    let (sender, receiver) = mpsc::channel();
    let writing = std::thread::Builder::new().name("crash report".to_owned());
    // Nobody is left to join it.
    let _thread = writing
        .spawn(move || sender.send(crash.save(&folder)).unwrap_or_default())
        .ok()?;
    receiver.recv_timeout(SAVE_LIMIT).ok()?.ok()
}

fn sentence(place: &str, report: Option<PathBuf>) -> String {
    let what = format!("this program has crashed at {place}, by a mistake of its own");
    match report {
        Some(path) => format!(
            "{what}; please send the report {} to {ISSUES}",
            path.display()
        ),
        None => format!("{what}; please tell of it at {ISSUES}"),
    }
}

fn tell(sentence: &str) {
    let mut line = words::line(&one_line(sentence));
    if is_raw() {
        line = line.replace('\n', "\r\n");
    }
    // Where standard error is closed there is nobody to tell.
    io::stderr().write_all(line.as_bytes()).unwrap_or_default();
}

static HAS_CRASHED: AtomicBool = AtomicBool::new(false);
static USE: OnceLock<&str> = OnceLock::new();

const ISSUES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/issues");

/// Looking up the names of functions takes seconds in a build with debug information.
const SAVE_LIMIT: Duration = Duration::from_secs(10);

#[cfg(unix)]
#[cfg(test)]
mod tests;
