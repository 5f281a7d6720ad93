//! Times as the JSON protocol writes and filters write them.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Seconds since the Unix epoch, to the millisecond.
pub(super) fn seconds(time: SystemTime) -> f64 {
    let milliseconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    // Exact: 53 bits of milliseconds last longer than the calendar.
    milliseconds as f64 / 1000.0
}

/// Reads `2018-08-29T00:00:00Z`, with an optional fraction of a second that is ignored.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let days_before_year: u64 = (1970..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum();
    let days_before_month: u64 = (1..month).map(|month| days_in(year, month)).sum();
    let days = days_before_year + days_before_month + day - 1;
    UNIX_EPOCH.checked_add(Duration::from_secs(
        ((days * 24 + hour) * 60 + minute) * 60 + second,
    ))
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut number = || {
        let part = parts.next()?;
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let numbers = [number()?, number()?, number()?];
    parts.next().is_none().then_some(numbers)
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_times_are_the_known_seconds() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2018-08-29T00:00:00Z", 1_535_500_800),
            ("2023-11-14T22:13:20.123Z", 1_700_000_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(
                parse(text),
                Some(UNIX_EPOCH + Duration::from_secs(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_such_time_is_refused() {
        for text in [
            "",
            "2018-08-29",
            "2018-08-29T00:00:00",
            "2018-13-01T00:00:00Z",
            "2018-02-29T00:00:00Z",
            "2018-08-29T24:00:00Z",
            "2018-08-29T00:00Z",
            "2018-08-29T00:00:00:00Z",
            "1969-12-31T23:59:59Z",
            "+018-08-29T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_keep_their_milliseconds() {
        assert_eq!(
            seconds(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)),
            1_700_000_000.123
        );
    }
}
