//! Raw mode as a guard: whatever ends the program, the terminal is as it was.

use std::io;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::Once;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

#[cfg_attr(windows, path = "raw_mode/windows.rs")]
#[cfg_attr(unix, path = "raw_mode/unix.rs")]
mod platform;

/// What the keys of the terminal do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Keys arrive at once and are not echoed, Ctrl-C is still a signal, output is processed as before:
    /// for the time before the far end answers, when Ctrl-C must be a way out and typing ahead is not lost.
    Interruptible,
    /// Every key is a byte for the far end, and output is not processed: the far terminal has done that.
    Raw,
}

/// The terminal that is standard input, in a mode for a session; dropping the guard restores its settings.
///
/// A panic anywhere restores them too, before its message is printed. Only one guard exists at a time.
#[derive(Debug)]
#[must_use = "dropping the guard restores the terminal"]
pub struct RawMode {
    _private: (),
}

impl RawMode {
    /// Puts the terminal that is standard input into a mode; `None` when standard input is no terminal or is another
    /// job's at present, and then nothing is touched, whatever standard output is.
    ///
    /// # Errors
    ///
    /// What the system says when settings cannot be read or set, and [`io::ErrorKind::AlreadyExists`] while another
    /// guard is alive.
    pub fn enter(keys: Keys) -> io::Result<Option<Self>> {
        let mut saved = lock();
        if saved.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the terminal is in raw mode already",
            ));
        }
        let Some(settings) = platform::Settings::read()?.filter(|_| platform::in_foreground())
        else {
            return Ok(None);
        };
        restore_on_panic();
        *saved = Some(Saved {
            settings: settings.clone(),
            keys,
        });
        drop(saved);
        // From here on the guard's drop undoes whatever part of the change took effect.
        let guard = Self { _private: () };
        apply(&settings, keys)?;
        Ok(Some(guard))
    }

    /// Changes to another mode.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn switch(&self, keys: Keys) -> io::Result<()> {
        let settings = {
            let mut saved = lock();
            let Some(saved) = saved.as_mut() else {
                return Ok(()); // a panic elsewhere has restored the terminal
            };
            saved.keys = keys;
            saved.settings.clone()
        };
        apply(&settings, keys)
    }

    /// Restores the terminal while the program is about to be stopped; [`Self::reapply`] afterwards.
    pub fn lift(&self) {
        if let Some(saved) = lock().as_ref() {
            restore(&saved.settings);
        }
    }

    /// Sets the mode again after the program was stopped and continued: shells set their own in between.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn reapply(&self) -> io::Result<()> {
        let saved = lock()
            .as_ref()
            .map(|saved| (saved.settings.clone(), saved.keys));
        match saved {
            Some((settings, keys)) => apply(&settings, keys),
            None => Ok(()),
        }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(saved) = lock().take() {
            restore(&saved.settings);
        }
    }
}

/// Whether a terminal is in [`Keys::Raw`] mode, so that text printed to it needs `\r\n` at line ends.
#[must_use]
pub fn is_raw() -> bool {
    UNPROCESSED_OUTPUT.load(Ordering::Relaxed)
}

#[derive(Debug)]
struct Saved {
    settings: platform::Settings,
    keys: Keys,
}

fn lock() -> MutexGuard<'static, Option<Saved>> {
    SAVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In the background nothing is done, here and in [`restore`]: the terminal is another job's then, and changing it
/// would stop this program.
fn apply(settings: &platform::Settings, keys: Keys) -> io::Result<()> {
    if platform::in_foreground() {
        settings.apply(keys)?;
        UNPROCESSED_OUTPUT.store(keys == Keys::Raw, Ordering::Relaxed);
    }
    Ok(())
}

fn restore(settings: &platform::Settings) {
    if platform::in_foreground()
        && let Err(error) = settings.restore()
    {
        // The terminal has gone: nobody is left to restore it for.
        tracing::warn!(%error, "the terminal could not be restored");
    }
    UNPROCESSED_OUTPUT.store(false, Ordering::Relaxed);
}

/// The message of a panic is to be readable, so the terminal is restored before the hook that prints it.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Not `lock`: the panicking thread may hold it.
            if let Ok(mut saved) = SAVED.try_lock()
                && let Some(saved) = saved.take()
            {
                restore(&saved.settings);
            }
            previous(panic);
        }));
    });
}

static SAVED: Mutex<Option<Saved>> = Mutex::new(None);
static UNPROCESSED_OUTPUT: AtomicBool = AtomicBool::new(false);
