//! What lies between the ends: messages under way, connections, and the service's own words.

use std::collections::VecDeque;

use bytes::Bytes;
use ssm_session_proto::Frame;
use ssm_session_proto::Message;
use ssm_session_proto::MessageType;
use ssm_session_proto::OVERHEAD;
use ssm_session_proto::Secret;
use ssm_session_proto::UnixMillis;
use ssm_session_proto::service;
use uuid::Uuid;

use super::Pair;
use crate::support::ends;
use crate::targets::choices::Choices;

/// Damaged messages: fewer than end a session when they come in a row.
const DAMAGED: usize = 20;
const CREATED: UnixMillis = UnixMillis(1_700_000_000_000);

/// One direction.
#[derive(Default)]
pub(super) struct Link {
    /// Whether the end that it leads to is connected.
    pub(super) up: bool,
    under_way: VecDeque<Frame>,
    damaged: usize,
}

impl Link {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Something happens to one message.
    pub(super) fn damage(&mut self, how: u8, choices: &mut Choices<'_>) {
        let place = choices.below(64);
        let Some(at) = place.checked_rem(self.under_way.len()) else {
            return;
        };
        match how % 5 {
            0 | 1 => drop(self.under_way.remove(at)),
            2 => {
                let again = self.under_way[at].clone();
                // What is damaged counts once.
                if Message::decode(again.as_bytes()).is_ok() {
                    self.under_way.push_back(again);
                }
            }
            3 => {
                let held = self.under_way.remove(at);
                self.under_way.extend(held);
            }
            _ if self.damaged < DAMAGED => {
                self.damaged += 1;
                let frame = &mut self.under_way[at];
                *frame = Frame::Binary(damaged(frame.as_bytes(), choices));
            }
            _ => {}
        }
    }
}

/// A copy in which either end sees that something is wrong. The digest covers the payload alone,
/// and agents do not look at it.
fn damaged(frame: &Bytes, choices: &mut Choices<'_>) -> Bytes {
    let mut bytes = frame.to_vec();
    let output = Message::decode(frame)
        .is_ok_and(|message| message.message_type == MessageType::OUTPUT_STREAM_DATA);
    if output && bytes.len() > OVERHEAD {
        let at = OVERHEAD + usize::from(choices.word()) % (bytes.len() - OVERHEAD);
        bytes[at] ^= 1 << choices.below(8);
    } else {
        bytes.truncate(choices.below(OVERHEAD));
    }
    bytes.into()
}

impl Pair {
    pub(super) fn connect_client(&mut self) {
        self.to_client.up = true;
        let token = Secret::new("token");
        self.client.handle_connected(&token, self.now);
    }

    pub(super) fn connect_agent(&mut self) {
        self.to_agent.up = true;
        let token = Secret::new("token");
        self.agent.handle_connected(&token, self.now);
    }

    /// The connection of one end goes or comes back. What is under way to it is lost when it
    /// goes, and what comes from it as the case may be.
    pub(super) fn change_connection(&mut self, how: u8) {
        let (client, cut) = (how.is_multiple_of(2), how % 4 >= 2);
        match (client, self.to_client.up, self.to_agent.up) {
            (true, true, _) => {
                self.to_client.up = false;
                self.client.handle_disconnected(self.now);
            }
            (true, false, _) => return self.connect_client(),
            (false, _, true) => {
                self.to_agent.up = false;
                self.agent.handle_disconnected(self.now);
            }
            (false, _, false) => return self.connect_agent(),
        }
        if client || cut {
            self.to_client.under_way.clear();
        }
        if !client || cut {
            self.to_agent.under_way.clear();
        }
    }

    pub(super) fn publish(&mut self, how: u8) {
        let frame = if how.is_multiple_of(2) {
            service::start_publication(Uuid::nil(), CREATED)
        } else {
            service::pause_publication(Uuid::nil(), CREATED)
        };
        match how % 4 {
            0 | 1 => self.to_client.under_way.push_back(frame),
            _ => self.to_agent.under_way.push_back(frame),
        }
    }

    pub(super) fn close_channel_of_client(&mut self) {
        let frame = service::channel_closed(ends::SESSION, "", Uuid::nil(), CREATED);
        self.to_client.under_way.push_back(frame);
    }

    pub(super) fn deliver_to_agent(&mut self, count: usize) {
        for _ in 0..count {
            let Some(frame) = self.to_agent.under_way.pop_front() else {
                return;
            };
            if self.to_agent.up {
                self.agent.handle_frame(&frame, self.now);
                self.drain();
            }
        }
    }

    pub(super) fn deliver_to_client(&mut self, count: usize) {
        for _ in 0..count {
            let Some(frame) = self.to_client.under_way.pop_front() else {
                return;
            };
            if self.to_client.up {
                self.client.handle_frame(&frame, self.now);
                self.drain();
            }
        }
    }

    /// Takes what both ends have to send; whether there was anything. Openings and states are
    /// for the service.
    pub(super) fn carry(&mut self) -> bool {
        let mut sent = false;
        while let Some(frame) = self.client.poll_transmit(self.now) {
            assert!(self.to_client.up, "sent without a connection");
            sent = true;
            if matches!(frame, Frame::Binary(_)) {
                self.to_agent.under_way.push_back(frame);
            }
        }
        while let Some(frame) = self.agent.poll_transmit(self.now) {
            assert!(self.to_agent.up, "sent without a connection");
            sent = true;
            if let Frame::Binary(bytes) = &frame
                && Message::decode(bytes).unwrap().message_type != MessageType::AGENT_SESSION_STATE
            {
                self.to_client.under_way.push_back(frame);
            }
        }
        sent
    }
}
