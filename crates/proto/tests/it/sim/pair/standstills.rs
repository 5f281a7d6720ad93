//! Ends that stand still for a while.

use std::time::Instant;

use super::Pair;
use crate::sim::faults::Side;
use crate::sim::faults::Standstill;
use crate::support::clock::epoch;

/// What keeps an end from going on, and from when until when.
pub(super) struct Stop {
    end: Side,
    whole: bool,
    from: Instant,
    to: Instant,
}

impl Stop {
    /// A standstill counted from `beginning`.
    fn new(standstill: &Standstill, beginning: Instant) -> Self {
        let from = beginning + standstill.at;
        Self {
            end: standstill.end,
            whole: standstill.whole,
            from,
            to: from + standstill.length,
        }
    }

    fn holds(&self, end: Side, now: Instant) -> bool {
        self.end == end && self.from <= now && now < self.to
    }
}

impl Pair {
    /// Adds those counted from the beginning.
    pub(super) fn plan_standstills(&mut self) {
        let early = std::mem::take(&mut self.scenario.standstills);
        self.add_stops(&early, epoch());
    }

    /// Once the session is established and its program runs, adds those counted from then on.
    pub(super) fn plan_late_standstills(&mut self) {
        if self.program_runs && self.client.is_established() {
            let late = std::mem::take(&mut self.scenario.late_standstills);
            self.add_stops(&late, self.now);
        }
    }

    fn add_stops(&mut self, standstills: &[Standstill], beginning: Instant) {
        for standstill in standstills {
            let stop = Stop::new(standstill, beginning);
            self.changes.extend([stop.from, stop.to]);
            self.stops.push(stop);
        }
        self.changes.sort_by(|a, b| b.cmp(a));
    }

    /// Whether an end's process goes on.
    pub(super) fn runs(&self, end: Side) -> bool {
        let mut stops = self.stops.iter();
        !stops.any(|stop| stop.whole && stop.holds(end, self.now))
    }

    /// Whether an end takes what has arrived for it.
    pub(super) fn takes_frames(&self, end: Side) -> bool {
        !self.stops.iter().any(|stop| stop.holds(end, self.now))
    }
}
