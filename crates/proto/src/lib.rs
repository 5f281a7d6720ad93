//! The Session Manager wire protocol, both ends, without I/O.
//!
//! A [`ClientSession`] or [`AgentSession`] is a state machine: it is handed WebSocket messages,
//! commands of its user and the time, and hands out WebSocket messages, events and the time it
//! wants to be called at. It reads no clock, draws no randomness, owns no socket and waits for
//! nothing, so that every behaviour can be tried in a test, in microseconds and twice alike.
//!
//! The wire facts, and where this crate differs from the reference implementations on purpose,
//! are in `docs/PROTOCOL.md` of the repository.
//!
//! # The drive rule
//!
//! After every input or command: take `poll_transmit` until it is empty, then `poll_event`, then
//! wait no longer than `poll_timeout`. Breaking it makes things late, never wrong.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use ssm_session_proto::{ClientConfig, ClientSession, Frame, MessageType, Secret, WallClock};
//!
//! # let (now, random) = (Instant::now(), [7; 32]);
//! let clock = WallClock::new(now, Duration::from_secs(1_700_000_000));
//! let config = ClientConfig {
//!     client_id: uuid::Uuid::from_u128(1),
//!     session_id: "user-0a1b2c3d4e5f67890".to_owned(),
//!     target: Some("i-0123456789abcdef0".to_owned()),
//! };
//! let mut session = ClientSession::new(config, clock, random);
//!
//! // The WebSocket is open: the first message out is the text that holds the token.
//! session.handle_connected(&Secret::new("token"), now);
//! assert!(matches!(session.poll_transmit(now), Some(Frame::Text(_))));
//! assert!(session.poll_transmit(now).is_none());
//! assert!(session.poll_event().is_none());
//! assert!(session.poll_timeout().is_none());
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(clippy::as_conversions)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod composer;
mod crypto;
mod handshake;
mod json;
mod message;
mod secret;
pub mod service;
mod session;
mod smux;
mod stream;
mod terminal_size;
#[cfg(test)]
mod test_clock;
mod time;
mod version;

pub use crypto::CryptoError;
pub use crypto::DATA_KEY_LENGTH;
pub use crypto::DataKey;
pub use handshake::AgentEncryption;
pub use handshake::ChallengeMode;
pub use handshake::DataKeyRequest;
pub use message::Acknowledge;
pub use message::ChannelClosed;
pub use message::ControlFlag;
pub use message::DecodeError;
pub use message::Flags;
pub use message::MAX_FRAME;
pub use message::Message;
pub use message::MessageType;
pub use message::OVERHEAD;
pub use message::OpenDataChannel;
pub use message::PayloadType;
pub use message::SequenceNumber;
pub use message::SessionState;
pub use secret::Secret;
pub use session::AgentConfig;
pub use session::AgentEvent;
pub use session::AgentSession;
pub use session::AgentWays;
pub use session::ClientConfig;
pub use session::ClientSession;
pub use session::CloseReason;
pub use session::Established;
pub use session::Event;
pub use session::Frame;
pub use session::LocalEnd;
pub use session::LocalEndError;
pub use session::OutputStream;
pub use session::PortForm;
pub use session::SessionType;
pub use smux::MAX_STREAMS;
pub use smux::MAX_UNREAD;
pub use smux::MAX_UNREAD_IN_ALL;
pub use smux::Mux;
pub use smux::MuxError;
pub use smux::MuxEvent;
pub use smux::MuxRole;
pub use smux::Received;
pub use smux::StreamId;
pub use terminal_size::TerminalSize;
pub use time::UnixMillis;
pub use time::WallClock;
pub use version::CLIENT_VERSION;
pub use version::Gate;
pub use version::Version;
