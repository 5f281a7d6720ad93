//! What a session carries connections with.

use ssm_session_proto::ClientSession;
use ssm_session_proto::PortForm;
use ssm_session_proto::StreamId;
use tokio::time::Instant;

use super::far_end::FarEnd;
use super::far_end::Link;
use super::far_end::LinkEnd;
use super::far_end::Nowhere;
use super::far_end::StreamEnd;

/// The form of the session, as far as connections go.
pub(super) enum Carrier {
    /// It is not established.
    Unknown,
    /// It is no forward.
    Nothing,
    Streams,
    Link(Link),
    /// The forward is about to end.
    Over,
}

impl Carrier {
    pub(super) fn of(form: Option<PortForm>) -> Self {
        match form {
            Some(PortForm::Multiplexed) => Self::Streams,
            Some(PortForm::Basic) => Self::Link(Link::default()),
            Some(PortForm::Stdio) | None => Self::Nothing,
        }
    }

    /// Whether the next connection can be answered for, be it with a refusal.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Nothing | Self::Streams | Self::Over => true,
            Self::Link(link) => link.is_free(),
        }
    }

    /// Runs `work` with the far end of the connection `key`.
    pub(super) fn with_far_end(
        &mut self,
        machine: &mut ClientSession,
        key: u32,
        now: Instant,
        work: impl FnOnce(&mut dyn FarEnd),
    ) {
        match self {
            Self::Unknown | Self::Nothing | Self::Over => work(&mut Nowhere),
            Self::Streams => match machine.streams() {
                Some(mux) => work(&mut StreamEnd {
                    mux,
                    id: StreamId(key),
                }),
                None => work(&mut Nowhere),
            },
            Self::Link(link) => work(&mut LinkEnd {
                link,
                machine,
                key,
                now,
            }),
        }
    }
}
