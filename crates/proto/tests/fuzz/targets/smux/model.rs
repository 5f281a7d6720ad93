//! What must come out of one end, worked out from what went in.

use std::collections::BTreeMap;

use ssm_session_proto::MAX_UNREAD;
use ssm_session_proto::MuxRole;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;

use crate::support::smux::Command;
use crate::support::smux::frames;

/// What data is cut from: enough for a frame, from any of 256 places.
static DATA: [u8; 0x1_0100] = data();

const fn data() -> [u8; 0x1_0100] {
    let mut data = [0; 0x1_0100];
    let mut at = 0;
    while at < data.len() {
        data[at] = (at % 251).to_le_bytes()[0];
        at += 1;
    }
    data
}

pub(super) struct Model {
    role: MuxRole,
    /// Bytes of the peer that make no whole frame yet.
    partial: Vec<u8>,
    /// The peer said something that no version 1 peer says.
    void: bool,
    /// Data frames that the peer sent.
    pushed: u8,
    received: BTreeMap<StreamId, Inbox>,
    sent: BTreeMap<StreamId, Sent>,
    written: usize,
    sent_bytes: usize,
    /// So much was not read that a stream may have been ended, with what it had to send.
    dropped: bool,
}

/// What the peer sent on a stream.
#[derive(Default)]
struct Inbox {
    data: Vec<u8>,
    read: usize,
    finished: bool,
    /// Nobody can say any more what is to be read: the stream was abandoned, overrun, or its
    /// number taken twice.
    unknown: bool,
}

/// How far a stream of ours has come, as the peer sees it.
#[derive(Default)]
struct Sent {
    syn: bool,
    fin: bool,
}

impl Model {
    pub(super) fn new(role: MuxRole) -> Self {
        Self {
            role,
            partial: Vec::new(),
            void: false,
            pushed: 0,
            received: BTreeMap::new(),
            sent: BTreeMap::new(),
            written: 0,
            sent_bytes: 0,
            dropped: false,
        }
    }

    /// What this model itself holds, at the most.
    pub(super) fn bytes(&self) -> usize {
        let inboxes = self.received.values().map(|inbox| inbox.data.capacity());
        inboxes.sum::<usize>() + self.partial.capacity()
    }

    /// Bytes that were written and may still wait.
    pub(super) fn written(&self) -> usize {
        self.written - self.sent_bytes
    }

    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.received.keys().copied().collect()
    }

    /// What the peer sends next; data of different frames begins differently.
    pub(super) fn next_data(&mut self, length: usize) -> Vec<u8> {
        self.pushed = self.pushed.wrapping_add(1);
        let from = usize::from(self.pushed);
        DATA[from..from + length].to_vec()
    }

    pub(super) fn on_opened(&mut self, id: StreamId) {
        let again = self.received.contains_key(&id);
        // The peer of an agent may have taken the number for itself before.
        assert!(!again || self.role == MuxRole::Agent, "{id} again");
        self.begin(id);
    }

    /// An event said so; the frame was seen before.
    pub(super) fn on_announced(&self, id: StreamId) {
        assert!(self.received.contains_key(&id), "{id} out of nowhere");
    }

    pub(super) fn on_arrived(&mut self, data: &[u8]) {
        self.partial.extend(data);
        while !self.void {
            let Some(header) = self.partial.first_chunk::<8>() else {
                return;
            };
            let [version, command, l0, l1, s0, s1, s2, s3] = *header;
            let length = usize::from(u16::from_le_bytes([l0, l1]));
            let id = StreamId(u32::from_le_bytes([s0, s1, s2, s3]));
            if version != 1 || command > 3 || (command != 2 && length > 0) {
                self.void = true;
                return;
            }
            // Data is handed on as it comes, before its frame is whole.
            let there = length.min(self.partial.len() - 8);
            let data = self.partial[8..8 + there].to_vec();
            if there < length {
                // The rest keeps its header, for what is missing.
                let missing = u16::try_from(length - there).unwrap();
                self.partial.truncate(8);
                self.partial[2..4].copy_from_slice(&missing.to_le_bytes());
            } else {
                self.partial.drain(..8 + there);
            }
            self.on_frame(command, id, &data);
            if there < length {
                return;
            }
        }
    }

    fn on_frame(&mut self, command: u8, id: StreamId, data: &[u8]) {
        match command {
            0 if self.role == MuxRole::Agent => self.begin(id),
            1 => {
                if let Some(inbox) = self.received.get_mut(&id) {
                    inbox.finished = true;
                }
            }
            2 => {
                if let Some(inbox) = self.received.get_mut(&id)
                    && !inbox.finished
                {
                    inbox.data.extend(data);
                    self.dropped |= inbox.data.len() - inbox.read > MAX_UNREAD / 2;
                }
            }
            _ => {}
        }
    }

    /// A stream that is not known, or a second one of its number.
    fn begin(&mut self, id: StreamId) {
        let again = self.received.contains_key(&id);
        let inbox = self.received.entry(id).or_default();
        inbox.unknown |= again;
        inbox.finished &= !again;
        self.sent.entry(id).or_default().fin = false;
    }

    pub(super) fn on_abandoned(&mut self, id: StreamId) {
        if let Some(inbox) = self.received.get_mut(&id) {
            inbox.unknown = true;
        }
    }

    pub(super) fn on_read(&mut self, id: StreamId, received: &Received) {
        let Some(inbox) = self.received.get_mut(&id) else {
            assert_eq!(*received, Received::Finished, "{id} is not known");
            return;
        };
        if inbox.unknown {
            return;
        }
        match received {
            Received::Data(data) => {
                assert!(!data.is_empty());
                let until = inbox.read + data.len();
                assert_eq!(inbox.data.get(inbox.read..until), Some(&data[..]));
                inbox.read = until;
            }
            Received::Pending | Received::Finished => {
                assert_eq!(inbox.read, inbox.data.len(), "something is missing");
                assert_eq!(*received == Received::Finished, inbox.finished);
            }
            Received::Overrun => {
                assert!(inbox.data.len() - inbox.read > MAX_UNREAD / 2, "too early");
                inbox.unknown = true;
            }
        }
    }

    pub(super) fn on_written(&mut self, length: usize) {
        self.written += length;
    }

    /// Whole frames, each in its place.
    pub(super) fn on_sent(&mut self, payload: &[u8]) {
        for frame in frames(payload) {
            let sent = self.sent.entry(StreamId(frame.stream)).or_default();
            self.sent_bytes += frame.data.len();
            match frame.command {
                Command::Nop => assert_eq!(frame.stream, 0),
                Command::Syn => {
                    assert!(!sent.syn, "opened twice");
                    sent.syn = true;
                }
                Command::Push | Command::Fin => {
                    assert!(sent.syn || self.role == MuxRole::Agent, "not opened");
                    assert!(!sent.fin, "something follows the end");
                    sent.fin = frame.command == Command::Fin;
                }
            }
        }
    }

    pub(super) fn check_all_is_sent(&self) {
        let all = self.written == self.sent_bytes;
        assert!(all || self.dropped || self.void, "something was not sent");
    }
}
