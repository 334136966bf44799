//! Which release a database is of, as people and programs read it: the identification with areas of business and counts of rows.

use std::collections::BTreeMap;

use imis_schemas::Identification;
use imis_schemas::identify::{Difference, Hybrid, Level, Thing};
use serde_json::{Value, json};

use crate::number::{counted, thousands};
use crate::words;

/// The version of the shape of `imis identify --json`.
pub const FORMAT: u32 = 1;

/// A database, identified.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The location, without a password.
    pub location: String,
    /// What was found out from the catalogue.
    pub found: Identification,
    /// What the Django migrations tell, where they ran and can be read.
    pub django: Option<Hybrid>,
    /// How many rows there are; `None` where there are no rows, or nobody wanted to know.
    pub counts: Option<RowCounts>,
    /// What could not be counted, and other remarks.
    pub notes: Vec<String>,
}

/// How many rows what differs has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows of tables, by name.
    pub tables: BTreeMap<String, u64>,
    /// Rows in which a column holds something beyond NULL and its default, by `table.column`.
    pub columns: BTreeMap<String, u64>,
}

impl RowCounts {
    /// How many rows a table has, or hold something in a column; `None` where that was not counted.
    pub fn of(&self, difference: &Difference) -> Option<u64> {
        match difference.thing {
            Thing::Table => self.tables.get(&difference.name).copied(),
            Thing::Column => self.columns.get(&difference.name).copied(),
            _ => None,
        }
    }
}

/// The lists of differences with their titles, in the order in which they are read.
pub(crate) type Lists<'a> = [(&'static str, &'static str, &'a [Difference]); 5];

impl Identity {
    /// Closest release, for a headline.
    pub(crate) fn release(&self) -> String {
        let twins = match self.found.twins.as_slice() {
            [] => String::new(),
            twins => format!(" (or {})", twins.join(", ")),
        };
        let name = match self.found.family {
            imis_schemas::identify::Family::Legacy => "openIMIS",
            imis_schemas::identify::Family::Modular => "modular openIMIS",
        };
        format!("{name} {}{twins}", self.found.release)
    }

    /// How far and how sure, in a sentence.
    pub(crate) fn sure(&self) -> String {
        let sure = &self.found.confidence;
        format!("{} ({} of 100): {}", level(sure.level), sure.percent, sure.because)
    }

    pub(crate) fn runner_up(&self) -> String {
        match &self.found.runner_up {
            Some(next) => format!("{} with {}", next.release, counted(next.distance as u64, "difference")),
            None => "none".to_owned(),
        }
    }

    pub(crate) fn lists(&self) -> Lists<'_> {
        let found = &self.found;
        [
            ("Added", "The database has it, the release has not.", &found.added),
            ("Changed", "It is another in the database.", &found.changed),
            ("Removed", "The release has it, the database has not, or the login does not see it.", &found.removed),
            ("Keys", "Primary and foreign keys; they do not count as distance.", &found.keys),
            (
                "Made by Django",
                "Django's migrations made, changed or removed it; it does not count as distance.",
                &found.by_django,
            ),
        ]
    }

    /// What the database has in place of what the release has.
    pub(crate) fn what(difference: &Difference) -> String {
        let thing = match difference.thing {
            Thing::Table => "table",
            Thing::Column => "column",
            Thing::Routine => "procedure or function",
            Thing::View => "view",
            Thing::Type => "type",
            Thing::PrimaryKey => "primary key",
            Thing::ForeignKey => "foreign key",
        };
        match (&difference.found, &difference.expected) {
            _ if matches!(difference.thing, Thing::PrimaryKey | Thing::ForeignKey) => {
                (if difference.found.is_some() { "one more" } else { "one less" }).to_owned()
            }
            (Some(found), Some(expected)) => format!("{found}, was {expected}"),
            (Some(text), None) | (None, Some(text)) => text.clone(),
            (None, None) => thing.to_owned(),
        }
    }

    /// How many rows that concerns, for people; empty where it is not known.
    pub(crate) fn rows(&self, difference: &Difference) -> String {
        self.counts.as_ref().and_then(|counts| counts.of(difference)).map(thousands).unwrap_or_default()
    }

    /// The identification for programs: the shape is versioned, fields are added, never changed.
    pub fn summary(&self) -> Value {
        let mut out = json!({ "imis": FORMAT, "location": self.location, "counted": self.counts.is_some() });
        let mut found = serde_json::to_value(&self.found).unwrap_or_default();
        for (name, list) in [
            ("added", &self.found.added),
            ("changed", &self.found.changed),
            ("removed", &self.found.removed),
            ("by_django", &self.found.by_django),
        ] {
            let lines = found.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten();
            for (line, difference) in lines.zip(list) {
                if let Ok(table) = place(difference) {
                    line["area"] = words::area(table).1.into();
                }
                if let Some(rows) = self.counts.as_ref().and_then(|counts| counts.of(difference)) {
                    line["rows"] = rows.into();
                }
            }
        }
        if let (Value::Object(out), Value::Object(found)) = (&mut out, found) {
            out.extend(found);
            out.insert("django".into(), serde_json::to_value(&self.django).unwrap_or_default());
            out.insert("notes".into(), self.notes.clone().into());
        }
        out
    }
}

/// The table of a difference, or the group that it stands in without one.
pub(crate) fn place(difference: &Difference) -> Result<&str, &'static str> {
    difference.of_table().ok_or(match difference.thing {
        Thing::View => "Views",
        Thing::Type => "Types",
        _ => "Procedures and functions",
    })
}

pub(crate) fn level(level: Level) -> &'static str {
    match level {
        Level::Certain => "certain",
        Level::High => "high",
        Level::Fair => "fair",
        Level::Low => "low",
    }
}
