//! Window sizes by the console.

use std::io;
use std::os::windows::io::AsRawHandle as _;

use ssm_session_proto::TerminalSize;
use windows_sys::Win32::System::Console::CONSOLE_SCREEN_BUFFER_INFO;
use windows_sys::Win32::System::Console::GetConsoleScreenBufferInfo;

/// The size of the window of standard output, where that is a console; an input handle knows none.
#[expect(unsafe_code, reason = "the window of a console has no safe interface")]
pub(super) fn sizes() -> [Option<TerminalSize>; 1] {
    let mut screen = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: `screen` outlives the call, and any handle value is allowed: one that is no console is an error.
    let known =
        unsafe { GetConsoleScreenBufferInfo(io::stdout().as_raw_handle(), &raw mut screen) };
    if known == 0 {
        return [None];
    }
    let length =
        |first: i16, last: i16| u32::try_from(i32::from(last) - i32::from(first) + 1).unwrap_or(0);
    [Some(TerminalSize {
        cols: length(screen.srWindow.Left, screen.srWindow.Right),
        rows: length(screen.srWindow.Top, screen.srWindow.Bottom),
    })]
}
