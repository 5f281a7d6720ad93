//! Message types, payload types, flags and numbers, open to values nobody has named yet.

use std::fmt;

use super::DecodeError;

/// The type of a message (docs/PROTOCOL.md 3.2).
///
/// Unknown types are values like any other: they are logged and ignored, never an error.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageType([u8; 32]);

impl MessageType {
    /// Client to agent, numbered and acknowledged.
    pub const INPUT_STREAM_DATA: Self = Self::known(b"input_stream_data");
    /// Agent to client, numbered and acknowledged.
    pub const OUTPUT_STREAM_DATA: Self = Self::known(b"output_stream_data");
    /// Both ways: one stream message arrived.
    pub const ACKNOWLEDGE: Self = Self::known(b"acknowledge");
    /// From the service: the session is over.
    pub const CHANNEL_CLOSED: Self = Self::known(b"channel_closed");
    /// From the service: the other end is there.
    pub const START_PUBLICATION: Self = Self::known(b"start_publication");
    /// From the service: the other end is away.
    pub const PAUSE_PUBLICATION: Self = Self::known(b"pause_publication");
    /// Agent to service.
    pub const AGENT_SESSION_STATE: Self = Self::known(b"agent_session_state");

    const fn known<const N: usize>(name: &[u8; N]) -> Self {
        let mut padded = [b' '; 32];
        padded.split_at_mut(N).0.copy_from_slice(name);
        Self(padded)
    }

    /// A type by its name.
    ///
    /// # Errors
    /// The name is empty or has more than 32 bytes.
    pub fn new(name: &str) -> Result<Self, DecodeError> {
        let mut padded = [b' '; 32];
        let slot = padded
            .get_mut(..name.len())
            .ok_or(DecodeError::MessageType)?;
        slot.copy_from_slice(name.as_bytes());
        Self::decode(padded)
    }

    /// Reads the field as readers do: NUL bytes and white space around the name do not count.
    pub(super) fn decode(field: [u8; 32]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(&field).map_err(|_| DecodeError::MessageType)?;
        let name = text.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace());
        if name.is_empty() {
            return Err(DecodeError::MessageType);
        }
        let mut padded = [b' '; 32];
        let slot = padded
            .get_mut(..name.len())
            .ok_or(DecodeError::MessageType)?;
        slot.copy_from_slice(name.as_bytes());
        Ok(Self(padded))
    }

    pub(super) fn as_padded(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name without padding.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0)
            .unwrap_or_default()
            .trim_end_matches(' ')
    }

    /// Whether this is stream data of either direction.
    pub fn is_stream_data(self) -> bool {
        self == Self::INPUT_STREAM_DATA || self == Self::OUTPUT_STREAM_DATA
    }

    pub(crate) fn is_publication(self) -> bool {
        self == Self::START_PUBLICATION || self == Self::PAUSE_PUBLICATION
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_str().escape_debug())
    }
}

/// The type of a payload of stream data (docs/PROTOCOL.md 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(pub u32);

impl PayloadType {
    /// What messages carry that are no stream data.
    pub const NONE: Self = Self(0);
    /// Terminal or stream bytes, both ways.
    pub const OUTPUT: Self = Self(1);
    /// Named by both peers and sent by neither.
    pub const ERROR: Self = Self(2);
    /// The size of the client's terminal.
    pub const SIZE: Self = Self(3);
    /// Named by both peers and sent by neither.
    pub const PARAMETER: Self = Self(4);
    /// The agent asks the client to act.
    pub const HANDSHAKE_REQUEST: Self = Self(5);
    /// The client answers.
    pub const HANDSHAKE_RESPONSE: Self = Self(6);
    /// The agent is ready.
    pub const HANDSHAKE_COMPLETE: Self = Self(7);
    /// The agent sends random bytes, encrypted.
    pub const ENCRYPTION_CHALLENGE_REQUEST: Self = Self(8);
    /// The client sends them back under its own key.
    pub const ENCRYPTION_CHALLENGE_RESPONSE: Self = Self(9);
    /// A [`ControlFlag`].
    pub const FLAG: Self = Self(10);
    /// Standard error of a non-interactive command.
    pub const STDERR: Self = Self(11);
    /// The exit code of a non-interactive command, as `EXIT_CODE: n`.
    pub const EXIT_CODE: Self = Self(12);

    /// Whether the payload is encrypted once a session has keys (docs/PROTOCOL.md 3.3).
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::OUTPUT | Self::STDERR | Self::EXIT_CODE)
    }
}

/// Flags of the header. Senders set them, no known receiver reads them (docs/PROTOCOL.md 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flags(pub u64);

impl Flags {
    /// Neither bit.
    pub const NONE: Self = Self(0);
    /// The agent's first stream message.
    pub const SYN: Self = Self(1);
    /// Acknowledgements and session states.
    pub const SYN_FIN: Self = Self(3);
}

/// A number that a client or agent sends as a payload of type [`PayloadType::FLAG`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ControlFlag(pub u32);

impl ControlFlag {
    /// Client to agent: close the connection to the destination.
    pub const DISCONNECT_TO_PORT: Self = Self(1);
    /// Client to agent: end the session.
    pub const TERMINATE_SESSION: Self = Self(2);
    /// Agent to client: the destination refused a connection.
    pub const CONNECT_TO_PORT_ERROR: Self = Self(3);

    /// Reads a payload of type [`PayloadType::FLAG`]; nothing if it is too short.
    pub(crate) fn from_payload(payload: &[u8]) -> Option<Self> {
        let flag = payload.first_chunk()?;
        Some(Self(u32::from_be_bytes(*flag)))
    }

    pub(crate) fn to_payload(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
}

/// The place of a message in its direction's stream, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(pub i64);

impl SequenceNumber {
    /// The first of a stream.
    pub const FIRST: Self = Self(0);

    /// The number after this one; at the end of the range, this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How many places after `earlier` this one is, if it is.
    pub(crate) fn distance_from(self, earlier: Self) -> Option<usize> {
        usize::try_from(self.0.checked_sub(earlier.0)?).ok()
    }
}
