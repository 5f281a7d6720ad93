//! The process that started this one, and its death.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::io::Errno;
use rustix::process::Pid;
#[cfg(target_os = "linux")]
use rustix::process::PidfdFlags;
use rustix::process::getppid;
#[cfg(target_os = "linux")]
use tokio::io::Interest;
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;

/// The parent process, as long as it lives.
#[derive(Debug)]
pub(super) struct Caller {
    id: Pid,
    watch: Watch,
}

#[derive(Debug)]
enum Watch {
    /// Readable once the process has ended.
    #[cfg(target_os = "linux")]
    Descriptor(AsyncFd<OwnedFd>),
    /// Another parent takes the place of one that has ended.
    Looking(Interval),
}

impl Caller {
    /// The parent of this process; `None` if that is process 1, or in another container.
    pub(super) fn of_this_process() -> io::Result<Option<Self>> {
        match getppid() {
            None | Some(Pid::INIT) => Ok(None),
            Some(id) => Self::new(id).map(Some),
        }
    }

    fn new(id: Pid) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(descriptor) = pidfd(id)? {
            let watch = Watch::Descriptor(descriptor);
            return Ok(Self { id, watch });
        }
        Ok(Self {
            id,
            watch: looking(),
        })
    }

    /// Waits until it has ended.
    pub(super) async fn gone(&mut self) {
        match &mut self.watch {
            #[cfg(target_os = "linux")]
            Watch::Descriptor(descriptor) => {
                // If it ended before the descriptor was there, that may be another process by the same number.
                if getppid() == Some(self.id)
                    && let Err(error) = descriptor.readable().await
                {
                    tracing::warn!(%error, "the parent process cannot be watched any more");
                    std::future::pending::<()>().await;
                }
            }
            Watch::Looking(interval) => {
                while getppid() == Some(self.id) {
                    interval.tick().await;
                }
            }
        }
    }
}

/// A descriptor of the process in the runtime's reactor; `None` where there is none to be had.
#[cfg(target_os = "linux")]
fn pidfd(id: Pid) -> io::Result<Option<AsyncFd<OwnedFd>>> {
    match rustix::process::pidfd_open(id, PidfdFlags::empty()) {
        Ok(descriptor) => registered(descriptor).map(Some),
        // A kernel before 5.3; a sandbox; or the process has ended just now, as a look at the parent's number tells.
        Err(Errno::NOSYS | Errno::PERM | Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the runtime has no safe interface for this")]
fn registered(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and the same descriptor for as long as it lives, and nothing takes it out of there.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(registered?)
}

fn looking() -> Watch {
    let mut interval = tokio::time::interval(LOOK_EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Watch::Looking(interval)
}

const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// How a kernel without descriptors of processes has it; with one: `tests/it`.
    fn looked_at(id: Pid) -> Caller {
        Caller {
            id,
            watch: looking(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_parent_that_lives_is_looked_at_and_not_reported() {
        let mut caller = looked_at(getppid().unwrap());
        let gone = tokio::time::timeout(LOOK_EVERY * 100, caller.gone()).await;
        assert!(gone.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_parent_that_has_been_replaced_is_reported() {
        looked_at(rustix::process::getpid()).gone().await;
    }

    /// Its number may be another process's by now, which is the parent no more.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_parent_that_ended_before_it_was_watched_is_reported() {
        let stranger = rustix::process::getpid();
        Caller::new(stranger).unwrap().gone().await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_process_that_has_ended_has_no_descriptor() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = Pid::from_child(&child);
        child.wait().unwrap();
        assert!(pidfd(id).unwrap().is_none());
    }
}
