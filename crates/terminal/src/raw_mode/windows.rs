//! Raw mode by console modes.

use std::io;
use std::os::windows::io::AsRawHandle as _;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Console::CONSOLE_MODE;
use windows_sys::Win32::System::Console::DISABLE_NEWLINE_AUTO_RETURN;
use windows_sys::Win32::System::Console::ENABLE_ECHO_INPUT;
use windows_sys::Win32::System::Console::ENABLE_LINE_INPUT;
use windows_sys::Win32::System::Console::ENABLE_PROCESSED_INPUT;
use windows_sys::Win32::System::Console::ENABLE_PROCESSED_OUTPUT;
use windows_sys::Win32::System::Console::ENABLE_VIRTUAL_TERMINAL_INPUT;
use windows_sys::Win32::System::Console::ENABLE_VIRTUAL_TERMINAL_PROCESSING;
use windows_sys::Win32::System::Console::GetConsoleMode;
use windows_sys::Win32::System::Console::GetConsoleOutputCP;
use windows_sys::Win32::System::Console::SetConsoleMode;
use windows_sys::Win32::System::Console::SetConsoleOutputCP;

use super::Keys;

/// The modes of the console that is standard input, and of standard output when that is a console too.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    input: CONSOLE_MODE,
    output: Option<CONSOLE_MODE>,
    output_code_page: u32,
}

impl Settings {
    /// The present settings; `None` when standard input is no console.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the same signature as on Unix, where reading can fail"
    )]
    pub(super) fn read() -> io::Result<Option<Self>> {
        Ok(mode(stdin()).map(|input| Self {
            input,
            output: mode(stdout()),
            output_code_page: output_code_page(),
        }))
    }

    /// Sets these settings with the changes that `keys` asks for.
    pub(super) fn apply(&self, keys: Keys) -> io::Result<()> {
        let interrupt = if keys == Keys::Interruptible {
            self.input & ENABLE_PROCESSED_INPUT
        } else {
            0
        };
        let cooked = ENABLE_ECHO_INPUT | ENABLE_LINE_INPUT | ENABLE_PROCESSED_INPUT;
        set_mode(
            stdin(),
            self.input & !cooked | ENABLE_VIRTUAL_TERMINAL_INPUT | interrupt,
        )?;
        let Some(output) = self.output else {
            return Ok(());
        };
        set_output_code_page(UTF_8)?;
        let escapes = output | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING;
        match keys {
            Keys::Interruptible => set_mode(stdout(), escapes),
            Keys::Raw => set_mode(stdout(), escapes | DISABLE_NEWLINE_AUTO_RETURN),
        }
    }

    pub(super) fn restore(&self) -> io::Result<()> {
        let input = set_mode(stdin(), self.input);
        if let Some(output) = self.output {
            set_mode(stdout(), output)?;
            set_output_code_page(self.output_code_page)?;
        }
        input
    }
}

/// A console stops nobody for changing it.
pub(super) fn in_foreground() -> bool {
    true
}

fn stdin() -> HANDLE {
    io::stdin().as_raw_handle()
}

fn stdout() -> HANDLE {
    io::stdout().as_raw_handle()
}

#[expect(unsafe_code, reason = "console modes have no safe interface")]
fn mode(console: HANDLE) -> Option<CONSOLE_MODE> {
    let mut mode = 0;
    // SAFETY: `mode` outlives the call, and any handle value is allowed: one that is no console is an error.
    (unsafe { GetConsoleMode(console, &raw mut mode) } != 0).then_some(mode)
}

#[expect(unsafe_code, reason = "console modes have no safe interface")]
fn set_mode(console: HANDLE, mode: CONSOLE_MODE) -> io::Result<()> {
    // SAFETY: takes no pointer, and any handle value is allowed: one that is no console is an error.
    checked(unsafe { SetConsoleMode(console, mode) })
}

#[expect(unsafe_code, reason = "console code pages have no safe interface")]
fn output_code_page() -> u32 {
    // SAFETY: takes nothing and only reads.
    unsafe { GetConsoleOutputCP() }
}

#[expect(unsafe_code, reason = "console code pages have no safe interface")]
fn set_output_code_page(page: u32) -> io::Result<()> {
    // SAFETY: takes no pointer; a page the system does not know is an error.
    checked(unsafe { SetConsoleOutputCP(page) })
}

fn checked(success: i32) -> io::Result<()> {
    if success == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

const UTF_8: u32 = 65001;
