//! Parses dates of publication in the formats that archives and feeds use.

use jiff::{
    Timestamp,
    civil::Date,
    fmt::{rfc2822, strtime::BrokenDownTime},
    tz::TimeZone,
};

/// Formats with the name of the month, in full or as three letters, in any case; a time may follow.
const WITH_MONTH_NAMES: [&str; 10] = [
    "%d-%b-%Y",
    "%d %b %Y",
    "%d-%B-%Y",
    "%d %B %Y",
    "%d %b, %Y",
    "%d %B, %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%B %d %Y",
];

/// Parses a day: `2024-05-31`, `20240531`, RFC 3339, RFC 2822, `20240531T101112Z`, seconds or milliseconds since 1970, or day,
/// month and year with the name of the month. It is the day in the time zone of the text; numbers since 1970 are in UTC. `None`
/// for anything else, such as the ambiguous 05/06/2024.
pub fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text);
    }
    extended(text).or_else(|| basic(text)).or_else(|| with_month_name(text))
}

/// Parses a time with its zone, and formats it as RFC 3339; `None` if it is not one, or only a day.
pub fn rfc3339(text: &str) -> Option<String> {
    let text = text.trim();
    let stamp = |stamp: Timestamp| stamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    if let Ok(time) = rfc2822::DateTimeParser::new().parse_timestamp(text) {
        return Some(stamp(time));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) && matches!(text.len(), 9..=13) {
        let number: i64 = text.parse().ok()?;
        return Timestamp::from_second(if text.len() > 11 { number / 1000 } else { number }).ok().map(stamp);
    }
    // RFC 3339 is returned unchanged, with its zone.
    let time: Timestamp = text.parse().ok()?;
    let is_extended =
        text.len() >= 20 && text.as_bytes().get(4) == Some(&b'-') && text.as_bytes().get(10) == Some(&b'T');
    let has_colon = text.ends_with(['Z', 'z']) || text.as_bytes().get(text.len() - 3) == Some(&b':');
    Some(if is_extended && has_colon { text.to_owned() } else { stamp(time) })
}

/// `2024-05-31`, also with slashes or points; a time may follow.
fn extended(text: &str) -> Option<Date> {
    let (day, rest) = text.split_at_checked(10)?;
    let separator = *day.as_bytes().get(4)?;
    if !b"-/.".contains(&separator) || rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    day.replace(char::from(separator), "-").parse().ok()
}

/// `20240531T101112`, with a zone or without.
fn basic(text: &str) -> Option<Date> {
    let (day, time) = text.split_at_checked(8)?;
    let is_basic = day.bytes().all(|byte| byte.is_ascii_digit()) && time.starts_with(['T', 't', ' ']);
    if is_basic { eight_digits(day) } else { None }
}

fn eight_digits(day: &str) -> Option<Date> {
    let (year, rest) = day.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// `20240531`, `20240531101112`, or seconds or milliseconds since 1970.
fn number(text: &str) -> Option<Date> {
    let since_1970 = |seconds: i64| Some(Timestamp::from_second(seconds).ok()?.to_zoned(TimeZone::UTC).date());
    match text.len() {
        8 => eight_digits(text),
        14 => eight_digits(text.get(..8)?),
        9..=11 => since_1970(text.parse().ok()?),
        12..=13 => since_1970(text.parse::<i64>().ok()? / 1000),
        _ => None,
    }
}

fn with_month_name(text: &str) -> Option<Date> {
    // "Mon, 6 May 2024"
    let text = match text.split_once(',') {
        Some((weekday, rest)) if weekday.bytes().all(|byte| byte.is_ascii_alphabetic()) => rest.trim_start(),
        _ => text,
    };
    WITH_MONTH_NAMES.iter().find_map(|format| {
        let (time, read) = BrokenDownTime::parse_prefix(format, text).ok()?;
        let ends = !text.get(read..)?.starts_with(|c: char| c.is_ascii_alphanumeric());
        time.to_date().ok().filter(|_| ends)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_formats_of_days_are_parsed() {
        let expected = Date::constant(2024, 5, 6);
        for text in [
            "2024-05-06",
            " 2024-05-06 ",
            "2024/05/06",
            "2024-05-06T23:30:00-05:00",
            "2024-05-06 10:11:12",
            "2024-05-06T10:11:12+0000",
            "20240506",
            "20240506T101112Z",
            "20240506T101112+0200",
            "20240506101112",
            "1714990272",
            "1714990272000",
            "Mon, 06 May 2024 10:11:12 GMT",
            "Mon, 6 May 2024 10:11:12 +0200",
            "06 May 2024 10:11 EST",
            "6-MAY-2024 10:11:12.79",
            "06-May-2024",
            "6 may 2024",
            "May 6, 2024",
            "MAY 6 2024, 10:11",
        ] {
            assert_eq!(day(text), Some(expected), "{text:?}");
        }
        assert_eq!(day("26-FEB-1987 15:01:01.79"), Some(Date::constant(1987, 2, 26)));
        assert_eq!(day("September 30, 1999"), Some(Date::constant(1999, 9, 30)));
    }

    #[test]
    fn times_are_formatted_as_rfc_3339() {
        for (text, time) in [
            ("2024-05-06T10:11:12+02:00", Some("2024-05-06T10:11:12+02:00")),
            ("2024-05-06T10:11:12+0000", Some("2024-05-06T10:11:12Z")),
            ("Mon, 06 May 2024 10:11:12 +0200", Some("2024-05-06T08:11:12Z")),
            ("20240506T101112Z", Some("2024-05-06T10:11:12Z")),
            ("1714990272", Some("2024-05-06T10:11:12Z")),
            ("2024-05-06", None),
            ("6 May 2024", None),
            ("", None),
        ] {
            assert_eq!(rfc3339(text).as_deref(), time, "{text:?}");
        }
    }

    #[test]
    fn ambiguous_and_invalid_days_are_none() {
        for text in [
            "",
            "yesterday",
            "05/06/2024",
            "2024-13-01",
            "20241301",
            "2024",
            "6 May 20245",
            "é-05-06-2024é",
            "99999999999999999",
        ] {
            assert_eq!(day(text), None, "{text:?}");
        }
    }
}
