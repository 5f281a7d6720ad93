//! The streams of a multiplexed session, and those who use them at both ends.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use ssm_session_proto::Mux;
use ssm_session_proto::MuxEvent;
use ssm_session_proto::MuxRole;
use ssm_session_proto::OutputStream;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;

use super::Pair;
use super::Writing;
use crate::support::clock::epoch;
use crate::targets::choices::Choices;

/// Streams of one input.
const STREAMS: usize = 8;
/// Bytes of a message of the agent.
const PAYLOAD: usize = 1024;

pub(super) struct Streams {
    /// The agent's end.
    far: Mux,
    conversations: BTreeMap<StreamId, Conversation>,
    /// What the agent's session had no room for.
    refused: Option<Bytes>,
}

#[derive(Default)]
struct Conversation {
    /// The agent knows of it.
    announced: bool,
    near: Party,
    far: Party,
}

/// One end's user.
#[derive(Default)]
struct Party {
    writing: Writing,
    finished: bool,
    abandoned: bool,
    /// Has read the end of what the other wrote.
    heard_all: bool,
}

impl Party {
    fn write(&mut self, mux: &mut Mux, id: StreamId, length: usize) {
        let data = self.writing.next(length);
        let taken = mux.write(id, data.clone().into());
        assert!(taken == 0 || !self.finished, "written after the end");
        self.writing.wrote(&data[..taken]);
    }

    fn finish(&mut self, mux: &mut Mux, id: StreamId) {
        self.finished = true;
        mux.finish(id);
    }

    fn abandon(&mut self, mux: &mut Mux, id: StreamId) {
        (self.finished, self.abandoned) = (true, true);
        mux.abandon(id);
    }

    /// Reads what `other` wrote.
    fn read(&mut self, mux: &mut Mux, id: StreamId, other: &mut Self) {
        loop {
            match mux.read(id) {
                Received::Data(data) => {
                    assert!(!self.abandoned, "data for nobody");
                    other.writing.flow.arrive("a stream", &data);
                }
                Received::Pending => return,
                Received::Finished => {
                    if !self.abandoned {
                        let complete = other.writing.flow.is_complete();
                        assert!(other.finished && complete, "{id} ends early");
                    }
                    self.heard_all = true;
                    return;
                }
                Received::Overrun => panic!("{id} holds less than it may"),
            }
        }
    }

    fn has_read(&self, other: &Self) -> bool {
        self.abandoned || (other.writing.flow.is_complete() && self.heard_all == other.finished)
    }
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            far: Mux::new(MuxRole::Agent, false, epoch()),
            conversations: BTreeMap::new(),
            refused: None,
        }
    }

    pub(super) fn written(&self) -> usize {
        let conversations = self.conversations.values();
        conversations
            .map(|c| c.near.writing.written + c.far.writing.written)
            .sum()
    }

    pub(super) fn arrive_at_agent(&mut self, data: Bytes, now: Instant) {
        self.far.handle_data(data, now);
    }

    pub(super) fn are_read(&self) -> bool {
        let mut conversations = self.conversations.values();
        self.refused.is_none()
            && conversations
                .all(|c| c.announced && c.near.has_read(&c.far) && c.far.has_read(&c.near))
    }

    pub(super) fn progress(&self) -> String {
        let conversations = self.conversations.iter().map(|(id, c)| {
            let [near, far] = [&c.near, &c.far].map(|p| (p.writing.flow.progress(), p.heard_all));
            format!("{id}: {} {near:?} {far:?}; ", c.announced)
        });
        conversations.collect()
    }
}

impl Pair {
    pub(super) fn use_streams(&mut self, how: u8, choices: &mut Choices<'_>) {
        let which = choices.below(STREAMS);
        let length = usize::from(choices.word());
        let Some(near) = self.client.streams() else {
            return;
        };
        let Streams {
            far, conversations, ..
        } = &mut self.streams;
        if how < 3 && conversations.len() < STREAMS {
            let id = near.open().unwrap();
            conversations.insert(id, Conversation::default());
            return;
        }
        let Some((&id, conversation)) = conversations.iter_mut().nth(which) else {
            return;
        };
        let Conversation {
            announced,
            near: user,
            far: other,
        } = conversation;
        match how {
            0..6 => user.write(near, id, length),
            6 => user.finish(near, id),
            7 => user.read(near, id, other),
            8 if length % 4 == 0 => user.abandon(near, id),
            9 if *announced && length % 4 == 0 => other.abandon(far, id),
            10 if *announced => other.finish(far, id),
            11 if *announced => other.read(far, id, user),
            _ if *announced => other.write(far, id, length),
            _ => {}
        }
    }

    /// All users read.
    pub(super) fn read_streams(&mut self) {
        let Some(near) = self.client.streams() else {
            return;
        };
        for (id, conversation) in &mut self.streams.conversations {
            let Conversation {
                announced,
                near: user,
                far: other,
            } = conversation;
            user.read(near, *id, other);
            if *announced {
                other.read(&mut self.streams.far, *id, user);
            }
        }
    }

    /// All users have no more to say.
    pub(super) fn end_streams(&mut self) {
        let Some(near) = self.client.streams() else {
            return;
        };
        for (id, conversation) in &mut self.streams.conversations {
            conversation.near.finish(near, *id);
            conversation.far.finish(&mut self.streams.far, *id);
        }
    }

    /// Whether neither end knows a stream any more, as it has to be once both users are done.
    pub(super) fn has_forgotten_streams(&mut self) -> bool {
        let Some(near) = self.client.streams() else {
            return true;
        };
        let open = [near, &mut self.streams.far].map(|mux| (mux.open_streams(), mux.unread()));
        open == [(0, 0); 2]
    }

    /// What the streams have to say, and the agent's to send; whether there was anything.
    pub(super) fn hear_streams(&mut self) -> bool {
        let mut told = false;
        if let Some(near) = self.client.streams() {
            while let Some(event) = near.poll_event() {
                told = true;
                let known = matches!(event, MuxEvent::Readable(_) | MuxEvent::Writable(_));
                assert!(known, "{event:?}");
            }
        }
        let streams = &mut self.streams;
        while let Some(event) = streams.far.poll_event() {
            told = true;
            match event {
                MuxEvent::Opened(id) => {
                    let conversation = streams.conversations.get_mut(&id).unwrap();
                    assert!(!std::mem::replace(&mut conversation.announced, true));
                }
                MuxEvent::Readable(_) | MuxEvent::Writable(_) => {}
                other => panic!("{other:?}"),
            }
        }
        told | self.send_streams()
    }

    fn send_streams(&mut self) -> bool {
        let streams = &mut self.streams;
        let mut told = false;
        while let Some(payload) = streams
            .refused
            .take()
            .or_else(|| streams.far.poll_transmit(PAYLOAD))
        {
            let taken = self.agent.write(OutputStream::Stdout, &payload, self.now);
            assert!([0, payload.len()].contains(&taken));
            if taken == 0 {
                streams.refused = Some(payload);
                return told;
            }
            told = true;
        }
        told
    }
}
