//! Raw mode by termios.

use std::io;

use rustix::stdio::stdin;
use rustix::termios;
use rustix::termios::InputModes;
use rustix::termios::LocalModes;
use rustix::termios::OptionalActions;
use rustix::termios::OutputModes;
use rustix::termios::SpecialCodeIndex;
use rustix::termios::Termios;

use super::Keys;

/// The settings of the terminal that is standard input.
#[derive(Clone, Debug)]
pub(super) struct Settings(Termios);

impl Settings {
    /// The present settings; `None` when standard input is no terminal.
    pub(super) fn read() -> io::Result<Option<Self>> {
        if !termios::isatty(stdin()) {
            return Ok(None);
        }
        Ok(Some(Self(termios::tcgetattr(stdin())?)))
    }

    /// Sets these settings with the changes that `keys` asks for.
    pub(super) fn apply(&self, keys: Keys) -> io::Result<()> {
        set(&changed(self.0.clone(), keys))
    }

    pub(super) fn restore(&self) -> io::Result<()> {
        set(&self.0)
    }
}

/// Whether this process may change the terminal without being stopped for it: in the foreground of its controlling
/// terminal, or on one that is not its controlling terminal.
pub(super) fn in_foreground() -> bool {
    termios::tcgetpgrp(stdin()).map_or(true, |group| group == rustix::process::getpgrp())
}

fn changed(mut settings: Termios, keys: Keys) -> Termios {
    let output = settings.output_modes;
    settings.make_raw();
    settings.special_codes[SpecialCodeIndex::VMIN] = 1;
    settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    // `make_raw` clears IEXTEN too, without which Ctrl-O (VDISCARD) and Ctrl-Y (VDSUSP) stay here. These two it leaves:
    // any key would restart stopped output, and a full input queue would ring the bell.
    settings
        .input_modes
        .remove(InputModes::IXANY | InputModes::IMAXBEL);
    if keys == Keys::Interruptible {
        settings.output_modes = output;
        settings.local_modes.insert(LocalModes::ISIG);
        for code in [SpecialCodeIndex::VQUIT, SpecialCodeIndex::VSUSP] {
            settings.special_codes[code] = DISABLED;
        }
        #[cfg(any(
            target_os = "macos",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd"
        ))]
        {
            settings.special_codes[SpecialCodeIndex::VDSUSP] = DISABLED;
        }
    } else {
        settings.output_modes.remove(OutputModes::OPOST);
    }
    settings
}

/// At once: neither waiting for output, which a stopped terminal would hold up for ever, nor dropping input.
fn set(settings: &Termios) -> io::Result<()> {
    rustix::io::retry_on_intr(|| termios::tcsetattr(stdin(), OptionalActions::Now, settings))?;
    Ok(())
}

/// `_POSIX_VDISABLE`: the value that gives a special character no key.
const DISABLED: u8 = if cfg!(any(target_os = "linux", target_os = "android")) {
    0
} else {
    0xff
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings of a new terminal.
    fn cooked() -> Termios {
        let terminal =
            rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY)
                .unwrap();
        termios::tcgetattr(&terminal).unwrap()
    }

    #[test]
    fn in_raw_mode_every_key_is_a_byte_and_output_is_left_alone() {
        let raw = changed(cooked(), Keys::Raw);
        let local = LocalModes::ISIG | LocalModes::IEXTEN | LocalModes::ICANON | LocalModes::ECHO;
        assert!(!raw.local_modes.intersects(local), "{:?}", raw.local_modes);
        let input = InputModes::IXON
            | InputModes::ICRNL
            | InputModes::INLCR
            | InputModes::IGNCR
            | InputModes::ISTRIP;
        assert!(!raw.input_modes.intersects(input), "{:?}", raw.input_modes);
        assert!(!raw.output_modes.contains(OutputModes::OPOST));
    }

    #[test]
    fn while_waiting_ctrl_c_is_the_only_signal_key_and_output_is_processed() {
        let cooked = cooked();
        let waiting = changed(cooked.clone(), Keys::Interruptible);
        let codes = &waiting.special_codes;
        assert!(waiting.local_modes.contains(LocalModes::ISIG));
        assert_eq!(codes[SpecialCodeIndex::VINTR], 0x03);
        assert_eq!(codes[SpecialCodeIndex::VQUIT], DISABLED);
        assert_eq!(codes[SpecialCodeIndex::VSUSP], DISABLED);
        assert!(
            !waiting
                .local_modes
                .intersects(LocalModes::ECHO | LocalModes::ICANON)
        );
        assert_eq!(waiting.output_modes, cooked.output_modes);
    }
}
