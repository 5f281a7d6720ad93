//! The size of the window.

use ssm_session_proto::TerminalSize;

#[cfg_attr(windows, path = "size/windows.rs")]
#[cfg_attr(unix, path = "size/unix.rs")]
mod platform;

/// The size of the terminal that is standard output, else of the one that is standard input, in characters.
///
/// 300 columns by 100 rows when neither is a terminal, or neither knows its size (`docs/PROTOCOL.md` 7.1): wide enough
/// that the far end does not wrap the lines of a program's output.
#[must_use]
pub fn window_size() -> TerminalSize {
    platform::sizes()
        .into_iter()
        .flatten()
        .find(|size| size.cols > 0 && size.rows > 0)
        .unwrap_or(WITHOUT_TERMINAL)
}

const WITHOUT_TERMINAL: TerminalSize = TerminalSize {
    cols: 300,
    rows: 100,
};
