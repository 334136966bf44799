//! Times of SQL Server as microseconds, exact to what the server shows.

use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};

/// Days from 0001-01-01 to 1970-01-01.
const DAYS_TO_1970_FROM_1: i64 = 719_162;
/// Days from 1900-01-01 to 1970-01-01.
const DAYS_TO_1970_FROM_1900: i64 = 25_567;
const MICROS_A_DAY: i64 = 86_400_000_000;

/// Days since 1970-01-01.
pub(super) fn days(date: Date) -> Option<i32> {
    i32::try_from(i64::from(date.days()) - DAYS_TO_1970_FROM_1).ok()
}

/// Microseconds since midnight, and whether a seventh digit was cut off.
pub(super) fn time(time: Time) -> Option<(i64, bool)> {
    let increments = i64::try_from(time.increments()).ok()?;
    match time.scale() {
        scale @ 0..=6 => Some((increments.checked_mul(10_i64.pow(6 - u32::from(scale)))?, false)),
        7 => Some((increments / 10, increments % 10 != 0)),
        _ => None,
    }
}

/// Microseconds since 1970-01-01 of a wall clock, and whether a seventh digit was cut off.
pub(super) fn datetime2(value: DateTime2) -> Option<(i64, bool)> {
    let days = i64::from(value.date().days()) - DAYS_TO_1970_FROM_1;
    let (micros, cut) = time(value.time())?;
    Some((days.checked_mul(MICROS_A_DAY)?.checked_add(micros)?, cut))
}

/// Microseconds since 1970-01-01 UTC, and whether a seventh digit was cut off. On the wire the clock is UTC
/// already; the offset only says how to show it.
pub(super) fn datetimeoffset(value: DateTimeOffset) -> Option<(i64, bool)> {
    datetime2(value.datetime2())
}

/// Microseconds since 1970-01-01 of a wall clock. The server keeps 1/300 s and shows thousandths: .000, .003, .007.
pub(super) fn datetime(value: DateTime) -> Option<i64> {
    let days = i64::from(value.days()) - DAYS_TO_1970_FROM_1900;
    let millis = (i64::from(value.seconds_fragments()) * 10 + 1) / 3;
    days.checked_mul(MICROS_A_DAY)?.checked_add(millis * 1000)
}

/// Microseconds since 1970-01-01 of a wall clock that knows minutes.
pub(super) fn smalldatetime(value: SmallDateTime) -> i64 {
    let days = i64::from(value.days()) - DAYS_TO_1970_FROM_1900;
    days * MICROS_A_DAY + i64::from(value.seconds_fragments()) * 60_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, Date32Array, Time64MicrosecondArray, TimestampMicrosecondArray};
    use arrow::util::display::array_value_to_string;

    fn shown(array: &dyn Array) -> String {
        array_value_to_string(array, 0).unwrap()
    }

    #[test]
    fn a_datetime_shows_what_the_server_shows() {
        // Ticks of a second, and the thousandths that SQL Server prints for them.
        let cases = [(0, 0), (1, 3), (2, 7), (3, 10), (4, 13), (149, 497), (150, 500), (298, 993), (299, 997)];
        for (ticks, millis) in cases {
            assert_eq!(datetime(DateTime::new(25_567, ticks)), Some(millis * 1000), "{ticks}");
        }
        let cases = [
            (DateTime::new(-53_690, 1), "1753-01-01T00:00:00.003"),
            (DateTime::new(0, 0), "1900-01-01T00:00:00"),
            (DateTime::new(45_349, 13_586_936), "2024-02-29T12:34:49.787"),
            (DateTime::new(2_958_463, 25_919_999), "9999-12-31T23:59:59.997"),
        ];
        for (value, text) in cases {
            assert_eq!(shown(&TimestampMicrosecondArray::from(vec![datetime(value).unwrap()])), text);
        }
        assert_eq!(datetime(DateTime::new(i32::MAX, u32::MAX)), None);
    }

    #[test]
    fn the_other_clocks() {
        let wall = |micros: i64| shown(&TimestampMicrosecondArray::from(vec![micros]));
        assert_eq!(shown(&Date32Array::from(vec![days(Date::new(0)).unwrap()])), "0001-01-01");
        assert_eq!(shown(&Date32Array::from(vec![days(Date::new(3_652_058)).unwrap()])), "9999-12-31");
        assert_eq!(wall(smalldatetime(SmallDateTime::new(65_535, 1_439))), "2079-06-06T23:59:00");
        assert_eq!(wall(smalldatetime(SmallDateTime::new(0, 0))), "1900-01-01T00:00:00");
        for (increments, scale, text, cut) in [
            (86_399, 0, "23:59:59", false),
            (12_345, 2, "00:02:03.450", false),
            (863_999_999_999, 7, "23:59:59.999999", true),
            (863_999_999_990, 7, "23:59:59.999999", false),
        ] {
            let (micros, was_cut) = time(Time::new(increments, scale)).unwrap();
            assert_eq!((shown(&Time64MicrosecondArray::from(vec![micros])).as_str(), was_cut), (text, cut));
        }
        let last = DateTime2::new(Date::new(3_652_058), Time::new(863_999_999_999, 7));
        assert_eq!(datetime2(last).map(|(m, cut)| (wall(m), cut)), Some(("9999-12-31T23:59:59.999999".into(), true)));
        let utc = DateTime2::new(Date::new(738_944), Time::new(247_961_234_560, 7));
        assert_eq!(
            datetimeoffset(DateTimeOffset::new(utc, 345)).map(|(m, _)| wall(m)),
            Some("2024-02-29T06:53:16.123456".into())
        );
        assert_eq!(time(Time::new(u64::MAX, 0)), None);
        assert_eq!(time(Time::new(1, 8)), None);
    }
}
