//! Options for what goes wrong on purpose.

use std::time::Duration;

use clap::Args;
use ssm_session_emulator::ConnectFault;
use ssm_session_emulator::Failure;
use ssm_session_emulator::Faults;

/// Faults between client and agent, the same in both directions. They concern stream data and acknowledgements.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults between client and agent, in both directions")]
pub(super) struct FaultOptions {
    /// How long each message is on its way, such as 20ms or 1.5s
    #[arg(long, value_name = "TIME", value_parser = time)]
    fault_delay: Option<Duration>,
    /// Bytes a second that pass; behind a queue of 64 KiB the sender is held back
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    fault_rate: Option<u64>,
    /// Share of messages that are lost, such as 1%
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    fault_loss: Option<f64>,
    /// Share of messages that arrive twice, such as 1%
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    fault_duplicate: Option<f64>,
    /// Share of messages that others overtake, such as 1%
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    fault_reorder: Option<f64>,
    /// Largest payload taken from a client, in bytes; a larger one closes its channel with code 1009
    #[arg(long, value_name = "BYTES", value_parser = payload)]
    fault_payload_cap: Option<usize>,
    /// Where the chances come from: sessions of one seed suffer the same
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    fault_seed: u64,
}

/// Steps of connecting that fail.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults while clients connect")]
pub(super) struct ConnectFaultOptions {
    /// Say nothing more at this step, as often as needed: always, or the first TIMES times, such as open*2
    ///
    /// The steps, in the order in which a client passes:
    ///
    /// StartSession, ResumeSession, GenerateDataKey and so on: the call of that operation was read; it has no effect.
    ///
    /// accept: the TCP connection of a data channel is there, and nothing of it is read.
    ///
    /// upgrade: the request for a WebSocket was read.
    ///
    /// open: the WebSocket is there, and its first frame was read and its token right. It answers no ping.
    ///
    /// handshake: the agent is frozen from its start, while the gateway answers pings.
    ///
    /// established: HandshakeComplete has gone out, or the first output of a session that has no handshake, or it is a
    /// later channel of such a session. It answers no ping.
    #[arg(long = "stall", value_name = "STEP[*TIMES]", value_parser = stall)]
    stalls: Vec<ConnectFault>,
    /// Close the client's connection at this step, without a close frame, as often as needed
    ///
    /// The steps are those of --stall, but handshake is behind the HandshakeRequest.
    #[arg(long = "cut", value_name = "STEP[*TIMES]", value_parser = cut)]
    cuts: Vec<ConnectFault>,
}

impl ConnectFaultOptions {
    pub(super) fn faults(&self) -> Vec<ConnectFault> {
        [&self.stalls[..], &self.cuts[..]].concat()
    }
}

impl FaultOptions {
    pub(super) fn faults(&self) -> Faults {
        Faults {
            delay: self.fault_delay.unwrap_or_default(),
            rate: self.fault_rate,
            loss: self.fault_loss.unwrap_or_default(),
            duplicate: self.fault_duplicate.unwrap_or_default(),
            reorder: self.fault_reorder.unwrap_or_default(),
            payload_cap: self.fault_payload_cap,
            seed: self.fault_seed,
        }
    }
}

fn stall(text: &str) -> Result<ConnectFault, String> {
    ConnectFault::parse(Failure::Stall, text).map_err(|error| error.to_string())
}

fn cut(text: &str) -> Result<ConnectFault, String> {
    ConnectFault::parse(Failure::Cut, text).map_err(|error| error.to_string())
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or_default(), 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .map(|number| number * unit)
        .filter(|seconds| *seconds <= LONGEST_DELAY.as_secs_f64())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "write a time of up to 60 s with its unit, such as 20ms or 1.5s".to_owned())
}

fn rate(text: &str) -> Result<u64, String> {
    let rate = text.parse().ok().filter(|rate| *rate > 0);
    rate.ok_or_else(|| "write how many bytes pass a second, such as 500000".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    text.strip_suffix('%')
        .and_then(|number| number.parse::<f64>().ok())
        .filter(|percent| (0.0..=100.0).contains(percent))
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "write a percentage from 0% to 100%, such as 1% or 0.5%".to_owned())
}

fn payload(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| "write how many bytes a payload may have, such as 4096".to_owned())
}

/// Sessions give up long before.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, expected) in [
            ("20ms", Duration::from_millis(20)),
            ("1.5s", Duration::from_millis(1500)),
            ("0ms", Duration::ZERO),
        ] {
            assert_eq!(time(text), Ok(expected), "{text}");
        }
        for text in ["20", "ms", "s", "-1s", "61s", "1h", "infs", "nans", ""] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(share("100%"), Ok(1.0));
        assert_eq!(share("0.5%"), Ok(0.005));
        for text in ["1", "101%", "-1%", "nan%", "%", ""] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn something_has_to_pass() {
        assert_eq!(rate("500000"), Ok(500_000));
        for text in ["0", "-1", "1k", ""] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
