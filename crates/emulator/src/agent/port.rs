//! A port session: bytes to and from a TCP port that the node reaches (`docs/PROTOCOL.md` 7.4 to 7.6).

mod destination;
mod multiplexed;
mod outbox;
mod properties;
mod ready;
mod single;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::future::FutureExt as _;
use ssm_session_proto::ControlFlag;
use ssm_session_proto::Gate;
use ssm_session_proto::Version;

use self::destination::Destination;
use self::multiplexed::Multiplexed;
use self::properties::Properties;
use self::single::Single;
use super::AgentTask;
use super::Outcome;
use super::job::End;
use super::job::Turn;
use crate::plan::Pacing;

/// A port session's connections. Dropping it closes them all.
pub(super) struct Port {
    versions: Versions,
    limits: Limits,
    form: Form,
}

enum Form {
    /// The host is being looked up; no input is taken yet.
    Resolving {
        properties: Properties,
        destination: BoxFuture<'static, Result<Destination, String>>,
    },
    Single(Box<Single>),
    Multiplexed(Box<Multiplexed>),
}

/// What the versions of the two ends decide.
#[derive(Clone, Copy, Debug)]
struct Versions {
    /// Both speak smux.
    multiplexes: bool,
    /// The client is to be asked for signs of life.
    keepalive: bool,
    /// The agent knows the flag that ends the session.
    terminates: bool,
}

/// How much is sent and read at a time.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Most bytes of a message.
    payload: usize,
    /// Most bytes read from a connection at once.
    read: usize,
}

impl Port {
    /// Starts the session that `task` says. An error is the agent's text.
    pub(super) fn start(
        task: &AgentTask,
        client_version: Option<&Version>,
    ) -> Result<Self, String> {
        let properties = Properties::parse(&task.document.properties)?;
        let agent_version = Version::new(&task.agent_version);
        let destination = Destination::resolve(properties.host.clone(), properties.port.clone());
        Ok(Self {
            versions: Versions {
                // A real agent goes by the client's version alone; one that is too old for smux has no such rule.
                multiplexes: Gate::AgentMultiplexing.admits(Some(&agent_version))
                    && Gate::ClientMultiplexing.admits(client_version),
                keepalive: !Gate::ClientKeepaliveOff.admits(client_version),
                terminates: Gate::AgentTerminateFlag.admits(Some(&agent_version)),
            },
            limits: Limits {
                payload: task.payload,
                read: match task.pacing {
                    Pacing::Agent => task.payload,
                    Pacing::None => READ,
                },
            },
            form: Form::Resolving {
                properties,
                destination: destination.boxed(),
            },
        })
    }

    /// See [`super::job::Job::turn`].
    pub(super) async fn turn(&mut self, may_output: bool) -> Turn {
        loop {
            match &mut self.form {
                Form::Resolving {
                    properties,
                    destination,
                } => match destination.await {
                    Ok(destination) => {
                        self.form = Form::new(properties, destination, self.versions, self.limits);
                    }
                    Err(text) => return ended(Outcome::failed(text)),
                },
                Form::Single(single) => return single.turn(may_output).await,
                Form::Multiplexed(multiplexed) => return multiplexed.turn(may_output).await,
            }
        }
    }

    /// Output that is there already.
    pub(super) fn next_output(&mut self) -> Option<Bytes> {
        match &mut self.form {
            Form::Resolving { .. } => None,
            Form::Single(single) => single.next_output(),
            Form::Multiplexed(multiplexed) => multiplexed.next_output(),
        }
    }

    pub(super) fn takes_input(&self) -> bool {
        match &self.form {
            Form::Resolving { .. } => false,
            Form::Single(single) => single.takes_input(),
            Form::Multiplexed(multiplexed) => multiplexed.takes_input(),
        }
    }

    pub(super) fn input(&mut self, data: Bytes) {
        match &mut self.form {
            Form::Resolving { .. } => {}
            Form::Single(single) => single.input(data),
            Form::Multiplexed(multiplexed) => multiplexed.input(&data),
        }
    }

    /// A flag of the client, and the session's end if it ends it at once. A failure means that the flag is not even
    /// acknowledged.
    pub(super) fn flag(&mut self, flag: ControlFlag) -> Option<End> {
        let known = flag == ControlFlag::DISCONNECT_TO_PORT
            || flag == ControlFlag::TERMINATE_SESSION && self.versions.terminates;
        if !known {
            return None;
        }
        match &mut self.form {
            Form::Single(single) => single.flag(flag),
            // Only the end of the session means anything there.
            Form::Resolving { .. } | Form::Multiplexed(_) => {
                (flag == ControlFlag::TERMINATE_SESSION).then(|| end(Outcome::success()))
            }
        }
    }
}

impl Form {
    fn new(
        properties: &Properties,
        destination: Destination,
        versions: Versions,
        limits: Limits,
    ) -> Self {
        if properties.forwards && versions.multiplexes {
            let multiplexed = Multiplexed::new(destination, versions.keepalive, limits);
            Self::Multiplexed(Box::new(multiplexed))
        } else {
            let single = Single::new(destination, properties.forwards, limits);
            Self::Single(Box::new(single))
        }
    }
}

/// No end of a port session is announced.
fn end(outcome: Outcome) -> End {
    End {
        announced: false,
        outcome,
    }
}

fn ended(outcome: Outcome) -> Turn {
    Turn::Ended(end(outcome))
}

/// What the real agent reports of a session that broke: that it did, and no word.
fn broken() -> End {
    end(Outcome::failed(String::new()))
}

/// Read at once where nothing waits: large enough that a system call is nothing beside the bytes.
const READ: usize = 64 * 1024;
