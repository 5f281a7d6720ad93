//! Signals by tokio, whose handlers replace whatever was inherited, "ignore" included.

use std::io;

use tokio::signal::unix;
use tokio::signal::unix::SignalKind;

use super::Notice;
use super::Signal;
use super::caller::Caller;

/// The signals of this process. The first of each kind changes its disposition for the life of the process.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
    quit: unix::Signal,
    window_change: unix::Signal,
    cont: unix::Signal,
    stop: Option<unix::Signal>,
    caller: Option<Caller>,
}

impl Signals {
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hangup: unix::signal(SignalKind::hangup())?,
            quit: unix::signal(SignalKind::quit())?,
            window_change: unix::signal(SignalKind::window_change())?,
            cont: unix::signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            stop: None,
            caller: None,
        })
    }

    /// Has SIGTSTP reported too. Until then it does what it did when the program started.
    pub(crate) fn take_stop(&mut self) -> io::Result<()> {
        let kind = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
        self.stop = Some(unix::signal(kind)?);
        Ok(())
    }

    /// Has the death of the parent process reported as a hang-up, once.
    pub(crate) fn follow_caller(&mut self) -> io::Result<()> {
        self.caller = Caller::of_this_process()?;
        Ok(())
    }

    pub(crate) fn forget_caller(&mut self) {
        self.caller = None;
    }

    /// Waits for the next one. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&mut self) -> Notice {
        let stop = async {
            match &mut self.stop {
                Some(stop) => stop.recv().await,
                None => std::future::pending().await,
            }
        };
        let gone = async {
            match &mut self.caller {
                Some(caller) => caller.gone().await,
                None => std::future::pending().await,
            }
        };
        // `recv` never answers `None`: signals do not end.
        tokio::select! {
            _ = self.interrupt.recv() => Notice::End(Signal::Interrupt),
            _ = self.terminate.recv() => Notice::End(Signal::Terminate),
            _ = self.hangup.recv() => Notice::End(Signal::Hangup),
            _ = self.quit.recv() => Notice::Quit,
            _ = self.window_change.recv() => Notice::Resized,
            _ = self.cont.recv() => Notice::Continued,
            _ = stop => Notice::Stop,
            () = gone => {
                tracing::info!("the parent process has ended");
                self.caller = None;
                Notice::End(Signal::Hangup)
            }
        }
    }
}
