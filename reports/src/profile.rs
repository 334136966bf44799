//! What a profile says to people and programs, wherever it is shown: which values may be seen, shares, remarks.

use imis_checks::profile::{ColumnProfile, Frequent, KeyRole, Kind, Lengths, Profile, TableProfile, Uniqueness};
use imis_databases::secret::is_secret_column;
use serde_json::{Value, json};

use crate::mask::{self, MaskedOrShown, Values};
use crate::number::{counted, thousands};
use crate::words;

/// The version of the shape of `imis check profile --json`.
pub const FORMAT: u32 = 1;

/// How many different values a list of codes has at most.
const CODES: u64 = 20;
/// How many digits a number has at most that is a code.
const SHORT: usize = 4;
/// How many characters of a moment say the day, and how many the minute.
const DAY: usize = 10;
const MINUTE: usize = 16;

/// A column as people may see it.
pub(crate) struct Seen<'a> {
    pub(crate) column: &'a ColumnProfile,
    values: Values,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(column: &'a ColumnProfile, values: Values) -> Self {
        Seen { column, values }
    }

    fn is_secret(&self) -> bool {
        is_secret_column(&self.column.column)
    }

    /// Whether rows are found by the values, which are keys that mean nothing.
    pub(crate) fn is_key(&self) -> bool {
        let column = self.column;
        let is_named = column.column.to_lowercase().ends_with("id") && matches!(column.kind, Kind::Number | Kind::Uuid);
        !column.roles.iter().all(|role| *role == KeyRole::Unique) || is_named
    }

    /// Whether the values are a short list that says what is what.
    fn is_list(&self) -> bool {
        let column = self.column;
        column.distinct.exact
            && column.distinct.number <= CODES
            // Where every row has another value, they are names.
            && column.filled() >= 2 * column.distinct.number
    }

    /// A value that stands for some rows.
    fn value(&self, value: &str, rows: u64) -> MaskedOrShown {
        let (name, column) = (&self.column.column, self.column);
        match column.kind {
            Kind::Truth if self.is_secret() => MaskedOrShown::Masked,
            Kind::Truth => MaskedOrShown::Shown(value.to_owned()),
            Kind::Number | Kind::Uuid if self.is_key() => mask::key_value(name, value, self.values),
            // Status 16 is a code, however few rows have it; an amount of one row is that row's.
            Kind::Number if self.is_list() && value.chars().count() <= SHORT => mask::bound(name, value, self.values),
            Kind::Number | Kind::Day | Kind::Moment | Kind::Time => mask::shared(name, value, rows, self.values),
            Kind::Text if self.is_list() => mask::code(name, value, rows, self.values),
            Kind::Text if self.is_key() => mask::key_value(name, value, self.values),
            Kind::Text | Kind::Document | Kind::Uuid | Kind::Bytes => mask::value(name, value, self.values),
        }
    }

    /// The most frequent values. Where no value may be seen, still how often they occur.
    pub(crate) fn top(&self) -> impl Iterator<Item = (MaskedOrShown, u64)> {
        self.column.top.iter().map(|Frequent { value, count }| (self.value(value, *count), *count))
    }

    fn bound(&self, value: Option<&String>) -> Option<MaskedOrShown> {
        let name = &self.column.column;
        value.map(|value| match self.column.kind {
            Kind::Number | Kind::Day | Kind::Moment | Kind::Time => mask::bound(name, value, self.values),
            Kind::Uuid => mask::key_value(name, value, self.values),
            _ => mask::value(name, value, self.values),
        })
    }

    pub(crate) fn min(&self) -> Option<MaskedOrShown> {
        self.bound(self.column.min.as_ref())
    }

    pub(crate) fn max(&self) -> Option<MaskedOrShown> {
        self.bound(self.column.max.as_ref())
    }

    /// How long values are. Nobody is told how long a password is.
    pub(crate) fn lengths(&self) -> Option<Lengths> {
        self.column.lengths.filter(|_| !self.is_secret())
    }

    /// The shapes of texts and how many have them.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = (&'a str, u64)> + use<'a> {
        let shown = if self.is_secret() { &[][..] } else { &self.column.shapes };
        shown.iter().map(|shape| (shape.shape.as_str(), shape.count))
    }

    pub(crate) fn quartiles(&self) -> Option<[String; 3]> {
        let numbers = self.column.numbers.as_ref()?;
        numbers.quartiles.clone().filter(|_| !self.is_key() && !mask::is_natural(&self.column.column))
    }

    /// From where to where values go, in words.
    pub(crate) fn range(&self) -> String {
        let column = self.column;
        let plural = |what: &str, lengths: Lengths| match (lengths.min, lengths.max) {
            (min, max) if min == max => counted(min, what),
            (min, max) => format!("{} to {}", thousands(min), counted(max, what)),
        };
        match column.kind {
            Kind::Text | Kind::Document => self.lengths().map(|l| plural("character", l)).unwrap_or_default(),
            Kind::Bytes => self.lengths().map(|l| plural("byte", l)).unwrap_or_default(),
            Kind::Truth | Kind::Uuid => String::new(),
            Kind::Moment => match self.ends() {
                Some((min, max)) if min.get(..DAY) == max.get(..DAY) => between(&min, &max, MINUTE),
                Some((min, max)) => between(&min, &max, DAY),
                None => String::new(),
            },
            Kind::Number | Kind::Day | Kind::Time => {
                self.ends().map(|(min, max)| between(&min, &max, usize::MAX)).unwrap_or_default()
            }
        }
    }

    fn ends(&self) -> Option<(String, String)> {
        Some((self.min()?.to_string(), self.max()?.to_string()))
    }

    /// How many different values there are, in words.
    pub(crate) fn distinct(&self) -> String {
        let number = thousands(self.column.distinct.number);
        if self.column.distinct.exact { number } else { format!("~{number}") }
    }

    /// What somebody should look at, in a few words each.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let column = self.column;
        let mut said = Vec::new();
        said.extend(self.telling());
        if column.filled() > 1 && column.distinct.exact && column.distinct.number == 1 {
            said.push("one value only".to_owned());
        }
        let mut count = |what: &str, number: u64| {
            if number > 0 {
                said.push(format!("{what} in {}", counted(number, "row")));
            }
        };
        count("blank", column.blank.unwrap_or(0));
        if let Some(numbers) = &column.numbers {
            count("0", if self.is_key() { numbers.zero } else { 0 });
            count("below 0", numbers.negative);
            count("no number", numbers.not_a_number);
        }
        if let Some(with_time) = column.with_time.filter(|with_time| *with_time < column.filled() && *with_time > 0) {
            said.push(format!("a time of day in {} of {}", thousands(with_time), thousands(column.filled())));
        }
        said
    }

    /// Whether it tells rows apart, where nobody would expect it, or it nearly does. Moments usually do, and mean nothing by it.
    fn telling(&self) -> Option<String> {
        let column = self.column;
        let is_declared = column.roles.iter().any(|role| matches!(role, KeyRole::Primary | KeyRole::Unique));
        match column.uniqueness() {
            _ if !matches!(column.kind, Kind::Number | Kind::Text | Kind::Uuid) => None,
            Uniqueness::Almost { repeated: 0 } | Uniqueness::No => None,
            Uniqueness::Almost { repeated } => {
                Some(format!("almost unique: {} repeat a value", counted(repeated, "row")))
            }
            _ if is_declared => None,
            Uniqueness::Unique => Some("each row has another value".to_owned()),
            Uniqueness::Perhaps => Some("perhaps unique (estimated)".to_owned()),
        }
    }
}

/// From where to where, each cut to so many characters.
fn between(min: &str, max: &str, characters: usize) -> String {
    let cut = |text: &str| text.chars().take(characters).collect::<String>();
    match (cut(min), cut(max)) {
        (min, max) if min == max => min,
        (min, max) => format!("{min} to {max}"),
    }
}

/// `8.6%`, and never 0% or 100% for what is not.
pub(crate) fn share(part: u64, of: u64) -> String {
    if part == 0 || of == 0 {
        return "0".to_owned();
    }
    if part == of {
        return "100%".to_owned();
    }
    match part as f64 * 100.0 / of as f64 {
        small if small < 0.1 => "<0.1%".to_owned(),
        most if most >= 99.95 => ">99.9%".to_owned(),
        few if few < 10.0 => format!("{few:.1}%"),
        more => format!("{more:.0}%"),
    }
}

/// How many rows a table has and how many were looked at, in words.
pub(crate) fn rows(table: &TableProfile) -> String {
    let mut text = match table.rows {
        Some(rows) if table.is_sample() => format!("{} of {}", thousands(table.read), counted(rows, "row")),
        _ => counted(table.read, "row"),
    };
    if table.refused > 0 {
        text += &format!(", {} could not be read", thousands(table.refused));
    }
    text
}

/// Where a column stands: read but without a value in any row.
pub(crate) fn is_empty(column: &ColumnProfile) -> bool {
    column.rows > 0 && column.filled() == 0
}

/// The profile for programs: the shape is versioned, fields are added, never changed.
pub fn profile_summary(profile: &Profile, values: Values) -> Value {
    let tables: Vec<Value> = profile.tables.iter().map(|table| table_summary(table, values)).collect();
    json!({
        "imis": FORMAT,
        "location": profile.location,
        "engine": profile.engine,
        "started": profile.started.to_string(),
        "seconds": (profile.seconds * 1000.0).round() / 1000.0,
        "consistency": profile.consistency,
        "exact": profile.exact,
        "sample": profile.sample,
        "values": if values == Values::Shown { "shown" } else { "masked" },
        "tables": tables,
        "notes": profile.notes,
    })
}

fn table_summary(table: &TableProfile, values: Values) -> Value {
    let unread: Vec<Value> =
        table.unread_columns.iter().map(|(column, reason)| json!({ "column": column, "reason": reason })).collect();
    json!({
        "schema": table.table.schema,
        "table": table.table.name,
        "area": words::area(&table.table.name).1,
        "rows": table.rows,
        "read": table.read,
        "refused": table.refused,
        "unread": table.unread,
        "unread_columns": unread,
        "columns": table.columns.iter().map(|column| column_summary(&Seen::new(column, values))).collect::<Vec<Value>>(),
    })
}

fn column_summary(seen: &Seen<'_>) -> Value {
    let column = seen.column;
    let text = |value: Option<MaskedOrShown>| value.map(|value| value.to_string());
    let (uniqueness, repeated) = uniqueness(column);
    json!({
        "column": column.column,
        "type": column.data_type,
        "kind": column.kind.word(),
        "roles": column.roles.iter().map(KeyRole::words).collect::<Vec<_>>(),
        "rows": column.rows,
        "nulls": column.nulls,
        "blank": column.blank,
        "distinct": column.distinct.number,
        "distinct_exact": column.distinct.exact,
        "uniqueness": uniqueness,
        "repeated": repeated,
        "min": text(seen.min()),
        "max": text(seen.max()),
        "length": seen.lengths().map(|l| json!({ "min": l.min, "mean": (l.mean * 1000.0).round() / 1000.0, "max": l.max })),
        "zero": column.numbers.as_ref().map(|n| n.zero),
        "negative": column.numbers.as_ref().map(|n| n.negative),
        "not_a_number": column.numbers.as_ref().map(|n| n.not_a_number),
        "quartiles": seen.quartiles(),
        "with_time": column.with_time,
        "shapes": shapes(seen),
        "shape_count": column.shape_count,
        "top": top(seen),
        "most": column.most,
        "counts_off_by": column.counts_off_by,
    })
}

/// A word for whether a column tells rows apart, and how many values are repeated where that is known and telling.
pub(crate) fn uniqueness(column: &ColumnProfile) -> (&'static str, Option<u64>) {
    match column.uniqueness() {
        Uniqueness::Unique => ("unique", Some(0)),
        Uniqueness::Almost { repeated } => ("almost", Some(repeated)),
        Uniqueness::Perhaps => ("perhaps", None),
        Uniqueness::No => ("no", None),
    }
}

/// Shapes as JSON.
pub(crate) fn shapes(seen: &Seen<'_>) -> Value {
    seen.shapes().map(|(shape, count)| json!({ "shape": shape, "count": count })).collect()
}

/// Frequent values as JSON.
pub(crate) fn top(seen: &Seen<'_>) -> Value {
    seen.top().map(|(value, count)| json!({ "value": value.to_string(), "count": count })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_profile as sample;
    use crate::terminal::{self, Style};

    /// Everything that a report of a profile says, as one text.
    fn everything(profile: &Profile, values: Values) -> String {
        let bytes = crate::profile_parquet(profile, values).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(bytes::Bytes::from(bytes), 10_000);
        let batches: Vec<_> = reader.unwrap().map(Result::unwrap).collect();
        let mut text: String = batches.iter().flat_map(|b| b.columns()).map(|column| format!("{column:?}")).collect();
        for width in [Some(80), Some(120), None] {
            for verbose in [false, true] {
                text += &terminal::profile(profile, &Style { width, verbose, values, color: false });
            }
        }
        text + &crate::profile_page(profile, values).unwrap() + &profile_summary(profile, values).to_string()
    }

    #[test]
    fn who_is_somebody_is_masked_and_codes_and_ranges_are_not() {
        let text = everything(&sample::profile(), Values::Masked);
        for bad in
            ["105000001", "105000002", "Adhikari", "hunter", "other-hash", "Madame", "a{6}-a{4}", ">Ba<", "Ba 30%"]
        {
            assert!(!text.contains(bad), "{bad} is shown");
        }
        for good in
            ["1893-02-01", "Dispensary", "Hospital", "-5.00", "1000.00", "100.00", "9{9}", "9{8}A", "Aa{7}", "false"]
        {
            assert!(text.contains(good), "{good} is not shown");
        }
        // A value of four rows among codes is nobody's business, unless it is as short as a code.
        assert!(!text.contains("17.35"), "a value of few rows is shown");
        let shown = everything(&sample::profile(), Values::Shown);
        for good in ["105000001", "Adhikari-Ochieng", "Madame X", "17.35"] {
            assert!(shown.contains(good), "{good} is not shown");
        }
        for secret in ["hunter", "other-hash", "a{6}-a{4}"] {
            assert!(!shown.contains(secret), "{secret} is shown");
        }
    }

    #[test]
    fn names_of_a_small_table_are_no_codes() {
        // Each value once or twice: names, whatever the column is called.
        let mut profile = sample::profile();
        let mut few = sample::text("Bezeichnung", 3, &[("Nirmala Devi", 2), ("Om", 1), ("Zoe", 1)], &[]);
        few.rows = 4;
        profile.tables = vec![sample::table("tblOwn", vec![few])];
        let text = everything(&profile, Values::Masked);
        assert!(!text.contains("Nirmala") && !text.contains("Zoe"), "{text}");
    }

    #[test]
    fn what_is_hostile_stays_text() {
        let evil = "<script>alert(1)</script>\"'><img src=x>\u{202e}=cmd()";
        let mut profile = sample::profile();
        profile.location = evil.into();
        profile.notes = vec![evil.into()];
        for table in &mut profile.tables {
            table.table.name = evil.into();
            table.unread = table.unread.as_ref().map(|_| evil.into());
            table.unread_columns = vec![(evil.into(), evil.into())];
            for column in &mut table.columns {
                column.column = evil.into();
                column.data_type = evil.into();
                column.roles.push(KeyRole::Foreign(evil.into()));
                column.min = column.min.as_ref().map(|_| evil.into());
                column.top.iter_mut().for_each(|top| top.value = evil.into());
                column.shapes.iter_mut().for_each(|shape| shape.shape = evil.into());
            }
        }
        let page = crate::profile_page(&profile, Values::Shown).unwrap();
        for bad in ["<script", "<img", "\u{202e}", "\"'>"] {
            assert!(!page.contains(bad), "{bad} in the page");
        }
        let text = terminal::profile(&profile, &Style { values: Values::Shown, ..Style::default() });
        assert!(!text.contains('\u{202e}'), "{text}");
    }

    #[test]
    fn shares_never_say_all_or_nothing_for_some() {
        for (part, of, expected) in [
            (0, 10, "0"),
            (10, 10, "100%"),
            (0, 0, "0"),
            (1, 1_000_000, "<0.1%"),
            (999_999, 1_000_000, ">99.9%"),
            (86, 1_000, "8.6%"),
            (512, 1_000, "51%"),
            (9_995, 10_000, ">99.9%"),
        ] {
            assert_eq!(share(part, of), expected, "{part} of {of}");
        }
    }

    #[test]
    fn a_huge_database_is_a_page_that_opens() {
        let mut profile = sample::profile();
        let table = profile.tables[2].clone();
        profile.tables = (0..400)
            .map(|n| {
                let mut table = table.clone();
                table.table.name = format!("tblOwn{n}");
                table
            })
            .collect();
        let page = crate::profile_page(&profile, Values::Masked).unwrap();
        assert!(page.len() < 4_000_000, "{} bytes", page.len());
        assert!(page.contains("more tables") && page.contains("profile.parquet"));
    }
}
