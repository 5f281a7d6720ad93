//! Bodies that are as long as a frame may be and as bad as JSON can be, in every message that has
//! one. None takes more memory than a few frames, and a session goes on or says why it does not.

use ssm_session_proto::CloseReason;
use ssm_session_proto::Event;
use ssm_session_proto::Frame;
use ssm_session_proto::MAX_FRAME;
use ssm_session_proto::MessageType;
use ssm_session_proto::OVERHEAD;
use ssm_session_proto::PayloadType;
use ssm_session_proto::Secret;
use ssm_session_proto::SessionType;

use crate::support::clock::epoch;
use crate::support::ends;
use crate::support::ends::End;
use crate::support::memory::live;
use crate::support::memory::most;
use crate::support::wire;

/// Most bytes of a body.
const LONGEST: usize = MAX_FRAME - OVERHEAD;
/// What a frame may take while it is handled: its text, and that once more as what was read.
const MOST: usize = 3 * MAX_FRAME;
/// What may stay of it: a queue's length, and an event's text.
const LEFT: usize = MAX_FRAME + 64 * 1024;

const OUTPUT: MessageType = MessageType::OUTPUT_STREAM_DATA;
const INPUT: MessageType = MessageType::INPUT_STREAM_DATA;

/// Everything with a body, and how it begins, up to where something of the peer's choice may stand.
const BODIES: [(MessageType, PayloadType, &str); 12] = [
    (
        MessageType::ACKNOWLEDGE,
        PayloadType::NONE,
        r#"{"AcknowledgedMessageId":"#,
    ),
    (
        MessageType::CHANNEL_CLOSED,
        PayloadType::NONE,
        r#"{"Output":"#,
    ),
    (
        MessageType::START_PUBLICATION,
        PayloadType::NONE,
        r#"{"Anything":"#,
    ),
    (
        MessageType::PAUSE_PUBLICATION,
        PayloadType::NONE,
        r#"{"Anything":"#,
    ),
    (OUTPUT, PayloadType::HANDSHAKE_REQUEST, REQUEST),
    (
        OUTPUT,
        PayloadType::HANDSHAKE_REQUEST,
        r#"{"AgentVersion":"3.3.0.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":"#,
    ),
    (
        OUTPUT,
        PayloadType::ENCRYPTION_CHALLENGE_REQUEST,
        r#"{"Challenge":"#,
    ),
    (
        OUTPUT,
        PayloadType::HANDSHAKE_COMPLETE,
        r#"{"CustomerMessage":"#,
    ),
    (
        INPUT,
        PayloadType::HANDSHAKE_RESPONSE,
        r#"{"ClientVersion":"1.2.764.0","ProcessedClientActions":[{"ActionType":"KMSEncryption","ActionStatus":1,"ActionResult":"#,
    ),
    (
        INPUT,
        PayloadType::ENCRYPTION_CHALLENGE_RESPONSE,
        r#"{"Challenge":"#,
    ),
    (INPUT, PayloadType::SIZE, r#"{"cols":"#),
    (INPUT, PayloadType::FLAG, ""),
];

/// The beginning of a handshake request.
const REQUEST: &str = r#"{"AgentVersion":"3.3.0.0","RequestedClientActions":"#;

/// A body that begins so and goes on with as many of `piece` as a frame takes.
fn full(beginning: String, piece: &[u8]) -> Vec<u8> {
    let mut body = beginning.into_bytes();
    let pieces = (LONGEST - body.len()) / piece.len();
    body.extend(piece.repeat(pieces));
    body
}

fn client() -> impl End<Event = Event> {
    let mut client = ends::client(ends::SESSION, [3; 32]);
    client.handle_connected(&Secret::new("token"), epoch());
    client
}

fn agent() -> impl End {
    let mut config = ends::agent_config();
    config.session_type = SessionType::PORT;
    let mut agent = ends::agent(config, [4; 32]);
    agent.handle_connected(&Secret::new("token"), epoch());
    agent
}

/// Has an end take a frame and say everything it has to say to it.
fn take<E: End>(end: &mut E, frame: &Frame) -> Vec<E::Event> {
    end.frame(frame, epoch());
    while end.transmit(epoch()).is_some() {}
    ends::events(end)
}

fn assert_bounded(end: &mut impl End, frame: &Frame, what: &str) {
    let before = live();
    let most = most(|| drop(take(end, frame)));
    assert!(most <= MOST, "{most} bytes for {what}");
    let left = live().saturating_sub(before);
    assert!(left <= LEFT, "{left} bytes are left of {what}");
}

fn all(opening: &str, piece: &[u8]) {
    for (message_type, kind, beginning) in BODIES {
        let what = format!("{message_type} {} of {beginning}", kind.0);
        let frame = wire::frame(
            message_type,
            0,
            kind,
            full(format!("{beginning}{opening}"), piece),
        );
        assert_bounded(&mut client(), &frame, &what);
        assert_bounded(&mut agent(), &frame, &what);
    }
}

#[test]
fn arrays_of_any_depth_neither_overflow_nor_take_more_than_a_few_frames() {
    all("", b"[");
}

#[test]
fn objects_of_any_depth_neither_overflow_nor_take_more_than_a_few_frames() {
    all("", br#"{"a":"#);
}

#[test]
fn lists_without_end_take_no_more_than_a_few_frames() {
    all("[", b"0,");
}

#[test]
fn text_that_is_no_utf_8_takes_no_more_than_a_few_frames() {
    all("\"", b"\xff\xfe\xc3(");
}

/// Each of a few bytes would be answered with a hundred.
#[test]
fn a_request_for_a_hundred_thousand_actions_is_refused_in_words() {
    let action = r#"{"ActionType":""},"#;
    let mut body = format!("{REQUEST}[").into_bytes();
    body.extend(action.repeat(100_000).as_bytes());
    body.extend(br#"{"ActionType":"SessionType"}]}"#);
    let frame = wire::frame(OUTPUT, 0, PayloadType::HANDSHAKE_REQUEST, body);
    let mut client = client();
    let mut events = Vec::new();
    let most = most(|| events = take(&mut client, &frame));
    assert!(most < 1024 * 1024, "{most} bytes");
    let [Event::Closed(CloseReason::HandshakeFailed(reason))] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(reason.contains("more than 524288"), "{reason}");
}
