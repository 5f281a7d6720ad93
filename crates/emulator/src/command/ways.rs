//! Options for the real agent's odd ways.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use ssm_session_emulator::AgentWays;

use super::faults::time;

/// In what the agent is as odd as AWS's.
#[derive(Debug, Args)]
pub(super) struct WayOptions {
    /// Be as odd as AWS's agent in this way, as often as needed: head-only, or keeps-after=TIME
    ///
    /// head-only: of all that is lost only the oldest message is sent again, at most ten a second.
    ///
    /// keeps-after=TIME: an acknowledgement that comes sooner than that after its message matches nothing, so that the
    /// message is sent again.
    #[arg(long = "agent-way", value_name = "WAY")]
    ways: Vec<Way>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    HeadOnly,
    KeepsAfter(Duration),
}

impl WayOptions {
    pub(super) fn ways(&self) -> AgentWays {
        let mut ways = AgentWays::default();
        for way in &self.ways {
            match way {
                Way::HeadOnly => ways.head_only = true,
                Way::KeepsAfter(time) => ways.keeps_after = *time,
            }
        }
        ways
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "head-only" => Ok(Self::HeadOnly),
            Some(("keeps-after", after)) => time(after).map(Self::KeepsAfter),
            _ => Err("write head-only, or keeps-after=TIME such as keeps-after=500ms".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_read_and_come_together() {
        let ways = ["head-only", "keeps-after=20ms"].map(|text| text.parse().unwrap());
        let options = WayOptions {
            ways: ways.to_vec(),
        };
        let expected = AgentWays {
            head_only: true,
            keeps_after: Duration::from_millis(20),
        };
        assert_eq!(options.ways(), expected);
        for text in ["", "head", "head-only=1s", "keeps-after", "keeps-after=1"] {
            assert!(text.parse::<Way>().is_err(), "{text}");
        }
    }
}
