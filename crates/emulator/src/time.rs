//! Times as the JSON protocol, filters, credentials and signatures write them.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Seconds since the Unix epoch, to the millisecond.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    let milliseconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    // Exact: 53 bits of milliseconds last longer than the calendar.
    milliseconds as f64 / 1000.0
}

/// Reads `2018-08-29T00:00:00Z`, with an optional fraction of a second that is ignored. UTC may be written as
/// `+00:00` as well, as some tools do.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let text = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?;
    let (date, time) = text.split_once('T')?;
    moment(numbers(date, '-')?, numbers(time.split('.').next()?, ':')?)
}

/// Reads the form of signatures, `20180829T000000Z`.
pub(crate) fn parse_compact(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    if date.len() != 8 || time.len() != 6 || !date.is_ascii() || !time.is_ascii() {
        return None;
    }
    let number = |digits: &str| {
        let all = digits.bytes().all(|b| b.is_ascii_digit());
        all.then(|| digits.parse().ok())?
    };
    let date = [
        number(&date[..4])?,
        number(&date[4..6])?,
        number(&date[6..])?,
    ];
    let time = [
        number(&time[..2])?,
        number(&time[2..4])?,
        number(&time[4..])?,
    ];
    moment(date, time)
}

/// Writes the form of signatures, to the second.
pub(crate) fn compact(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (mut days, of_day) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let (day, hour, minute, second) = (days + 1, of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// From year, month, day and hour, minute, second.
fn moment([year, month, day]: [u64; 3], [hour, minute, second]: [u64; 3]) -> Option<SystemTime> {
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let days_before_year: u64 = (1970..year).map(days_of_year).sum();
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

fn days_of_year(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
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

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

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
            ("2023-11-14T22:13:20+00:00", 1_700_000_000),
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

    #[test]
    fn the_form_of_signatures_is_read_and_written() {
        for (text, seconds) in [
            ("19700101T000000Z", 0),
            ("20000229T120000Z", 951_825_600),
            ("20001231T235959Z", 978_307_199),
            ("20231114T221320Z", 1_700_000_000),
            ("21000301T000000Z", 4_107_542_400),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse_compact(text), Some(time), "{text}");
            assert_eq!(compact(time), text);
        }
        for text in [
            "",
            "20231114",
            "20231114T221320",
            "20231314T221320Z",
            "2023111T2221320Z",
            "+0231114T221320Z",
            "2023-11-14T22:13:20Z",
            "2023111\u{e4}T22132Z",
        ] {
            assert_eq!(parse_compact(text), None, "{text}");
        }
    }
}
