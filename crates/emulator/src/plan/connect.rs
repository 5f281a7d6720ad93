//! What goes wrong on purpose while a client connects.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::operation::Operation;
use crate::operation::UnknownOperation;

/// A step of connecting that fails.
///
/// A step is written as its name, or the name of an [`Operation`], and `*TIMES` behind it where it works again later:
/// `upgrade`, `open*2`, `ResumeSession*3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectFault {
    /// What the client gets instead of the step.
    pub failure: Failure,
    /// Where it gets it.
    pub step: ConnectStep,
    /// How often, before the step works again; without a number, always. Connections are counted, or calls; agents
    /// where it is the agent that stalls.
    pub times: Option<NonZeroU32>,
}

/// How a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing more is said, and the connection stays open.
    Stall,
    /// The connection ends, without a WebSocket's close frame.
    Cut,
}

/// Where connecting fails, in the order in which a client passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectStep {
    /// The call of an operation was read; it has no effect. [`Operation::OpenDataChannel`] is written `upgrade` and
    /// is [`Upgrade`](Self::Upgrade).
    Call(Operation),
    /// The TCP connection of a data channel is there, and nothing of it is read. Since operations and data channels
    /// share a listener, the emulator looks at what has arrived, without taking it, to tell them apart.
    Accept,
    /// The request for a WebSocket was read, before anything in it is judged.
    Upgrade,
    /// The WebSocket is there, its first frame was read and its token was right. A stalled one answers no ping.
    Open,
    /// The handshake has begun. For a stall it has not even: the session's agent is frozen from its start
    /// ([`Emulator::freeze_agents`](crate::Emulator::freeze_agents)), while the gateway still answers pings. A cut
    /// comes behind the HandshakeRequest; a session without a handshake has none.
    Handshake,
    /// HandshakeComplete has gone out, or the first output of a session without a handshake, or this is a later
    /// channel of a session that has been so far. A stalled channel is that of
    /// [`ChannelClose::Silence`](crate::ChannelClose::Silence).
    Established,
}

impl ConnectFault {
    /// Fails a step always.
    pub fn new(failure: Failure, step: ConnectStep) -> Self {
        Self {
            failure,
            step,
            times: None,
        }
    }

    /// Reads `STEP[*TIMES]`.
    ///
    /// # Errors
    ///
    /// [`InvalidConnectFault`] for an unknown step, and for times that are no number above 0.
    pub fn parse(failure: Failure, text: &str) -> Result<Self, InvalidConnectFault> {
        let (step, times) = match text.split_once('*') {
            Some((step, times)) => (step, Some(times)),
            None => (text, None),
        };
        let times = times.map(|times| {
            let number = times.parse();
            number.map_err(|_| InvalidConnectFault::Times(times.to_owned()))
        });
        Ok(Self {
            failure,
            step: step.parse()?,
            times: times.transpose()?,
        })
    }
}

impl FromStr for ConnectStep {
    type Err = InvalidConnectFault;

    fn from_str(name: &str) -> Result<Self, InvalidConnectFault> {
        if let Some((_, step)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(*step);
        }
        match name.parse()? {
            Operation::OpenDataChannel => Ok(Self::Upgrade),
            operation => Ok(Self::Call(operation)),
        }
    }
}

impl fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMES.iter().find(|(_, step)| step == self);
        match (self, named) {
            (Self::Call(operation), _) => operation.fmt(f),
            (_, Some((name, _))) => f.write_str(name),
            (_, None) => Ok(()),
        }
    }
}

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConnectFault {
    /// It is no step, and no operation either.
    #[error("the steps are accept, upgrade, open, handshake, established and the operations: {0}")]
    Step(#[from] UnknownOperation),
    /// How often is a number from 1 to 4294967295.
    #[error("`{0}` is no number of times: write 1 or more behind the `*`, such as upgrade*3")]
    Times(String),
}

const NAMES: [(&str, ConnectStep); 5] = [
    ("accept", ConnectStep::Accept),
    ("upgrade", ConnectStep::Upgrade),
    ("open", ConnectStep::Open),
    ("handshake", ConnectStep::Handshake),
    ("established", ConnectStep::Established),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_by_name_and_calls_by_their_operation() {
        for (text, step, times) in [
            ("accept", ConnectStep::Accept, None),
            ("open*2", ConnectStep::Open, Some(2)),
            ("OpenDataChannel", ConnectStep::Upgrade, None),
            (
                "ResumeSession*1",
                ConnectStep::Call(Operation::ResumeSession),
                Some(1),
            ),
        ] {
            let expected = ConnectFault {
                failure: Failure::Cut,
                step,
                times: times.and_then(NonZeroU32::new),
            };
            assert_eq!(ConnectFault::parse(Failure::Cut, text), Ok(expected));
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "the steps are accept, upgrade"),
            ("dial", "there is no operation `dial`"),
            ("open*0", "`0` is no number of times"),
            ("open*", "`` is no number of times"),
            ("open*2*3", "`2*3` is no number of times"),
        ] {
            let error = ConnectFault::parse(Failure::Stall, text).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_step_is_written_as_it_is_read() {
        for (name, step) in NAMES {
            assert_eq!(step.to_string(), name);
        }
        let call = ConnectStep::Call(Operation::StartSession);
        assert_eq!(call.to_string().parse(), Ok(call));
    }
}
