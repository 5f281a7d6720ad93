//! What a client session has to say.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use super::OutputStream;
use super::SessionType;
use crate::handshake::DataKeyRequest;
use crate::secret::Hidden;
use crate::version::Version;

/// Something the owner of a [`ClientSession`](super::ClientSession) should know or do. Its
/// `Debug` does not show output.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The session is up: input reaches the far end from here on.
    Established(Established),
    /// The session is to be encrypted. Answer with
    /// [`handle_data_key`](super::ClientSession::handle_data_key).
    DataKeyNeeded(DataKeyRequest),
    /// Bytes from the far end, in order and as they were sent.
    Output {
        /// Where they belong.
        stream: OutputStream,
        /// The bytes.
        data: Bytes,
    },
    /// The exit code of the command.
    ExitCode(i32),
    /// A write was refused before; there is room again.
    Writable,
    /// The agent could not reach the destination for one connection; it does not say which
    /// (docs/PROTOCOL.md 7.6).
    ConnectionRefused,
    /// The agent has closed the connection that
    /// [`disconnect_port`](super::ClientSession::disconnect_port) was called for. The next write
    /// has it make another.
    PortDisconnected,
    /// The session is over. Nothing follows.
    Closed(CloseReason),
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Established(established) => {
                f.debug_tuple("Established").field(established).finish()
            }
            Self::DataKeyNeeded(request) => f.debug_tuple("DataKeyNeeded").field(request).finish(),
            Self::Output { stream, data } => f
                .debug_struct("Output")
                .field("stream", stream)
                .field("data", &Hidden(data))
                .finish(),
            Self::ExitCode(code) => f.debug_tuple("ExitCode").field(code).finish(),
            Self::Writable => f.write_str("Writable"),
            Self::ConnectionRefused => f.write_str("ConnectionRefused"),
            Self::PortDisconnected => f.write_str("PortDisconnected"),
            Self::Closed(reason) => f.debug_tuple("Closed").field(reason).finish(),
        }
    }
}

/// What is known of a session once it is up. Its `Debug` does not show the properties, in which
/// a command may stand.
#[derive(Clone, PartialEq)]
pub struct Established {
    /// The type the agent named, or Standard_Stream where there was no handshake: such a session
    /// may be any of the two that have a terminal.
    pub session_type: SessionType,
    /// The agent's version, where there was a handshake.
    pub agent_version: Option<Version>,
    /// The agent's message for the user; often empty.
    pub customer_message: String,
    /// Whether payloads are encrypted end to end.
    pub encrypted: bool,
    /// The document's properties as the agent resolved them; null without a handshake.
    pub properties: Value,
}

impl fmt::Debug for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Established")
            .field("session_type", &self.session_type)
            .field("agent_version", &self.agent_version)
            .field("encrypted", &self.encrypted)
            .finish_non_exhaustive()
    }
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The service closed the channel: the far end ended, failed, or was told to end.
    ChannelClosed {
        /// The agent's or service's words, often empty. Not to be trusted on a terminal.
        output: String,
        /// Whether output is missing: some came that belongs behind a message that never did.
        incomplete: bool,
    },
    /// The handshake did not succeed; says why.
    HandshakeFailed(String),
    /// The peer broke the protocol beyond repair; says how.
    ProtocolViolation(String),
    /// [`terminate`](super::ClientSession::terminate) was called and everything written before
    /// has arrived. Agents of shells know no message that ends a session, so that the service
    /// has to be told.
    Terminated,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_names_what_has_nothing_to_hide() {
        let closed = Event::Closed(CloseReason::Terminated);
        for (event, shown) in [
            (Event::ExitCode(3), "ExitCode(3)"),
            (Event::Writable, "Writable"),
            (Event::ConnectionRefused, "ConnectionRefused"),
            (Event::PortDisconnected, "PortDisconnected"),
            (closed, "Closed(Terminated)"),
        ] {
            assert_eq!(format!("{event:?}"), shown);
        }
    }

    #[test]
    fn debug_shows_neither_output_nor_properties() {
        let output = Event::Output {
            stream: OutputStream::Stdout,
            data: Bytes::from_static(b"hush"),
        };
        let established = Event::Established(Established {
            session_type: SessionType::NON_INTERACTIVE_COMMANDS,
            agent_version: None,
            customer_message: String::new(),
            encrypted: false,
            properties: Value::from("hush"),
        });
        let shown = format!("{output:?} {established:?}");
        assert!(
            shown.contains("[4 bytes]") && !shown.contains("hush"),
            "{shown}"
        );
    }
}
