//! How a session behaves while it runs: escapes, and how long silence and outages are borne.

use std::ops::RangeInclusive;
use std::time::Duration;

use ssm_session::Timeouts;
use ssm_session_terminal::EscapeChar;

use super::config_file::ConfigFile;
use super::mistakes::Mistakes;
use super::placed::Placed;
use super::variables::Variables;
use crate::args::BehaviourArgs;
use crate::env_vars;

/// What the user chose of a session's ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behaviour {
    pub(crate) escape: EscapeChar,
    pub(crate) timeouts: Timeouts,
}

impl Behaviour {
    /// Takes options, environment and configuration file together, in this order of rank.
    pub(crate) fn read(
        args: &BehaviourArgs,
        variables: Variables<'_>,
        file: &ConfigFile,
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut first = |option, given: &Option<String>, variable, in_file| {
            Placed::option(option, given.as_deref())
                .or_else(|| variables.placed(variable, mistakes))
                .or(in_file)
        };
        let escape = first(
            "--escape-char",
            &args.escape_char,
            env_vars::ESCAPE_CHAR,
            file.escape_char(),
        );
        let keepalive = first(
            "--keepalive",
            &args.keepalive,
            env_vars::KEEPALIVE,
            file.keepalive(),
        );
        let silence = first(
            "--silence",
            &args.silence,
            env_vars::SILENCE,
            file.silence(),
        );
        let resume = first(
            "--resume-for",
            &args.resume_for,
            env_vars::RESUME_FOR,
            file.resume_for(),
        );
        let escape = escape
            .and_then(|Placed { value, place }| mistakes.keep(place, value.parse::<EscapeChar>()));
        let default = Timeouts::default();
        let resume = seconds(resume.as_ref(), RESUME_FOR, mistakes);
        let (keepalive, silence) = liveness(keepalive, silence, mistakes);
        Self {
            escape: escape.unwrap_or_default(),
            timeouts: Timeouts {
                keepalive,
                silence,
                resume: resume.unwrap_or(default.resume),
                ..default
            },
        }
    }
}

/// The interval of the pings, and the silence that ends a connection, which leaves room for an answer to one.
fn liveness(
    keepalive: Option<Placed>,
    silence: Option<Placed>,
    mistakes: &mut Mistakes,
) -> (Duration, Duration) {
    let default = Timeouts::default();
    let before = mistakes.count();
    let interval = seconds(keepalive.as_ref(), LIVENESS, mistakes).unwrap_or(default.keepalive);
    let limit = seconds(silence.as_ref(), LIVENESS, mistakes).unwrap_or(default.silence);
    if limit <= interval
        && mistakes.count() == before
        && let Some(Placed { place, .. }) = silence.or(keepalive)
    {
        mistakes.add(
            place,
            format_args!(
                "a connection would be lost after {} s of silence, and is asked for a sign of life only after {} s; \
                 let silence be more than keepalive, such as three times as much",
                limit.as_secs(),
                interval.as_secs()
            ),
        );
    }
    (interval, limit)
}

fn seconds(
    given: Option<&Placed>,
    range: RangeInclusive<u64>,
    mistakes: &mut Mistakes,
) -> Option<Duration> {
    let Placed { value, place } = given?;
    let number = value.parse().ok().filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    let number =
        number.ok_or_else(|| format!("is not a whole number of seconds from {least} to {most}"));
    mistakes.keep(place, number).map(Duration::from_secs)
}

const LIVENESS: RangeInclusive<u64> = 1..=3600;
const RESUME_FOR: RangeInclusive<u64> = 0..=24 * 3600;

#[cfg(test)]
mod tests;
