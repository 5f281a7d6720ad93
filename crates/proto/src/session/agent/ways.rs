//! In what an agent may be as odd as AWS's.

use std::time::Duration;

/// Odd ways of AWS's agent, for emulators and simulations (docs/PROTOCOL.md 4.5 and 11).
///
/// The default is none of them: an agent that makes good every loss as fast as the path allows.
/// What AWS's agent does in any case, this crate's does too: it acknowledges and loses input that
/// comes before the handshake is complete, does not acknowledge what it could not process and then
/// takes another message of the same number, and believes a pause only until it hears anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentWays {
    /// Only the oldest unacknowledged message is ever sent again: 200 ms after it was sent last,
    /// and at most one in 100 ms. A new connection or a word of the service repeats nothing, new
    /// messages go on at full rate, and what was written without a connection counts as lost. Up to
    /// 100,000 messages are kept; then nothing more is taken.
    pub head_only: bool,
    /// How long after it was sent a message is noted as unacknowledged: an acknowledgement that
    /// comes sooner matches nothing, and the message is sent again. Zero for at once; AWS's agent
    /// takes some microseconds.
    pub keeps_after: Duration,
}
