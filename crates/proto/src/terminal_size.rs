//! The size of a terminal.

use serde::Deserialize;
use serde::Serialize;

/// Columns and rows, in characters (docs/PROTOCOL.md 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Characters in a line.
    pub cols: u32,
    /// Lines.
    pub rows: u32,
}

impl TerminalSize {
    pub(crate) fn to_json(self) -> Vec<u8> {
        crate::json::to_vec(&self)
    }
}
