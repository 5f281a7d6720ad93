//! Window sizes by the terminal driver.

use std::os::fd::AsFd;

use rustix::stdio::stdin;
use rustix::stdio::stdout;
use ssm_session_proto::TerminalSize;

/// The sizes of standard output and standard input, where they are terminals.
pub(super) fn sizes() -> [Option<TerminalSize>; 2] {
    [size(stdout()), size(stdin())]
}

fn size(terminal: impl AsFd) -> Option<TerminalSize> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    Some(TerminalSize {
        cols: size.ws_col.into(),
        rows: size.ws_row.into(),
    })
}
