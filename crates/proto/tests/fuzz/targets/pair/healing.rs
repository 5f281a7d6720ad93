//! The link works again: everything arrives, and the session ends as it should.

use std::time::Duration;

use ssm_session_proto::OutputStream;
use ssm_session_proto::TerminalSize;

use super::Kind;
use super::Pair;
use super::PortLink;
use super::TURNS;
use crate::support::clock::epoch;

/// Nothing takes as long over a link that works, with an agent that makes good five losses a second
/// and takes no acknowledgement that comes at once.
const MAX_TIME: Duration = Duration::from_secs(600);
/// Messages delivered each way in a turn: an agent that nobody answered for twenty minutes has sent
/// its oldest message thousands of times.
const PER_TURN: usize = 16;
/// Starts publication, to either end.
const START: [u8; 2] = [0, 2];

impl Pair {
    pub(super) fn heal_and_end(&mut self, terminates: bool) {
        if !self.to_client.up {
            self.connect_client();
        }
        if !self.to_agent.up {
            self.connect_agent();
        }
        for how in START {
            self.publish(how);
        }
        if self.size_set.is_none() {
            // A shell shows nothing of itself before it has one.
            self.resize(TerminalSize { cols: 80, rows: 24 });
        }
        self.settle(|pair| pair.is_exchanged());
        // And both directions still work.
        self.type_input(300);
        self.print(OutputStream::Stdout, 300);
        self.settle(|pair| pair.is_exchanged());
        self.end_streams();
        self.settle(|pair| pair.is_exchanged() && pair.has_forgotten_streams());
        if self.excused {
            return;
        }
        if self.kind == Kind::Command {
            self.agent.exit_code(3, self.now);
            self.settle(|pair| pair.exit_code == Some(3));
        }
        self.terminating = terminates;
        if terminates {
            self.client.terminate(self.now);
        } else {
            self.agent.finish(self.now);
        }
        self.settle(|pair| pair.closed.is_some());
        if self.excused {
            return;
        }
        assert!(self.is_exchanged(), "{}", self.progress());
        assert_eq!(self.client.poll_timeout(), None);
    }

    /// Delivers everything, and has time pass when there is nothing to deliver, until `done`.
    fn settle(&mut self, done: fn(&mut Self) -> bool) {
        let limit = self.now + MAX_TIME;
        for _ in 0..TURNS {
            self.drain();
            self.answer();
            self.read_streams();
            self.drain();
            if self.excused {
                return;
            }
            if !(self.to_client.is_empty() && self.to_agent.is_empty()) {
                self.deliver_to_agent(PER_TURN);
                self.deliver_to_client(PER_TURN);
                continue;
            }
            if done(self) {
                return;
            }
            let next = self.next_timeout();
            let next = next.unwrap_or_else(|| panic!("stuck: {}", self.progress()));
            self.now = self.now.max(next);
            assert!(self.now < limit, "no end in sight: {}", self.progress());
            self.call_if_due();
        }
        panic!("{TURNS} turns did not do: {}", self.progress());
    }

    fn is_exchanged(&self) -> bool {
        let outputs = [&self.stdout, &self.stderr].into_iter();
        let mut flows = outputs.filter(|_| self.output_counts).chain([&self.input]);
        // Ports get sizes that nobody set.
        let sized = self.kind.is_port() || self.size_arrived == self.size_set;
        self.is_up()
            && self.runs
            && sized
            && matches!(self.link, PortLink::Up | PortLink::Down)
            && flows.all(|writing| writing.flow.is_complete())
            && self.streams.are_read()
    }

    fn progress(&self) -> String {
        let [input, stdout, stderr] =
            [&self.input, &self.stdout, &self.stderr].map(|writing| writing.flow.progress());
        format!(
            "{:?} after {:?}: input {input:?}, stdout {stdout:?}, stderr {stderr:?}, size {:?} of \
             {:?}, {:?}, established {}, started {}, closed {:?}, drained {}, {}",
            self.kind,
            self.now - epoch(),
            self.size_arrived,
            self.size_set,
            self.link,
            self.established,
            self.started,
            self.closed,
            self.drained,
            self.streams.progress(),
        )
    }
}
