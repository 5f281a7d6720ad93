//! Stopping this program, for the user's shell to notice and to continue.

use std::io;

/// Stops this program and everything that was started with it, until somebody continues them; returns then.
///
/// The AWS CLI ignores the signal that a terminal's stop key sends, but the user's shell waits for it alone: the whole
/// process group is stopped by the signal that cannot be ignored.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] where no shell would notice and continue it, and what the system says.
pub(crate) fn suspend() -> io::Result<()> {
    if !is_there() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "no shell with job control is there to continue it",
        ));
    }
    stop()
}

/// Whether a shell with job control runs this program: it gives each job a process group of its own.
#[cfg(unix)]
fn is_there() -> bool {
    use rustix::process::getpgid;
    use rustix::process::getpgrp;
    use rustix::process::getsid;

    // A session leader that has ended waits for nobody.
    let leader = getsid(None).and_then(|leader| getpgid(Some(leader)));
    leader.is_ok_and(|group| group != getpgrp())
}

#[cfg(unix)]
fn stop() -> io::Result<()> {
    Ok(rustix::process::kill_current_process_group(
        rustix::process::Signal::STOP,
    )?)
}

#[cfg(windows)]
fn is_there() -> bool {
    false
}

/// Never called: there is no job control.
#[cfg(windows)]
fn stop() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
