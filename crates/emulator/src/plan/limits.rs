//! What the service puts an end to by itself.

use std::time::Duration;

/// How long the service lets things last; the default has no limit at all.
///
/// The real service ends a session that is idle for 20 minutes, unless its account says otherwise, and closes every
/// client's WebSocket about once an hour (`docs/PROTOCOL.md` 2.3 and 9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// A session through which no stream data has passed for that long ends, in either direction and whether or not
    /// its client is there. Acknowledgements and pings do not count; the keepalives of a multiplexed session do.
    pub idle: Option<Duration>,
    /// A session ends when it is this old.
    pub lifetime: Option<Duration>,
    /// A client's WebSocket is closed when it has been the data channel for that long, with code 1000 and the text
    /// `Bye`. The session lives on and can be resumed.
    pub channel: Option<Duration>,
    /// A token of StartSession or ResumeSession opens a data channel only that long. A channel that is open stays so.
    pub token: Option<Duration>,
}

impl Limits {
    /// What makes no sense, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, limit) in [
            ("idle", self.idle),
            ("lifetime", self.lifetime),
            ("channel", self.channel),
            ("token", self.token),
        ] {
            if limit == Some(Duration::ZERO) {
                return Err(format!(
                    "the limit `{name}` is 0, which leaves time for nothing; leave it out for no limit"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_leaves_time_for_something() {
        let limited = |limit| Limits {
            idle: limit,
            ..Limits::default()
        };
        assert_eq!(limited(None).check(), Ok(()));
        assert_eq!(limited(Some(Duration::from_nanos(1))).check(), Ok(()));
        let error = limited(Some(Duration::ZERO)).check().unwrap_err();
        assert!(error.contains("`idle` is 0"), "{error}");
    }
}
