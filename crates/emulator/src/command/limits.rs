//! Options for what the service ends by itself.

use std::time::Duration;

use clap::Args;
use ssm_session_emulator::Limits;

/// Limits of time, all of them absent unless given.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "What ends by itself; times have a unit, such as 500ms, 90s, 20m or 1h"
)]
pub(super) struct LimitOptions {
    /// End a session through which nothing has passed for that long; AWS does after 20m unless told otherwise
    #[arg(long, value_name = "TIME", value_parser = time)]
    idle_timeout: Option<Duration>,
    /// End a session when it is that old
    #[arg(long, value_name = "TIME", value_parser = time)]
    max_session_duration: Option<Duration>,
    /// Close a client's connection when it is that old, with code 1000 and `Bye`, as AWS does about once an hour; the
    /// session lives on and can be resumed
    #[arg(long, value_name = "TIME", value_parser = time)]
    channel_lifetime: Option<Duration>,
    /// Take a session's token only that long after it was given out
    #[arg(long, value_name = "TIME", value_parser = time)]
    token_lifetime: Option<Duration>,
}

impl LimitOptions {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            idle: self.idle_timeout,
            lifetime: self.max_session_duration,
            channel: self.channel_lifetime,
            token: self.token_lifetime,
        }
    }
}

fn time(text: &str) -> Result<Duration, String> {
    UNITS
        .iter()
        .find_map(|(unit, seconds)| {
            let number = text.strip_suffix(unit)?.parse::<f64>().ok()?;
            Duration::try_from_secs_f64(number * seconds).ok()
        })
        .filter(|time| (SHORTEST..=LONGEST).contains(time))
        .ok_or_else(|| {
            "write a time from 1ms to 168h with its unit, such as 500ms, 90s, 20m or 1h".to_owned()
        })
}

/// With their seconds. Milliseconds come before the seconds they end with.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
const SHORTEST: Duration = Duration::from_millis(1);
/// A week, far beyond what AWS allows.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, expected) in [
            ("1ms", Duration::from_millis(1)),
            ("500ms", Duration::from_millis(500)),
            ("1.5s", Duration::from_millis(1500)),
            ("20m", Duration::from_secs(1200)),
            ("1h", Duration::from_secs(3600)),
            ("168h", LONGEST),
        ] {
            assert_eq!(time(text), Ok(expected), "{text}");
        }
        for text in [
            "", "20", "ms", "s", "0s", "0.1ms", "-1s", "169h", "infs", "nans", "1d", "1 s",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
