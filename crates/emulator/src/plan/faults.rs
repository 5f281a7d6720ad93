//! What the gateway does wrong on purpose.

use std::time::Duration;

/// Faults between a client and its agent, the same in both directions; the default has none.
///
/// They concern stream data and acknowledgements. The opening text and what the service itself says,
/// `channel_closed` and publication messages, pass untouched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// How long each message is on its way. At most 16 MiB are on their way in a direction; beyond that the gateway
    /// reads no more from the sender.
    pub delay: Duration,
    /// Bytes a second in each direction, headers of messages included; not 0. Behind a queue of 64 KiB the gateway
    /// reads no more, so that TCP holds the sender back.
    pub rate: Option<u64>,
    /// The share of messages that are lost, from 0 to 1.
    pub loss: f64,
    /// The share of messages that arrive twice, from 0 to 1.
    pub duplicate: f64,
    /// The share of messages that are overtaken by up to three others or by 5 ms, from 0 to 1.
    pub reorder: f64,
    /// A client's message with a larger payload, in bytes, closes the client's channel with code 1009.
    pub payload_cap: Option<usize>,
    /// Sessions of one seed suffer the same chances.
    pub seed: u64,
}

impl Faults {
    /// What makes no sense, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, share) in [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!(
                    "the share of `{name}` among the faults is {share}; it must be from 0 to 1"
                ));
            }
        }
        if self.rate == Some(0) {
            return Err(
                "a rate of 0 bytes a second among the faults lets nothing pass; leave it out for no limit"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_from_0_to_1_and_a_rate_lets_something_pass() {
        assert_eq!(Faults::default().check(), Ok(()));
        for faults in [
            Faults {
                loss: 1.1,
                ..Faults::default()
            },
            Faults {
                duplicate: -0.1,
                ..Faults::default()
            },
            Faults {
                reorder: f64::NAN,
                ..Faults::default()
            },
            Faults {
                rate: Some(0),
                ..Faults::default()
            },
        ] {
            assert!(faults.check().is_err(), "{faults:?}");
        }
    }
}
