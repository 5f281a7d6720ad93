//! Bytes to send, and what comes of them.

use bytes::Bytes;
use ssm_session_proto::Mux;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;

use crate::support::random::Random;

/// So many random bytes, again and again; a prime, so that no cut repeats.
const PERIOD: usize = 65_521;

/// Bytes that can be told from others at every place.
#[derive(Clone)]
pub(super) struct Pattern(Bytes);

impl Pattern {
    pub(super) fn new(seed: u64) -> Self {
        Self(Random::new(seed).bytes(PERIOD).into())
    }

    /// What stands at `at`, up to `length` bytes.
    fn piece(&self, at: usize, length: usize) -> Bytes {
        let from = at % PERIOD;
        self.0.slice(from..PERIOD.min(from.saturating_add(length)))
    }
}

/// Someone who writes a number of bytes as fast as they are taken, and then ends the stream.
pub(super) struct Source {
    pattern: Pattern,
    at: usize,
    length: usize,
}

impl Source {
    pub(super) fn new(pattern: &Pattern, length: usize) -> Self {
        Self {
            pattern: pattern.clone(),
            at: 0,
            length,
        }
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.length
    }

    /// Writes as much as is taken; the end, once everything was.
    pub(super) fn pump(&mut self, mux: &mut Mux, id: StreamId) {
        while self.at < self.length {
            let piece = self.pattern.piece(self.at, self.length - self.at);
            match mux.write(id, piece) {
                0 => return,
                taken => self.at += taken,
            }
        }
        mux.finish(id);
    }
}

/// Someone who reads what a [`Source`] writes.
pub(super) struct Sink {
    pattern: Pattern,
    pub(super) at: usize,
    ended: bool,
}

impl Sink {
    pub(super) fn new(pattern: &Pattern) -> Self {
        Self {
            pattern: pattern.clone(),
            at: 0,
            ended: false,
        }
    }

    /// Reads all there is; whether the end has come.
    pub(super) fn pull(&mut self, mux: &mut Mux, id: StreamId) -> bool {
        while !self.ended {
            match mux.read(id) {
                Received::Data(data) => self.take(&data),
                Received::Pending => break,
                Received::Finished => self.ended = true,
                Received::Overrun => panic!("stream {id} was overrun"),
            }
        }
        self.ended
    }

    fn take(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let expected = self.pattern.piece(self.at, data.len());
            let (now, later) = data.split_at(expected.len());
            assert!(now == expected, "other bytes at {}", self.at);
            self.at += now.len();
            data = later;
        }
    }
}
