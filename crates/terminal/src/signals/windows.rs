//! Console events, and the window's size by asking: Windows has no event for it outside the input queue.

use std::io;
use std::time::Duration;

use ssm_session_proto::TerminalSize;
use tokio::signal::windows;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;

use super::Notice;
use super::Signal;
use crate::size::window_size;

/// The console events of this process.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: windows::CtrlC,
    quit: windows::CtrlBreak,
    close: windows::CtrlClose,
    shutdown: windows::CtrlShutdown,
    look: Interval,
    size: TerminalSize,
}

impl Signals {
    pub(crate) fn install() -> io::Result<Self> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            interrupt: windows::ctrl_c()?,
            quit: windows::ctrl_break()?,
            close: windows::ctrl_close()?,
            shutdown: windows::ctrl_shutdown()?,
            look,
            size: window_size(),
        })
    }

    /// Windows has no such signal.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::needless_pass_by_ref_mut,
        reason = "the same signature as on Unix"
    )]
    pub(crate) fn take_stop(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Nothing tells of it here: a process does not learn who its parent is without searching all of them, and may
    /// find another one by the same number.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::needless_pass_by_ref_mut,
        reason = "the same signature as on Unix"
    )]
    pub(crate) fn follow_caller(&mut self) -> io::Result<()> {
        Ok(())
    }

    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "the same signature as on Unix"
    )]
    pub(crate) fn forget_caller(&mut self) {}

    /// Waits for the next one. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&mut self) -> Notice {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Notice::End(Signal::Interrupt),
                _ = self.quit.recv() => return Notice::End(Signal::Interrupt),
                _ = self.close.recv() => return Notice::End(Signal::Hangup),
                _ = self.shutdown.recv() => return Notice::End(Signal::Terminate),
                _ = self.look.tick() => {
                    let size = window_size();
                    if size != self.size {
                        self.size = size;
                        return Notice::Resized;
                    }
                }
            }
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(250);
