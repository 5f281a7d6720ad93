//! The two ends of a session: everything above the stream.

mod agent;
mod client;
mod event;
mod input;
mod payload;
mod port;
mod rejects;

pub use agent::AgentConfig;
pub use agent::AgentEvent;
pub use agent::AgentSession;
pub use agent::AgentWays;
pub use client::ClientConfig;
pub use client::ClientSession;
pub use event::CloseReason;
pub use event::Established;
pub use event::Event;
pub use port::LocalEnd;
pub use port::LocalEndError;
pub use port::PortForm;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::crypto::SEAL_OVERHEAD;

/// Bytes of a payload before encryption: what every peer sends and every service takes
/// (docs/PROTOCOL.md 9).
const PAYLOAD: usize = 1024;
/// Room a payload needs at the most.
const PAYLOAD_ROOM: usize = PAYLOAD + SEAL_OVERHEAD;

/// One WebSocket message.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// UTF-8: the opening text, which holds the token.
    Text(Bytes),
    /// A [`Message`](crate::Message).
    Binary(Bytes),
}

impl Frame {
    /// The content, whatever the kind: peers take either (docs/PROTOCOL.md 2.3).
    pub fn as_bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(bytes) => write!(f, "Text({} bytes)", bytes.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// The stream of a command that output belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output; everything, in sessions on a terminal.
    Stdout,
    /// Standard error of commands whose document separates the streams.
    Stderr,
}

/// The type of a session, as its document names it (docs/PROTOCOL.md 1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionType(Cow<'static, str>);

impl SessionType {
    /// A shell on a terminal.
    pub const STANDARD_STREAM: Self = Self(Cow::Borrowed("Standard_Stream"));
    /// A command on a terminal.
    pub const INTERACTIVE_COMMANDS: Self = Self(Cow::Borrowed("InteractiveCommands"));
    /// A command without terminal or input.
    pub const NON_INTERACTIVE_COMMANDS: Self = Self(Cow::Borrowed("NonInteractiveCommands"));
    /// Connections to a port.
    pub const PORT: Self = Self(Cow::Borrowed("Port"));

    /// A session type by its name, known or not.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Cow::Owned(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a terminal is at the far end, with line discipline and control keys.
    pub fn is_interactive_shell(&self) -> bool {
        *self == Self::STANDARD_STREAM || *self == Self::INTERACTIVE_COMMANDS
    }

    /// Whether agents shake hands in sessions of this type even without encryption.
    pub fn has_handshake(&self) -> bool {
        *self == Self::PORT || *self == Self::NON_INTERACTIVE_COMMANDS
    }
}

impl fmt::Display for SessionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
