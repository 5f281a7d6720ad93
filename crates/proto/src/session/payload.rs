//! How large the payloads of a port session may be.
//!
//! Every service takes 1024 bytes; what more the real one takes is not documented
//! (docs/PROTOCOL.md 9). Larger payloads are tried out one size at a time, with a message that
//! means nothing to a port: a terminal size, padded with blanks. If the channel dies of it, a
//! short one takes its number, nothing of the user's is in doubt, and no size is tried again.

use bytes::Bytes;

use super::PAYLOAD;
use crate::message::SequenceNumber;
use crate::terminal_size::TerminalSize;

const LARGEST: usize = 16 * 1024;
/// Acknowledgements without loss that show a healthy channel.
const HEALTHY: usize = 16;
/// The window has room for that many payloads, so that a slow path is not held by one.
const IN_WINDOW: usize = 8;

/// The payload size of one direction of a session.
#[derive(Debug)]
pub(super) struct PayloadSize {
    proven: usize,
    probe: Option<Probe>,
    /// Payloads of the proven size are in demand.
    wanted: bool,
    settled: bool,
}

/// A size that is being tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) number: SequenceNumber,
    size: usize,
}

impl PayloadSize {
    pub(super) fn new() -> Self {
        Self {
            proven: PAYLOAD,
            probe: None,
            wanted: false,
            settled: false,
        }
    }

    /// Most bytes of the next payload, for a congestion window of `window` bytes.
    pub(super) fn limit(&self, window: usize) -> usize {
        self.proven.min((window / IN_WINDOW).max(PAYLOAD))
    }

    pub(super) fn on_sent(&mut self, length: usize) {
        self.wanted |= length >= self.proven;
    }

    /// The size to try now, after `clean` acknowledgements without a loss.
    pub(super) fn due(&self, clean: usize) -> Option<usize> {
        let due = self.wanted && !self.settled && self.probe.is_none();
        let next = self.proven.saturating_mul(2);
        Some(next).filter(|next| due && clean >= HEALTHY && *next <= LARGEST)
    }

    /// A probe of `size` was sent under `number`.
    pub(super) fn on_probe(&mut self, number: SequenceNumber, size: usize) {
        self.probe = Some(Probe { number, size });
    }

    pub(super) fn probe(&self) -> Option<Probe> {
        self.probe
    }

    /// The probe has arrived.
    pub(super) fn on_proven(&mut self) {
        if let Some(probe) = self.probe.take() {
            self.proven = probe.size;
            self.wanted = false;
        }
    }

    /// The channel died. The number whose message a short one has to replace, if it may have
    /// died of that one.
    pub(super) fn on_death(&mut self) -> Option<SequenceNumber> {
        let probe = self.probe.take()?;
        self.proven = PAYLOAD;
        self.settled = true;
        Some(probe.number)
    }

    /// A message of `size` bytes that a port takes no notice of; a short one for 0.
    pub(super) fn padding(size: usize) -> Bytes {
        const ANY: TerminalSize = TerminalSize { cols: 80, rows: 24 };
        let mut payload = ANY.to_json();
        payload.resize(payload.len().max(size), b' ');
        payload.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A size at which a probe of `size` is on its way.
    fn probing() -> (PayloadSize, usize) {
        let mut size = PayloadSize::new();
        size.on_sent(PAYLOAD);
        let next = size.due(HEALTHY).unwrap();
        size.on_probe(SequenceNumber(7), next);
        (size, next)
    }

    #[test]
    fn sizes_double_up_to_the_largest_one_probe_at_a_time() {
        let mut size = PayloadSize::new();
        let mut sizes = Vec::new();
        loop {
            size.on_sent(size.limit(1 << 20));
            let Some(next) = size.due(HEALTHY) else { break };
            size.on_probe(SequenceNumber(0), next);
            assert_eq!(size.due(HEALTHY), None, "one at a time");
            size.on_proven();
            sizes.push(size.limit(1 << 20));
        }
        assert_eq!(sizes, [2048, 4096, 8192, 16_384]);
    }

    #[test]
    fn nothing_is_tried_without_demand_or_health() {
        let mut size = PayloadSize::new();
        assert_eq!(size.due(HEALTHY), None);
        size.on_sent(PAYLOAD - 1);
        assert_eq!(size.due(HEALTHY), None);
        size.on_sent(PAYLOAD);
        assert_eq!(size.due(HEALTHY - 1), None);
    }

    #[test]
    fn a_death_during_a_probe_settles_for_what_everybody_takes() {
        let (mut size, _) = probing();
        size.on_proven();
        size.on_sent(2048);
        size.on_probe(SequenceNumber(9), 4096);
        assert_eq!(size.on_death(), Some(SequenceNumber(9)));
        assert_eq!(size.limit(1 << 20), PAYLOAD);
        size.on_sent(PAYLOAD);
        assert_eq!(size.due(1000), None);
    }

    #[test]
    fn a_death_without_a_probe_changes_nothing() {
        let (mut size, next) = probing();
        size.on_proven();
        assert_eq!(size.on_death(), None);
        assert_eq!(size.limit(1 << 20), next);
    }

    #[test]
    fn a_small_window_keeps_payloads_small() {
        let (mut size, next) = probing();
        size.on_proven();
        assert_eq!(size.limit(PAYLOAD), PAYLOAD);
        assert_eq!(size.limit(1500 * IN_WINDOW), 1500);
        assert_eq!(size.limit(1 << 20), next);
    }

    #[test]
    fn padding_is_a_terminal_size_of_any_length() {
        let padded = PayloadSize::padding(2048);
        assert_eq!(padded.len(), 2048);
        assert!(serde_json::from_slice::<TerminalSize>(&padded).is_ok());
        assert!(serde_json::from_slice::<TerminalSize>(&PayloadSize::padding(0)).is_ok());
    }
}
