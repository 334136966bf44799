//! Days and times as scripts write them.

use imis_schemas::DataType;
use jiff::civil::{Date, DateTime};

/// Steps of 100 ns in a day.
pub(super) const DAY: i64 = 864_000_000_000;
/// Microseconds in a day.
pub(super) const MICROS_A_DAY: i64 = 86_400_000_000;
/// 1900-01-01, in steps of 100 ns from 1970-01-01.
pub(super) const FROM_1900: i64 = -25_567 * DAY;
/// 1753-01-01, before which `datetime` has no days.
pub(super) const FROM_1753: i64 = -79_257 * DAY;
/// 2079-06-07, from which on `smalldatetime` has no days.
pub(super) const TO_2079: i64 = (65_536 - 25_567) * DAY;
/// 0001-01-01.
pub(super) const FROM_1: i64 = -DAYS_FROM_1 * DAY;
/// 10000-01-01.
pub(super) const TO_10000: i64 = 2_932_897 * DAY;
/// Days from 0001-01-01 to 1970-01-01.
const DAYS_FROM_1: i64 = 719_162;

/// In which order a script's dates are written where they do not say it themselves (`SET DATEFORMAT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DateOrder {
    #[default]
    Mdy,
    Dmy,
    Ymd,
}

impl DateOrder {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "mdy" => DateOrder::Mdy,
            "dmy" => DateOrder::Dmy,
            "ymd" => DateOrder::Ymd,
            _ => return None,
        })
    }
}

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// Steps of 100 ns since 1970-01-01.
    pub(super) ticks: i64,
    /// Minutes east of UTC, where that is said.
    pub(super) offset: Option<i32>,
}

fn days(year: i16, month: i8, day: i8) -> Option<i64> {
    let date = Date::new(year, month, day).ok()?;
    let since = date.since(Date::constant(1970, 1, 1)).ok()?;
    Some(i64::from(since.get_days()))
}

/// Reads a day, a time, or both. A time without a day is one of 1900-01-01, as the server has it.
pub(super) fn parse(text: &str, order: DateOrder) -> Option<Read> {
    let text = text.trim();
    let (text, offset) = split_offset(text);
    // The time is what holds a colon; `T` stands between them in ISO 8601.
    let (day, time) = match text.find(':') {
        None => (text, ""),
        Some(colon) => {
            let before = text.get(..colon)?;
            match before.rfind([' ', 'T', 't']) {
                Some(at) => (text.get(..at)?, text.get(at + 1..)?),
                None => ("", text),
            }
        }
    };
    let day = if day.trim().is_empty() { FROM_1900 } else { parse_day(day.trim(), order)?.checked_mul(DAY)? };
    let time = if time.is_empty() { 0 } else { parse_time(time.trim())? };
    Some(Read { ticks: day.checked_add(time)?, offset })
}

/// An offset at the end: `Z`, `+05:45`.
fn split_offset(text: &str) -> (&str, Option<i32>) {
    if let Some(bare) = text.strip_suffix(['Z', 'z']) {
        return (bare, Some(0));
    }
    let Some(at) = text.rfind(['+', '-']).filter(|at| text.get(..*at).is_some_and(|before| before.contains(':')))
    else {
        return (text, None);
    };
    let (before, after) = text.split_at(at);
    let minutes = after.get(1..).and_then(|hm| {
        let (hours, minutes) = hm.split_once(':')?;
        Some(hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?)
    });
    match minutes {
        Some(minutes) => (before.trim_end(), Some(if after.starts_with('-') { -minutes } else { minutes })),
        None => (text, None),
    }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn parse_day(text: &str, order: DateOrder) -> Option<i64> {
    if text.chars().all(|c| c.is_ascii_digit()) {
        return match text.len() {
            8 => days(text.get(..4)?.parse().ok()?, text.get(4..6)?.parse().ok()?, text.get(6..)?.parse().ok()?),
            6 => days(full_year(text.get(..2)?)?, text.get(2..4)?.parse().ok()?, text.get(4..)?.parse().ok()?),
            4 => days(text.parse().ok()?, 1, 1),
            _ => None,
        };
    }
    let parts: Vec<&str> = text.split(['-', '/', '.', ' ', ',']).filter(|part| !part.is_empty()).collect();
    let [a, b, c] = parts[..] else { return None };
    let month_of = |word: &str| {
        let head = word.get(..3)?.to_ascii_lowercase();
        MONTHS.iter().position(|month| *month == head).and_then(|at| i8::try_from(at + 1).ok())
    };
    // A month by name says which part is which.
    if let Some(month) = month_of(b) {
        return if a.len() == 4 {
            days(a.parse().ok()?, month, c.parse().ok()?)
        } else {
            days(full_year(c)?, month, a.parse().ok()?)
        };
    }
    if let Some(month) = month_of(a) {
        return days(full_year(c)?, month, b.parse().ok()?);
    }
    // Four digits in front are a year, then month and day.
    if a.len() == 4 {
        return days(a.parse().ok()?, b.parse().ok()?, c.parse().ok()?);
    }
    match order {
        DateOrder::Mdy => days(full_year(c)?, a.parse().ok()?, b.parse().ok()?),
        DateOrder::Dmy => days(full_year(c)?, b.parse().ok()?, a.parse().ok()?),
        DateOrder::Ymd => days(full_year(a)?, b.parse().ok()?, c.parse().ok()?),
    }
}

/// A year of two digits lies between 1950 and 2049.
fn full_year(text: &str) -> Option<i16> {
    let year: i16 = text.parse().ok()?;
    Some(match text.len() {
        4 => year,
        1 | 2 if year < 50 => 2000 + year,
        1 | 2 => 1900 + year,
        _ => return None,
    })
}

fn parse_time(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let (clock, half) = match lower.strip_suffix("am") {
        Some(clock) => (clock.trim_end(), Some(0)),
        None => match lower.strip_suffix("pm") {
            Some(clock) => (clock.trim_end(), Some(12)),
            None => (lower.as_str(), None),
        },
    };
    let mut parts = clock.split(':');
    let mut hour: i64 = parts.next()?.trim().parse().ok()?;
    let minute: i64 = parts.next()?.parse().ok()?;
    let (second, fraction) = match parts.next() {
        None => (0, 0),
        Some(text) => {
            let (second, digits) = text.split_once('.').unwrap_or((text, ""));
            let digits: String = digits.chars().take(7).collect();
            (second.parse::<i64>().ok()?, if digits.is_empty() { 0 } else { format!("{digits:0<7}").parse().ok()? })
        }
    };
    // `12:30:15:123` is the server's own way to write thousandths.
    let fraction = match parts.next() {
        Some(millis) => millis.parse::<i64>().ok().filter(|m| *m < 1000)? * 10_000,
        None => fraction,
    };
    if let Some(half) = half {
        hour = hour % 12 + half;
    }
    let there =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second) && parts.next().is_none();
    there.then_some(((hour * 60 + minute) * 60 + second) * 10_000_000 + fraction)
}

/// Bytes as Management Studio once wrote days and times: `CAST(0x0000A5B000000000 AS DateTime)`.
pub(super) fn of_bytes(bytes: &[u8], to: &DataType) -> Option<i64> {
    let little = |bytes: &[u8]| bytes.iter().rev().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
    let day_of_1 = |bytes: &[u8]| (little(bytes) - DAYS_FROM_1).checked_mul(DAY);
    // Scale, then so many steps since midnight.
    let of_day =
        |scale: u8, bytes: &[u8]| little(bytes).checked_mul(10_i64.checked_pow(u32::from(7_u8.checked_sub(scale)?))?);
    match to {
        DataType::DateTime => {
            // Days since 1900 and three hundredths of a second, both with their most significant byte first.
            let number = |bytes: &[u8]| bytes.iter().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
            let (days, steps) = bytes.split_at_checked(4).filter(|_| bytes.len() == 8)?;
            let days = i64::from(i32::from_be_bytes(days.try_into().ok()?));
            let millis = (number(steps) * 10 + 1) / 3;
            days.checked_mul(DAY)?.checked_add(FROM_1900)?.checked_add(millis * 10_000)
        }
        DataType::SmallDateTime => match bytes {
            [a, b, c, d] => {
                let (days, minutes) =
                    (i64::from(u16::from_be_bytes([*a, *b])), i64::from(u16::from_be_bytes([*c, *d])));
                Some(days * DAY + FROM_1900 + minutes * 600_000_000)
            }
            _ => None,
        },
        DataType::Date => match bytes {
            [a, b, c] | [a, b, c, 0] => day_of_1(&[*a, *b, *c]),
            _ => None,
        },
        DataType::Time(_) => {
            let (scale, steps) = bytes.split_first()?;
            of_day(*scale, steps)
        }
        DataType::Timestamp(_) | DataType::DateTimeOffset(_) => {
            let (scale, rest) = bytes.split_first()?;
            // The offset behind a datetimeoffset only says how to show it.
            let rest = if matches!(to, DataType::DateTimeOffset(_)) { rest.split_last_chunk::<2>()?.0 } else { rest };
            let (steps, day) = rest.split_last_chunk::<3>()?;
            day_of_1(day)?.checked_add(of_day(*scale, steps)?)
        }
        _ => None,
    }
}

/// Steps of 100 ns, rounded to so many digits of a second.
pub(super) fn rounded(ticks: i64, digits: u8) -> i64 {
    let Some(step) = 7_u8.checked_sub(digits).map(|missing| 10_i64.pow(u32::from(missing))) else { return ticks };
    (ticks + step / 2).div_euclid(step) * step
}

/// What a `datetime` keeps and shows: steps of a three hundredth of a second, shown in thousandths.
pub(super) fn datetime(ticks: i64) -> i64 {
    let (day, time) = (ticks.div_euclid(DAY), ticks.rem_euclid(DAY));
    let steps = (time * 3 + 50_000) / 100_000;
    day * DAY + (steps * 10 + 1) / 3 * 10_000
}

/// What a `smalldatetime` keeps: minutes, from 29.999 seconds on the next.
pub(super) fn minutes(ticks: i64) -> i64 {
    const MINUTE: i64 = 600_000_000;
    (ticks + 300_010_000).div_euclid(MINUTE) * MINUTE
}

fn date_time(ticks: i64) -> Option<DateTime> {
    let day = Date::constant(1970, 1, 1).checked_add(jiff::Span::new().try_days(ticks.div_euclid(DAY)).ok()?).ok()?;
    let time = ticks.rem_euclid(DAY);
    let seconds = time / 10_000_000;
    let part = |n: i64| i8::try_from(n).unwrap_or(0);
    Some(day.at(
        part(seconds / 3600),
        part(seconds / 60 % 60),
        part(seconds % 60),
        i32::try_from(time % 10_000_000).ok()? * 100,
    ))
}

/// `2020-02-29`.
pub(super) fn day_text(days: i64) -> String {
    date_time(days.saturating_mul(DAY)).map(|at| at.date().to_string()).unwrap_or_default()
}

/// `12:30:15.1234567`.
pub(super) fn time_text(ticks: i64) -> String {
    let seconds = ticks / 10_000_000;
    format!("{:02}:{:02}:{:02}.{:07}", seconds / 3600, seconds / 60 % 60, seconds % 60, ticks % 10_000_000)
}

/// `2020-02-29 12:30:15.1234567`.
pub(super) fn moment_text(ticks: i64) -> String {
    format!("{} {}", day_text(ticks.div_euclid(DAY)), time_text(ticks.rem_euclid(DAY)))
}

/// Adds so many years, months, days ... to a moment, as DATEADD does.
pub(super) fn add(part: &str, count: i64, ticks: i64) -> Option<i64> {
    let span = jiff::Span::new();
    let span = match part {
        "year" | "yy" | "yyyy" => span.try_years(count).ok()?,
        "quarter" | "qq" | "q" => span.try_months(count.checked_mul(3)?).ok()?,
        "month" | "mm" | "m" => span.try_months(count).ok()?,
        "week" | "wk" | "ww" => return ticks.checked_add(count.checked_mul(7 * DAY)?),
        "day" | "dd" | "d" | "dayofyear" | "weekday" => return ticks.checked_add(count.checked_mul(DAY)?),
        "hour" | "hh" => return ticks.checked_add(count.checked_mul(DAY / 24)?),
        "minute" | "mi" | "n" => return ticks.checked_add(count.checked_mul(600_000_000)?),
        "second" | "ss" | "s" => return ticks.checked_add(count.checked_mul(10_000_000)?),
        "millisecond" | "ms" => return ticks.checked_add(count.checked_mul(10_000)?),
        _ => return None,
    };
    let day = date_time(ticks)?.date().checked_add(span).ok()?;
    let days = days(day.year(), day.month(), day.day())?;
    Some(days * DAY + ticks.rem_euclid(DAY))
}

/// A part of a moment: year, month, day ...
pub(super) fn part(name: &str, ticks: i64) -> Option<i64> {
    let at = date_time(ticks)?;
    Some(match name {
        "year" | "yy" | "yyyy" => at.year().into(),
        "month" | "mm" | "m" => at.month().into(),
        "day" | "dd" | "d" => at.day().into(),
        "hour" | "hh" => at.hour().into(),
        "minute" | "mi" | "n" => at.minute().into(),
        "second" | "ss" | "s" => at.second().into(),
        _ => return None,
    })
}

/// `Feb 29 2020 12:30PM`: a moment as CONVERT writes it without a style.
pub(super) fn plain_text(ticks: i64) -> String {
    let Some(at) = date_time(ticks) else { return String::new() };
    let month = usize::try_from(at.month() - 1).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or_default();
    let mut name = month.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let (hour, half) = (at.hour() % 12, if at.hour() < 12 { "AM" } else { "PM" });
    format!("{name} {:>2} {} {:>2}:{:02}{half}", at.day(), at.year(), if hour == 0 { 12 } else { hour }, at.minute())
}
