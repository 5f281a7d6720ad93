//! What the service itself says on a data channel (`docs/PROTOCOL.md` 3.4 and 4.3).

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use ssm_session_proto::Frame;
use ssm_session_proto::UnixMillis;
use ssm_session_proto::service;
use uuid::Uuid;

use crate::random;

/// The other end is there.
pub(super) fn start_publication() -> Frame {
    service::start_publication(id(), now())
}

/// The other end is away: what is sent now is lost.
pub(super) fn pause_publication() -> Frame {
    service::pause_publication(id(), now())
}

/// The session is over; `output` is for the user to read.
pub(super) fn channel_closed(session_id: &str, output: &str) -> Frame {
    service::channel_closed(session_id, output, id(), now())
}

fn id() -> Uuid {
    uuid::Builder::from_random_bytes(random::bytes()).into_uuid()
}

/// Never 0: an agent drops a message without a time, publication or not.
fn now() -> UnixMillis {
    let milliseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    UnixMillis(u64::try_from(milliseconds).unwrap_or(u64::MAX).max(1))
}
