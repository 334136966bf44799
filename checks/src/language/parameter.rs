//! What a country may change: `${name}` in the texts of checks.

use std::fmt;

use imis_schemas::document::{Located, Place};
use jiff::civil::Date;

use super::CheckError;

/// A value of a parameter, or one that a check names.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A text.
    Text(String),
    /// A number, as it was written.
    Number(String),
    /// A day.
    Date(Date),
    /// Yes or no.
    Truth(bool),
    /// Several.
    List(Vec<Value>),
}

impl Value {
    /// The value as a literal of SQL.
    pub fn sql(&self) -> String {
        match self {
            Value::Null => "NULL".to_owned(),
            // A backslash is a character like others here: the E'' of PostgreSQL is not needed, and not understood everywhere.
            Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
            // Behind a minus, a second one would begin a comment.
            Value::Number(number) if number.starts_with('-') => format!("({number})"),
            Value::Number(number) => number.clone(),
            Value::Date(date) => format!("date '{date}'"),
            Value::Truth(truth) => truth.to_string(),
            Value::List(values) => values.iter().map(Value::sql).collect::<Vec<_>>().join(", "),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("none"),
            Value::Text(text) | Value::Number(text) => f.write_str(text),
            Value::Date(date) => write!(f, "{date}"),
            Value::Truth(truth) => write!(f, "{truth}"),
            Value::List(values) => {
                for (at, value) in values.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    write!(f, "{comma}{value}")?;
                }
                Ok(())
            }
        }
    }
}

/// A parameter as a pack sets it.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Located<String>,
    /// Its value.
    pub value: Value,
    /// What it is for.
    pub why: String,
}

/// All parameters of a run, by name.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, Value)>);

/// How a parameter is written into a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// As a literal of SQL.
    Sql,
    /// As it is.
    Plain,
}

impl Parameters {
    /// The parameters of packs, the last of one name counting, and the day that is today.
    pub fn new<'a>(set: impl IntoIterator<Item = &'a Parameter>, as_of: Date) -> Self {
        let mut all = Parameters(vec![("as_of".to_owned(), Value::Date(as_of))]);
        for parameter in set {
            all.set(&parameter.name.value, parameter.value.clone());
        }
        all
    }

    fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// A parameter's value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Names and values, for a report.
    pub fn shown(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.to_string())).collect()
    }

    /// Writes parameters and the names of the place (`${table}`) into a text.
    ///
    /// # Errors
    /// When it names a parameter that is not there.
    pub(crate) fn fill(
        &self,
        text: &str,
        place: &Place,
        names: &[(&str, String)],
        how: As,
    ) -> Result<String, CheckError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let Some(end) = from.find('}') else {
                let error = CheckError::at(&place.within("${"), "a parameter begins with `${` and does not end");
                return Err(error.with_help("Write ${name}."));
            };
            let name = from.get(2..end).unwrap_or_default().trim();
            rest = from.get(end + 1..).unwrap_or_default();
            if let Some((_, text)) = names.iter().find(|(known, _)| *known == name) {
                out.push_str(text);
                continue;
            }
            let Some(value) = self.get(name) else {
                let known = self.0.iter().map(|(name, _)| name.as_str()).chain(names.iter().map(|(name, _)| *name));
                let error = CheckError::at(&place.within(name), format!("there is no parameter called `{name}`"));
                return Err(error.with_label("not known").suggest(name, known));
            };
            match how {
                As::Sql => out.push_str(&value.sql()),
                As::Plain => out.push_str(&value.to_string()),
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}
