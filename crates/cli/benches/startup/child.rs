//! The plugin as a child that is ended as soon as its session is there.

use std::io::Read as _;
use std::mem::MaybeUninit;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::accounting;

/// What it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// User and system.
    pub(crate) cpu: Duration,
    /// KiB.
    pub(crate) peak: u64,
}

/// Runs the command until the first byte on standard output behind the line that begins with `skipped`.
pub(crate) fn measure(mut command: Command, skipped: &str) -> Cost {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().expect("the plugin starts");
    wait_for_byte_behind(&mut child, skipped);
    let wall = start.elapsed();
    let peak = accounting::memory(child.id(), "VmHWM");
    child.kill().expect("the plugin runs");
    Cost {
        wall,
        cpu: used(child),
        peak,
    }
}

fn wait_for_byte_behind(child: &mut Child, skipped: &str) {
    let stdout = child.stdout.as_mut().expect("a pipe");
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !has_more_than(&seen, skipped.as_bytes()) {
        let read = stdout.read(&mut buffer).expect("output comes");
        assert!(read > 0, "ended early: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..read]);
    }
}

/// Whether there is something behind the line that begins with `skipped`, or anything where that is empty.
fn has_more_than(seen: &[u8], skipped: &[u8]) -> bool {
    if skipped.is_empty() {
        return !seen.is_empty();
    }
    let rest = seen.strip_prefix(skipped).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == b'\n');
    end.is_some_and(|end| end + 1 < rest.len())
}

/// Waits for a child that was killed, and answers with the processor time it has used.
fn used(child: Child) -> Duration {
    let id = libc::pid_t::try_from(child.id()).expect("ids are positive");
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    #[expect(
        unsafe_code,
        reason = "the standard library does not tell what a child has used"
    )]
    // SAFETY: the status is not asked for, `usage` has room for what is written, and zeroes are valid for it if nothing
    // is. The child is ours and nobody else waits for it.
    let (waited, usage) = unsafe {
        let waited = libc::wait4(id, std::ptr::null_mut(), 0, usage.as_mut_ptr());
        (waited, usage.assume_init())
    };
    assert_eq!(waited, id, "the child is there to be waited for");
    drop(child);
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let microseconds = u64::try_from(time.tv_usec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_micros(microseconds)
}
